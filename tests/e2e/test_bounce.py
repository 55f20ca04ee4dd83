"""Delivery status notifications, read with Python's email package."""

import subprocess
import time

import pytest

from lab.patience import PATIENCE
from lab.report import Report
from lab.send import message, submit

REFUSAL = "550 5.1.1 no such user <here>"


@pytest.fixture
def home(world):
    return world.domain(world.peer())


@pytest.fixture
def refusing(world):
    """A domain whose host refuses every recipient."""
    mx = world.peer(dsn=True)
    mx.replies["RCPT"] = Everybody(REFUSAL)
    return world.domain(mx)


class Everybody(dict):
    def __init__(self, reply):
        super().__init__()
        self.reply = reply

    def get(self, _address, _default=None):
        return [[self.reply]]


def bounce(world, relay, home, *rcpts, data=None, **options):
    mid = submit(relay, *rcpts, sender=f"app@{home}", data=data, **options)
    return Report(world.ledger.one(f"app@{home}")), mid


def test_a_refused_message_comes_back_as_a_report(world, relay, home, refusing):
    report, _ = bounce(world, relay, home, f"bob@{refusing}")
    assert report.delivery.mail == "<>"
    assert report.mail["To"] == f"app@{home}"
    assert report.mail["Auto-Submitted"].startswith("auto-")
    assert "relay.lab.test" in report.mail["From"]
    assert report.mail["Date"] and report.mail["Message-ID"] and report.mail["Subject"]
    assert report.message["Reporting-MTA"] == "dns; relay.lab.test"
    got = report.rcpt()
    assert got["Final-Recipient"] == f"rfc822; bob@{refusing}"
    assert got["Action"] == "failed" and got["Status"] == "5.1.1"
    assert got["Diagnostic-Code"].startswith("smtp;")
    assert "no such user <here>" in got["Diagnostic-Code"]
    assert got["Remote-MTA"].startswith("dns; mx.")
    assert f"bob@{refusing}" in report.text and "no such user" in report.text


def test_envid_and_orcpt_come_back_decoded_as_they_were(
    world, relay, home, refusing
):
    report, _ = bounce(
        *(world, relay, home, f"bob@{refusing}"),
        mail_options=["ENVID=QQ+2B314"],
        rcpt_options=["ORCPT=rfc822;Alias+2Bx@old.test"],
    )
    assert report.message["Original-Envelope-Id"] == "QQ+314"
    assert report.rcpt()["Original-Recipient"] == "rfc822;Alias+x@old.test"


def test_refused_recipients_of_one_message_share_one_report(
    world, relay, home, refusing
):
    report, _ = bounce(world, relay, home, *(f"u{n}@{refusing}" for n in range(3)))
    assert len(report.rcpts) == 3
    time.sleep(0.3)
    assert len(world.ledger.of(f"app@{home}")) == 1


@pytest.mark.parametrize("ret", ["FULL", "HDRS", None])
def test_ret_says_how_much_comes_back(world, relay, home, refusing, ret):
    report, _ = bounce(
        *(world, relay, home, f"bob@{refusing}"),
        data=message(subject="the subject", body="the body\r\n"),
        mail_options=[f"RET={ret}"] if ret else [],
    )
    kind = report.returned.get_content_type()
    raw = report.delivery.data
    assert b"the subject" in raw
    if ret == "HDRS":
        assert kind == "text/rfc822-headers" and b"the body" not in raw
    if ret == "FULL":
        assert kind == "message/rfc822" and b"the body" in raw


def test_a_large_message_does_not_come_back_whole(world, relay, home, refusing):
    data = message(body="x" * 70 + "\r\n") + b"x" * 70 + b"\r\n"
    big = data + (b"y" * 70 + b"\r\n") * 50000
    report, _ = bounce(
        world, relay, home, f"bob@{refusing}", data=big, mail_options=["RET=FULL"]
    )
    assert len(report.delivery.data) < 1_500_000
    assert report.returned.get_content_type() == "text/rfc822-headers"


