"""etc/migration.md: its tables name what there is, and a queue of Postfix is moved
by its commands.  Its configurations are tried in test_recipes."""

import os
import re
import shutil
import smtplib
import subprocess

import pytest

from lab.pages import TOP, Page, program
from lab.postfix import Postfix
from lab.relay import environment
from lab.send import message
from test_cli import Shell, eventually

PAGE = Page("etc/migration.md")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix wants root")


def keys():
    table = (TOP / "relay" / "config" / "key.c").read_text()
    found = re.findall(r'\{"(\w*)", "(\w+)", CONFIG', table)
    return {f"{s}.{k}".lstrip(".") for s, k in found}


def rows(heading):
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in PAGE.section(heading).splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]


def chart_table():
    return PAGE.text.partition("has other values")[2].partition("\n### ")[0]


# --- the page itself ---


def test_the_table_of_variables_is_that_of_the_program():
    source = (TOP / "relay" / "config" / "alias.c").read_text()
    known = {}
    for variable, section, key in re.findall(r'\{"(\w+)", "(\w*)", "(\w+)",', source):
        front = {"route": "route.relayhost.", "oauth": "route.relayhost.oauth."}
        known[variable] = front.get(section, f"{section}." if section else "") + key
    told = {
        variable.strip("`"): key.strip("`")
        for variable, key, _ in rows("From container images")[1:]
    }
    assert told == known


def test_each_key_and_parameter_that_it_names_is_there():
    known = keys()
    sections = {k.partition(".")[0] for k in known}
    text = PAGE.text.replace(chart_table(), "")
    for name in set(re.findall(r"`([a-z]+\.[a-z_]+)`", text)):
        if name.partition(".")[0] in sections:
            assert name in known, name
    for variable in set(re.findall(r"SEALPOST_([A-Z0-9_]+)", PAGE.text)):
        parts = variable.lower().removesuffix("__").split("__")
        name = f"{parts[0]}.{parts[-1]}" if len(parts) > 1 else parts[0]
        assert name in known or name.removesuffix("_file") in known, variable


@pytest.mark.skipif(not shutil.which("postconf"), reason="no Postfix")
def test_each_parameter_of_postfix_is_one():
    said = subprocess.run(["postconf", "-d"], capture_output=True, text=True, timeout=30)
    known = {line.partition(" =")[0] for line in said.stdout.splitlines()}
    told = {p for row in rows("main.cf")[1:] for p in re.findall(r"`(\w+)`", row[0])}
    levels = {"none", "may", "encrypt", "verify", "secure", "fingerprint", "dane"}
    assert len(told) > 50 and told - levels <= known, told - levels - known


def test_each_value_of_the_chart_is_one():
    chart = (TOP / "etc" / "helm" / "sealpost" / "values.yaml").read_text()
    told = [n for line in chart_table().splitlines() if line.startswith("| `")
            for n in re.findall(r"`([a-zA-Z.]+)`", line.split(" | ")[1])]
    assert "replicas" in told
    for name in told:
        first, _, second = name.partition(".")
        block = re.search(rf"^{first}:(.*\n(?: .*\n|\n)*)", chart, re.M)
        assert name in ("sealpost.conf", "route.NAME.password") or block, name
        assert not second or not block or re.search(rf"^  {second}:", block[1], re.M), name


# --- the queue ---


@pytest.fixture
def postfix(world):
    """One with mail that nobody takes, part of it held; and its recipients."""
    p = Postfix(world.dns, relayhost="[127.0.0.1]:1", smtp_dns_support_level="enabled",
                smtp_tls_security_level="may")
    domain = world.domain(world.nobody())
    rcpts = [f"u{n}@{domain}" for n in range(3)]
    with smtplib.SMTP(p.ip, p.port, "client.lab.test", 30) as c:
        c.sendmail("app@example.com", rcpts[:2], message(sender="app@example.com"))
        c.sendmail("app@example.com", rcpts[2:], message(sender="app@example.com"))
    for rcpt in rcpts:
        assert p.wait(rcpt)[0] == "deferred"
    held = next((p.folder / "queue" / "deferred").glob("*/*")).name
    subprocess.run(["postsuper", "-c", p.folder / "etc", "-h", held], check=True, timeout=30)
    yield p, rcpts
    p.close()


def move(relay, postfix, block):
    text = block.replace("127.0.0.1", relay.ip).replace(
        "/var/spool/postfix", str(postfix.folder / "queue")
    )
    text = re.sub(
        r"\b(postconf|postfix|postsuper|postqueue|postcat) (?=-|reload)",
        rf"\1 -c {postfix.folder}/etc ", text,
    )
    done = subprocess.run(
        ["sh", "-e", "-c", text], capture_output=True, text=True, timeout=60,
        env=environment(PATH=f"{program(relay)}:/usr/sbin:{os.environ['PATH']}"),
    )
    assert done.returncode == 0, done


@needs_root
@pytest.mark.parametrize("n", [0, 1])
def test_a_queue_of_postfix_is_moved(world, new_relay, postfix, n):
    """0: it runs; 1: it does not."""
    old, rcpts = postfix
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    block = PAGE.blocks("Moving the queue")[n]
    if n == 1:
        old.stop()
        shutil.chown(old.log, "postfix")  # who writes it now
    move(relay, old, block)
    sh = Shell(relay)
    eventually(lambda: sorted(r["to"] for r in sh.rows()) == rcpts, timeout=30)
    assert {r["from"] for r in sh.rows()} == {"app@example.com"}
    left = [f for q in ("deferred", "hold") for f in (old.folder / "queue" / q).rglob("*")]
    eventually(lambda: not [f for f in left if f.is_file()])
    text = sh.ok("queue", "cat", sh.rows()[0]["id"])
    assert "Subject: hello" in text and "***" not in text
