"""mailq and postqueue beside Postfix' own: the same mail in both queues, and
what is printed of it has the same shape, so that whatever reads the one reads
the other."""

import json
import os
import re
import smtplib
import types

import pytest

from lab import check_mailq
from lab.postfix import Postfix
from lab.relay import binary
from lab.send import SENDER, message
from test_cli import Shell, eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postfix")

TO = ("one@gone.test", "two@gone.test")


def submit(ip, port):
    """A message to two, and a bounce."""
    with smtplib.SMTP(ip, port, "client.lab.test", 30) as c:
        c.sendmail(SENDER, TO, message())
        c.sendmail("", "three@gone.test", message())


@pytest.fixture(scope="module")
def postfix():
    nowhere = types.SimpleNamespace(ip="127.0.0.1")
    p = Postfix(nowhere, relayhost="[127.0.0.1]:1")
    submit(p.ip, p.port)
    for rcpt in (*TO, "three@gone.test"):
        p.wait(rcpt)
    yield p
    p.close()


@pytest.fixture(scope="module")
def sh(world):
    """Two routes: a host that is gone is asked for one message only."""
    relay = world.relay(
        {
            "retry": {"schedule": ["1h"]},
            'route "a"': {"to": list(TO), "via": ["127.0.0.1:1"], "tls": "none"},
            'route "b"': {"to": ["*"], "via": ["127.0.0.1:2"], "tls": "none"},
        }
    )
    sh = Shell(relay)
    submit(relay.ip, relay.port)
    eventually(lambda: [r["state"] for r in sh.rows()] == ["deferred"] * 3)
    yield sh
    relay.close()


def ours(sh, *words):
    return sh.ok(*words, program="postqueue")


def shape(text):
    """With one V for whatever is a value."""
    return re.sub(r'(?<=: )("(?:[^"\\]|\\.)*"|\d+|true|false)', "V", text)


def by_sender(lines):
    found = [(json.loads(line)["sender"], line) for line in lines.splitlines()]
    return dict(sorted(found))


def test_postqueue_j_is_postfix_s_key_for_key(postfix, sh):
    theirs = by_sender(postfix.tool("postqueue", "-j"))
    mine = by_sender(ours(sh, "-j"))
    assert list(mine) == list(theirs) == ["MAILER-DAEMON", SENDER]
    for sender, line in theirs.items():
        assert shape(mine[sender]) == shape(line)
        a, b = json.loads(mine[sender]), json.loads(line)
        for key in ("queue_name", "forced_expire", "sender"):
            assert a[key] == b[key], key
        assert abs(a["arrival_time"] - b["arrival_time"]) < 60
        assert [r["address"] for r in a["recipients"]] == [
            r["address"] for r in b["recipients"]
        ]
        for r in (*a["recipients"], *b["recipients"]):
            assert "refused" in r["delay_reason"]


def test_held_mail_is_in_the_same_queue_of_both(postfix, sh):
    mid = next(r["id"] for r in sh.rows() if r["from"] == "")
    theirs = json.loads(by_sender(postfix.tool("postqueue", "-j"))["MAILER-DAEMON"])
    postfix.tool("postsuper", "-h", theirs["queue_id"])
    sh.ok("queue", "hold", mid)
    theirs, mine = (
        json.loads(by_sender(x)["MAILER-DAEMON"])
        for x in (postfix.tool("postqueue", "-j"), ours(sh, "-j"))
    )
    assert mine["queue_name"] == theirs["queue_name"] == "hold"
    assert list(mine) == list(theirs)
    for x in (postfix.tool("postqueue", "-p"), ours(sh, "-p")):
        assert re.search(rf"^\w+!\s+\d+ ", x, re.M), x
    postfix.tool("postsuper", "-H", theirs["queue_id"])
    sh.ok("queue", "release", mid)


def columns(text):
    """The lines without what differs from queue to queue."""
    lines = []
    for line in text.splitlines():
        line = re.sub(
            r"^(?=.{19} )\w+[*! ]? +\d+ \w{3} \w{3} [ \d]\d [\d:]{8}", "ID SIZE DATE", line
        )
        line = re.sub(r"\(.*\)", "(WHY)", line).strip()
        lines.append(re.sub(r"^-- \d+ Kbytes", "-- N Kbytes", line))
    return lines


def test_mailq_reads_as_postfix_s_does(postfix, sh):
    theirs, mine = postfix.tool("postqueue", "-p"), ours(sh, "-p")
    assert mine.splitlines()[0] == theirs.splitlines()[0]
    assert sorted(columns(mine)) == sorted(columns(theirs))


def test_who_watches_postfix_s_mailq_can_watch_ours(sh, tmp_path):
    command = [os.path.abspath(binary()), "--config", sh.relay.config_file]
    assert check_mailq.check(tmp_path, command, 10, 20) == (
        0,
        "OK: postfix mailq (2) is below threshold (10/20)|unsent=2;10;20;0\n",
    )
    code, said = check_mailq.check(tmp_path, command, 1, 2)
    assert code == 2 and said.startswith("CRITICAL: postfix mailq is 2")


def test_an_empty_queue_is_known_as_such(new_relay, tmp_path):
    sh = Shell(new_relay())
    command = [os.path.abspath(binary()), "--config", sh.relay.config_file]
    code, said = check_mailq.check(tmp_path, command, 1, 2)
    assert code == 0 and "queue is empty" in said, said
    assert ours(sh, "-j") == ""