def test_notify_never_means_never(world, relay, home, refusing):
    mid = submit(
        *(relay, f"bob@{refusing}"),
        sender=f"app@{home}",
        rcpt_options=["NOTIFY=NEVER"],
    )
    relay.log.one("delivery.bounced", mid=mid)
    control, _ = bounce(world, relay, home, f"other@{refusing}")
    assert [r["Final-Recipient"] for r in control.rcpts] == [
        f"rfc822; other@{refusing}"
    ]


@pytest.mark.parametrize("notify", ["SUCCESS", "DELAY", "SUCCESS,DELAY"])
def test_without_failure_in_notify_a_failure_is_not_told(
    world, relay, home, refusing, notify
):
    mid = submit(
        *(relay, f"bob@{refusing}"),
        sender=f"app@{home}",
        rcpt_options=[f"NOTIFY={notify}"],
    )
    relay.log.one("delivery.bounced", mid=mid)
    time.sleep(0.3)
    assert not world.ledger.of(f"app@{home}")


def test_success_at_a_host_without_dsn_is_reported_as_relayed(world, relay, home):
    d = world.domain(world.peer(dsn=False))
    report, _ = bounce(
        world, relay, home, f"bob@{d}", rcpt_options=["NOTIFY=SUCCESS"]
    )
    assert report.rcpt()["Action"] == "relayed"
    assert report.rcpt()["Status"].startswith("2.")


@pytest.mark.parametrize("notify", ["NOTIFY=SUCCESS", None])
def test_success_is_otherwise_for_the_next_host_to_tell(world, relay, home, notify):
    d = world.domain(world.peer(dsn=notify is not None))
    options = [notify] if notify else []
    mid = submit(relay, f"bob@{d}", sender=f"app@{home}", rcpt_options=options)
    relay.log.one("delivery.sent", mid=mid)
    time.sleep(0.3)
    assert not world.ledger.of(f"app@{home}")


def test_a_null_sender_is_never_sent_anything(world, relay, refusing):
    mid = submit(relay, f"bob@{refusing}", sender="")
    relay.log.one("delivery.bounced", mid=mid)
    time.sleep(0.3)
    assert not relay.log.find("delivery.attempt", destination="")
    assert not [e for e in relay.log.find("delivery.sent") if not e["to"]]


def test_a_bounce_that_bounces_ends_there(world, relay, refusing):
    mid = submit(relay, f"bob@{refusing}", sender=f"app@{refusing}")
    relay.log.one("delivery.bounced", mid=mid)
    second = relay.log.one("delivery.bounced", to=f"app@{refusing}")
    time.sleep(0.3)
    assert second["mid"] != mid
    mine = [e for e in relay.log.find("delivery.bounced") if refusing in e["to"]]
    assert len(mine) == 2


def test_a_delay_is_told_once(world, new_relay, home):
    relay = new_relay({"retry": {"schedule": ["200ms"], "warn": "300ms"}})
    mx = world.peer()
    mx.replies["MAIL"] = [["451 4.3.2 busy"]]
    d = world.domain(mx)
    report, mid = bounce(world, relay, home, f"bob@{d}", mail_options=["ENVID=x"])
    assert report.rcpt()["Action"] == "delayed"
    assert report.rcpt()["Status"] == "4.3.2"
    assert report.rcpt()["Will-Retry-Until"]
    assert report.message["Original-Envelope-Id"] == "x"
    assert report.returned.get_content_type() == "text/rfc822-headers"
    relay.log.wait("delivery.deferred", count=4, mid=mid)
    assert len(world.ledger.of(f"app@{home}")) == 1
    mx.replies["MAIL"] = []
    world.ledger.one(domain=d)


def test_a_delay_is_not_told_to_those_who_do_not_want_it(world, new_relay, home):
    relay = new_relay({"retry": {"schedule": ["200ms"], "warn": "300ms"}})
    mx = world.peer()
    mx.replies["MAIL"] = [["451 4.3.2 busy"]]
    mid = submit(
        *(relay, f"bob@{world.domain(mx)}"),
        sender=f"app@{home}",
        rcpt_options=["NOTIFY=FAILURE"],
    )
    relay.log.wait("delivery.deferred", count=4, mid=mid)
    assert not world.ledger.of(f"app@{home}")


