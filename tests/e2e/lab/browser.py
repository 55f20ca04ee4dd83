"""A headless Chromium, driven by playwright-core in one node process.

    browser.open("http://127.0.0.1:8025/", dark=True)
    browser.do("await page.click(arg)", "#states button")
    browser.until("() => document.title === arg", "x")
"""

import json
import pathlib
import shutil
import subprocess

from . import npm


class Browser:
    def __init__(self):
        script = pathlib.Path(__file__).with_name("browser.js")
        self._node = subprocess.Popen(
            ["node", str(script), shutil.which("chromium") or "/usr/bin/chromium"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=npm.environment(),
        )

    def do(self, code, arg=None):
        """Runs code with `page` and `arg`; gives what it returns."""
        self._node.stdin.write(json.dumps({"code": code, "arg": arg}) + "\n")
        self._node.stdin.flush()
        answer = json.loads(self._node.stdout.readline())
        assert "error" not in answer, f"{code}\n{answer['error']}"
        return answer.get("value")

    def open(self, url, **options):
        """A new page, which has seen nothing before: dark, width, height."""
        self.do("await open(state, arg)", {"url": url, **options})

    def problems(self):
        return self.do("return state.problems")

    def wrong(self):
        """What axe has to say against the page."""
        return self.do("return await wrong(page)")

    def until(self, condition, arg=None):
        """Once a function of the page is true."""
        self.do(f"await page.waitForFunction({condition}, arg)", arg)

    def text(self, selector):
        return self.do("return await page.innerText(arg)", selector)

    def click(self, selector):
        self.do("await page.click(arg)", selector)

    def press(self, *keys):
        self.do("for (const k of arg) await page.keyboard.press(k)", keys)

    def type(self, text):
        self.do("await page.keyboard.type(arg)", text)

    def close(self):
        self._node.stdin.close()
        self._node.wait(20)
