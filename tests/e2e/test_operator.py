"""What an operator does with mail that will not go."""

import pytest

from lab.report import Report
from lab.send import submit
from test_cli import Shell, deferred, eventually


@pytest.fixture(scope="module")
def relay(world):
    r = world.relay({"retry": {"schedule": ["1h"]}})
    yield r
    r.close()


@pytest.fixture
def sh(relay):
    assert relay.is_up(), relay.stderr()
    return Shell(relay)


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def waiting(world, sh, home, *names, **options):
    """Recipients at a domain where nobody is, once one was tried."""
    domain = world.domain(world.nobody())
    to = [f"{name}@{domain}" for name in names or ("bob",)]
    mid = submit(sh.relay, *to, sender=f"app@{home}", **options)
    eventually(
        lambda: len(sh.rows("--domain", domain, "--state", "deferred")) == len(to)
    )
    return domain, mid


# --- bounce ---


def test_a_bounce_tells_the_sender_who_ended_it_and_why_it_waited(world, sh, home):
    domain, mid = waiting(world, sh, home)
    assert "1 recipient given up" in sh.ok("queue", "bounce", mid)
    report = Report(world.ledger.one(f"app@{home}"))
    got = report.rcpt()
    assert got["Final-Recipient"] == f"rfc822; bob@{domain}"
    assert got["Action"] == "failed" and got["Status"] == "5.0.0"
    assert "Remote-MTA" not in got and "Last-Attempt-Date" not in got
    assert "an operator of this relay ended the delivery" in report.text
    assert "refused" in report.text, "what the last attempt came to"
    assert sh.rows(mid) == []
    assert "an operator" in sh.ok("trace", mid)
    sh.relay.log.one("delivery.bounced", mid=mid)


def test_recipients_of_one_message_share_one_report(world, sh, home):
    domain, mid = waiting(world, sh, home, "a", "b", "c")
    sh.ok("queue", "bounce", "--to", f"b@{domain}")
    assert len(Report(world.ledger.one(f"app@{home}")).rcpts) == 1
    sh.ok("queue", "bounce", "--domain", domain)
    eventually(lambda: len(world.ledger.of(f"app@{home}")) == 2)
    assert len(Report(world.ledger.of(f"app@{home}")[1]).rcpts) == 2


def test_held_mail_is_given_up_as_well(world, sh, home):
    _, mid = waiting(world, sh, home)
    sh.ok("queue", "hold", mid)
    sh.ok("queue", "bounce", mid)
    assert Report(world.ledger.one(f"app@{home}")).rcpt()["Status"] == "5.0.0"


def test_who_wants_no_notice_gets_none(world, sh, home):
    _, mid = waiting(world, sh, home, rcpt_options=["NOTIFY=NEVER"])
    _, other = waiting(world, sh, home)
    sh.ok("queue", "bounce", mid)
    eventually(lambda: sh.rows(mid) == [])
    sh.ok("queue", "bounce", other)
    world.ledger.one(f"app@{home}")
    assert len(world.ledger.of(f"app@{home}")) == 1


def test_mail_from_nobody_ends_without_a_notice(world, sh):
    domain = world.domain(world.nobody())
    mid = submit(sh.relay, f"bob@{domain}", sender="")
    eventually(lambda: sh.rows(mid, "--state", "deferred"))
    sh.ok("queue", "bounce", mid)
    sh.relay.log.one("bounce.dropped", mid=mid)
    eventually(lambda: sh.rows(mid) == [])


def test_more_than_a_hundred_want_a_yes(world, sh, home):
    domain = world.domain(world.nobody())
    to = [f"u{n}@{domain}" for n in range(130)]
    mid = submit(sh.relay, *to, sender=f"app@{home}")
    done = sh("queue", "bounce", "--domain", domain)
    assert done.returncode == 64 and "130" in done.stderr
    eventually(lambda: not sh.rows(mid, "--state", "active"))
    assert len(sh.rows(mid)) == 130
    assert "130" in sh.ok("queue", "bounce", "--domain", domain, "--dry-run")
    sh.ok("queue", "bounce", "--domain", domain, "--yes")
    eventually(lambda: sh.rows("--domain", domain) == [])
    eventually(
        lambda: sum(len(Report(d).rcpts) for d in world.ledger.of(f"app@{home}"))
        == 130
    )


def test_a_kill_behind_the_answer_loses_no_bounce(world, new_relay, home):
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    sh = Shell(relay)
    domain, _ = waiting(world, sh, home, *(f"u{n}" for n in range(40)))
    sh.ok("queue", "bounce", "--domain", domain)
    relay.kill()
    relay.start()
    eventually(lambda: sh.rows("--domain", domain) == [])
    told = eventually(lambda: world.ledger.of(f"app@{home}"))
    assert {r["Final-Recipient"] for d in told for r in Report(d).rcpts} == {
        f"rfc822; u{n}@{domain}" for n in range(40)
    }
