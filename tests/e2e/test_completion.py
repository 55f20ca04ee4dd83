"""Shells complete commands and options, each really asked to."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from lab.patience import PATIENCE
from lab.relay import binary, environment


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The program by its name."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "sealpost").symlink_to(binary())
    return environment(PATH=f"{folder}:{os.environ['PATH']}", HOME=str(folder))


def bash(path, line):
    """What bash's own completion has for the line, by its function."""
    script = f"""
        eval "$(sealpost completion bash)"
        COMP_LINE={line!r}
        read -ra COMP_WORDS <<<"$COMP_LINE"
        [[ "$COMP_LINE" = *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        spec=$(complete -p sealpost)
        function=${{spec##*-F }}
        "${{function% *}}" sealpost "${{COMP_WORDS[COMP_CWORD]}}" ""
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True, text=True, env=path, timeout=30,
    )
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout.split()


def fish(path, line):
    script = f"sealpost completion fish | source; complete -C {line!r}"
    done = subprocess.run(
        ["fish", "-N", "-c", script],
        capture_output=True, text=True, env=path, timeout=30,
    )
    assert done.returncode == 0, done
    return [row.split("\t")[0] for row in done.stdout.splitlines()]


ASK = [bash] + ([fish] if shutil.which("fish") else [])


@pytest.mark.parametrize("ask", ASK)
def test_commands_are_completed(path, ask):
    assert {"queue", "policy", "doctor", "serve", "completion"} <= set(ask(path, "sealpost "))
    assert ask(path, "sealpost doc") == ["doctor"]
    assert sorted(ask(path, "sealpost queue re")) == ["release", "retry"]
    if ask is bash:  # fish has files then, as bash does by itself
        assert ask(path, "sealpost nonsense and ") == []
    assert ask(path, "sealpost health") == ["healthcheck"]


@pytest.mark.parametrize("ask", ASK)
def test_options_are_completed(path, ask):
    found = ask(path, "sealpost queue list --")
    assert {"--domain", "--json", "--older-than", "--help"} <= set(found)
    assert ask(path, "sealpost queue list --domain x.test --js") == ["--json"]
    assert ask(path, "sealpost queue bounce --dr") == ["--dry-run"]
    assert ask(path, "sealpost policy list --js") == ["--json"]


@pytest.mark.parametrize("ask", ASK)
def test_choices_are_completed(path, ask):
    assert {"live", "ready"} <= set(ask(path, "sealpost healthcheck "))
    assert ask(path, "sealpost completion z") == ["zsh"]


def test_every_command_lists_its_options_and_does_nothing_else(path):
    def words(*before):
        done = subprocess.run(
            ["sealpost", "completion", "--words", "--", *before],
            capture_output=True, text=True, env=path, timeout=30, input="",
        )
        assert done.returncode == 0, done
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    firsts = words()
    assert len(firsts) == len(set(firsts)) > 15
    for first in firsts:
        seconds = words(first)
        groups = [first] if "--help" in seconds or first == "send" else None
        for name in groups or [f"{first} {s}" for s in seconds]:
            listed = words(*name.split())
            assert "--help" in listed or name == "send", name
            help = subprocess.run(
                ["sealpost", *name.split(), "--help"],
                capture_output=True, text=True, env=path, timeout=30,
            ).stdout
            for option in listed:
                assert option in help or option == "--help", (name, option)
    assert words("queue", "list", "--domain") == []
    assert words("queue", "list", "-d") == []


def press_tab(path, start, typed):
    """What stands on the line of an interactive shell behind a tab."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(start[0], start, {**path, "TERM": "dumb", "PS1": "$ "})
    seen = b""

    def wait(what):
        nonlocal seen
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if re.search(what, seen):
                return seen
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 4096)
        raise AssertionError(seen)

    try:
        for line, answer in typed:
            os.write(fd, line.encode())
            wait(answer)
            seen = b""
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


def test_a_tab_in_bash(path):
    press_tab(
        path,
        ["bash", "--norc", "--noprofile", "-i"],
        [
            ('eval "$(sealpost completion bash)"; echo rea""dy\n', rb"ready"),
            ("sealpost queue bou\t", rb"bounce "),
            ("--dry\t", rb"--dry-run "),
        ],
    )


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_a_tab_in_zsh(path):
    press_tab(
        path,
        ["zsh", "-f", "-i"],
        [
            ("autoload -U compinit; compinit -u -D; echo fir''st\n", rb"first"),
            ('eval "$(sealpost completion zsh)"; echo rea""dy\n', rb"ready"),
            ("sealpost queue bou\t", rb"bounce "),
            ("--dry\t", rb"--dry-run"),
        ],
    )
