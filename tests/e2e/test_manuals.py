"""The manual and the program say the same; every command has a page."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from lab.relay import binary, environment

TOP = pathlib.Path(__file__).parents[2]
MAN = TOP / "etc" / "man"


def ask(*words):
    done = subprocess.run(
        [binary(), *words], capture_output=True, text=True, timeout=60, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def commands():
    """All of them, by their names: "queue list"."""
    found = []
    for row in ask("completion", "--words").splitlines():
        word, has_summary, _ = row.partition("\t")
        seconds = ask("completion", "--words", "--", word).splitlines()
        found += [word] if has_summary else [f"{word} {s.split(chr(9))[0]}" for s in seconds]
    assert "queue list" in found and "serve" in found
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run(
        [TOP / "scripts" / "man-pages", binary(), folder],
        check=True, timeout=120, env=environment(),
    )
    return folder


def rendered(page):
    text = subprocess.run(
        ["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    return re.sub(".\x08", "", text)  # bold and underlined


def test_what_the_manual_repeats_is_what_the_program_says():
    done = subprocess.run(
        [TOP / "scripts" / "manuals", "--check"],
        capture_output=True, text=True, timeout=120,
        env=environment(SEALPOST_BIN=os.path.abspath(binary())),
    )
    assert done.returncode == 0, done.stderr


def test_each_group_of_commands_has_a_page(commands, pages):
    made = {p.name for p in pages.glob("man?/*")}
    of_send = {"send", "mailq", "postqueue", "newaliases"}
    groups = {name.split()[0] for name in commands} - of_send
    assert made == {"sealpost-send.1"} | {f"sealpost-{g}.8" for g in groups}
    for page in sorted(pages.glob("man?/*")):
        lint = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", page],
            capture_output=True, text=True, timeout=30,
        )
        assert lint.returncode == 0, lint.stdout


def test_each_command_is_in_its_page_with_its_usage_and_its_text(commands, pages):
    for name in commands:
        word = name.split()[0]
        of_send = word in ("send", "mailq", "postqueue", "newaliases")
        page = "man1/sealpost-send.1" if of_send else f"man8/sealpost-{word}.8"
        text = (pages / page).read_text()
        assert f".Nm sealpost Cm {name}" in text, name
        body = text.partition(".Sh DESCRIPTION\n")[2] or text.partition(".Sh SENDMAIL\n")[2]
        assert len(body.partition(".Sh COMMON OPTIONS")[0]) > 60, name
    text = rendered(pages / "man8/sealpost-queue.8")
    assert "sealpost queue bounce" in text and "Gives recipients up now" in text
    assert "sealpost doctor" not in text


def test_help_tells_of_each_option_that_is_taken_and_of_no_other(commands):
    for name in commands:
        words = ask("completion", "--words", "--", *name.split()).splitlines()
        taken = {w.split("\t")[0] for w in words if w.startswith("--")} - {"--help"}
        if name == "send":  # its options are sendmail's
            continue
        told = re.findall(r"^  (?:-\w, |    )(--[\w-]+)", ask(*name.split(), "--help"), re.M)
        assert taken == set(told) - {"--help"}, name


def keys_of_the_manual():
    """What is told about each key: (section, name) -> text."""
    page = (MAN / "sealpost.conf.5").read_text()
    body = page.partition(".Sh KEYS\n")[2].partition("\n.Sh ")[0]
    found = {}
    for part in re.split(r"^\.Ss ", body, flags=re.M)[1:]:
        section, _, text = part.partition("\n")
        for entry in re.split(r"^\.It Ic ", text, flags=re.M)[1:]:
            name, _, told = entry.partition("\n")
            found["" if " " in section else section, name] = told
    return found


def test_the_manual_tells_what_each_word_of_a_key_means():
    told, missing = keys_of_the_manual(), []
    for key in json.loads(ask("check", "--keys", "--json")):
        text = told[key["section"], key["name"]]
        if key["default"] is None:
            continue  # told of where it is taken over from
        prose = text.partition("SEALPOST_")[2]
        assert len(prose.partition("\n")[2]) > 20 or not key["variable"], key
        for word in filter(None, key["words"]):
            if word not in text.replace(key["type"], "", 1):
                missing.append((key["key"], word))
    assert not missing


def part(heading):
    return (MAN / "sealpost.8").read_text().partition(f"\n.Sh {heading}\n")[2].partition("\n.Sh ")[0]


def sources():
    return "".join(p.read_text() for p in TOP.glob("relay/*/*.c"))


def test_the_manual_tells_of_each_exit_status():
    told = set(re.findall(r"^\.It (\d+)$", part("EXIT STATUS"), re.M))
    used = {str(getattr(os, name)) for name in re.findall(r"\bEX_(?!WRONG)[A-Z]+\b", sources())}
    assert used <= told, used - told


def test_the_manual_tells_of_each_variable_that_is_read():
    told = set(re.findall(r"[A-Z_]{4,}", part("ENVIRONMENT")))
    assert set(re.findall(r'getenv\("([A-Z_]+)"\)', sources())) <= told


def test_the_manual_tells_of_each_path_of_the_api():
    routes = re.findall(r'\{"(GET|POST)", "([^"]+)"', (TOP / "relay/admin/api.c").read_text())
    aliases = {"/page.css", "/page.js", "/healthz"}
    told = {
        (method, re.sub("/[A-Z]+(?=/|$)", "/*", path))
        for method, path in re.findall(r"^\.It Li (GET|POST) ([^\s?]+)", part("API"), re.M)
    }
    assert told == {(m, p) for m, p in routes if p not in aliases}