def test_what_expires_comes_back(world, new_relay, home):
    relay = new_relay(
        {"retry": {"schedule": ["200ms"], "expire": "1s", "warn": "0"}}
    )
    d = world.domain(world.nobody())
    report, mid = bounce(world, relay, home, f"bob@{d}")
    relay.log.one("delivery.expired", mid=mid)
    assert report.rcpt()["Action"] == "failed"
    assert report.rcpt()["Status"].startswith("5.")


def test_a96_bounces_beyond_the_rate_wait_and_none_is_lost(
    world, new_relay, home, refusing
):
    relay = new_relay({"retry": {"notices": "2/1h"}})
    mids = [
        submit(relay, f"u{n}@{refusing}", sender=f"app@{home}") for n in range(5)
    ]
    relay.log.wait("delivery.bounced", 5)
    limited = relay.log.wait("bounce.limited", 3)
    world.ledger.wait(f"app@{home}", count=2)
    for turn, event in enumerate(sorted(e["next_in_s"] for e in limited), 1):
        assert 1800 * turn - 300 < event <= 1800 * turn
    assert {e["to"] for e in limited} == {f"app@{home}"}
    assert len({e["mid"] for e in limited}) == 3
    assert {e["origin"] for e in limited} < {f"notice about {mid}" for mid in mids}
    numbers = subprocess.run(
        ["curl", "-s", "--unix-socket", relay.config["control"]["socket"]]
        + ["http://localhost/metrics"],
        capture_output=True, text=True, timeout=PATIENCE,
    ).stdout  # fmt: skip
    assert "sealpost_notices_limited_total 3\n" in numbers
    said = relay.cli("queue", "explain", limited[0]["mid"]).stdout
    assert "first attempt was put off" in said and "retry.notices" in said
    # others hear at once, and a restart changes nothing
    submit(relay, f"x@{refusing}", sender=f"other@{home}")
    world.ledger.one(f"other@{home}")
    relay.log.wait("delivery.sent", 3)
    relay.stop()
    relay.start()
    assert [row["to"] for row in relay.queue()] == 3 * [f"app@{home}"]
    assert len(world.ledger.of(f"app@{home}")) == 2
    relay.cli("queue", "retry", "--to", f"app@{home}")
    told = world.ledger.wait(f"app@{home}", count=5)
    assert sorted(Report(d).rcpt()["Final-Recipient"] for d in told) == [
        f"rfc822; u{n}@{refusing}" for n in range(5)
    ]


def test_a_bounce_for_policy_says_which_policy(world, new_relay, home):
    relay = new_relay(
        {"retry": {"schedule": ["300ms"], "expire": "1s", "warn": "0"}}
    )
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    d = world.sts(world.domain(peer), mx=[peer])
    report, _ = bounce(world, relay, home, f"bob@{d}")
    for word in ("mta-sts enforce", host, "expired"):
        assert word in report.text.lower(), report.text


HOSTILE = [
    "550 5.1.1 <script>alert(1)</script>",
    "550 5.1.1 --boundary Content-Type: text/html",
    "550 5.1.1 \x1b[2J\x07 \x9b \x00 end",
    "550 5.1.1 %n%s%s ' OR 1=1--",
    "550 5.1.1 " + "long " * 350,
    "550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 three",
]


@pytest.mark.parametrize("i", range(len(HOSTILE)))
def test_a_hostile_reply_stays_text(world, relay, home, i):
    mx = world.peer()
    mx.replies["RCPT"] = Everybody(HOSTILE[i])
    report, _ = bounce(world, relay, home, f"bob@{world.domain(mx)}")
    assert len(list(report.mail.iter_parts())) == 3
    assert all(len(line) <= 998 for line in report.delivery.data.split(b"\r\n"))
    printable = set(b"\r\n\t") | set(range(0x20, 0x7F))
    assert set(report.delivery.data) <= printable
    assert set(report.rcpt().keys()) <= {
        *("Final-Recipient", "Original-Recipient", "Action", "Status"),
        *("Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"),
        "Final-Log-Id",
    }
