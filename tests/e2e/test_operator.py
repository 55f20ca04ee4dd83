"""What an operator does with mail that will not go."""

from datetime import datetime, timedelta

import pytest

from lab.clock import DAY, Clock
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
    everybody = {f"rfc822; u{n}@{domain}" for n in range(40)}

    def told():
        reports = [Report(d) for d in world.ledger.of(f"app@{home}")]
        return {r["Final-Recipient"] for report in reports for r in report.rcpts}

    eventually(lambda: told() >= everybody)
    assert told() == everybody


# --- explain ---


def explained(sh, mid):
    return sh.json("queue", "explain", mid)["recipients"][0]["explanation"]


def test_who_waits_for_a_dead_host_hears_of_it_and_of_the_end(world, sh, home):
    domain, mid = waiting(world, sh, home)
    told = explained(sh, mid)
    assert f"{domain} could not be reached" in told["because"]
    assert "refused" in told["because"] and f"queue retry {mid}" in told["would_go"]
    row = sh.rows(mid)[0]
    assert told["next"] >= row["next"]
    arrived = datetime.fromisoformat(row["arrived"])
    assert datetime.fromisoformat(told["expires"]) - arrived == timedelta(days=5)
    assert told["expected"] is None
    text = sh.ok("queue", "explain", mid)
    assert "waits     because" in text and "; tries after 1h" in text
    assert "next try  in " in text and "given up  in " in text


def test_the_end_is_that_which_counts_after_days_without_a_relay(
    world, new_relay, home, tmp_path
):
    clock = Clock(tmp_path)
    relay = new_relay({"retry": {"schedule": ["1h"]}}, environ=clock.env)
    sh = Shell(relay)
    _, old = waiting(world, sh, home)
    came = datetime.fromisoformat(sh.rows(old)[0]["arrived"])
    told = explained(sh, old)
    assert told["age_from"] is None
    assert datetime.fromisoformat(told["expires"]) - came == timedelta(days=5)
    assert "counts from" not in sh.ok("queue", "explain", old)
    relay.stop()
    clock.turn(6 * DAY)
    relay.start()
    # By the usual time it would be too old already; it has all of it again.
    eventually(lambda: "could not be reached" in explained(sh, old)["because"])
    told = explained(sh, old)
    begun = datetime.fromisoformat(told["age_from"])
    assert begun - came >= timedelta(days=6)
    assert datetime.fromisoformat(told["expires"]) - begun == timedelta(days=5)
    assert "too old" not in told["because"]
    assert "; its time counts from " in sh.ok("queue", "explain", old)
    # What comes now is as old as it is.
    _, young = waiting(world, sh, home)
    came = datetime.fromisoformat(sh.rows(young)[0]["arrived"])
    told = explained(sh, young)
    assert told["age_from"] is None
    assert datetime.fromisoformat(told["expires"]) - came == timedelta(days=5)


def test_what_somebody_held_waits_without_an_end(world, sh, home):
    _, mid = waiting(world, sh, home)
    sh.ok("queue", "hold", mid)
    told = explained(sh, mid)
    assert told["because"] == "somebody held it"
    assert told["next"] is None and told["expires"] is None
    assert f"release {mid}" in told["would_go"]
    assert "not by itself" in sh.ok("queue", "explain", mid)


def test_a_policy_that_is_not_met_says_what_it_expected_and_saw(world, sh):
    mx = world.peer(cert=world.ca.good("elsewhere.test"))
    domain = world.sts(world.domain(mx), mx=[mx])
    mid = submit(sh.relay, f"bob@{domain}")
    sh.relay.log.one("delivery.deferred", mid=mid)
    told = eventually(lambda: explained(sh, mid))
    assert "MTA-STS" in told["because"] or "mta-sts" in told["because"]
    assert "mta-sts" in told["expected"] and "pkix" in told["expected"]
    assert mx.host in told["seen"] and "certificate" in told["seen"]
    assert "expected" in sh.ok("queue", "explain", mid)


def test_hosts_outside_of_the_policy_are_named(world, sh):
    mx = world.peer()
    domain = world.sts(world.domain(mx), mx=["mx.elsewhere.test"])
    mid = submit(sh.relay, f"bob@{domain}")
    sh.relay.log.one("delivery.deferred", mid=mid)
    told = eventually(lambda: explained(sh, mid))
    assert "4.7.5" in told["because"], told


def greylisted(world, d, mx):
    mx.replies["RCPT"] = {f"bob@{d}": [["450 4.2.1 greylisted, come again"]]}


def without_tls(world, d, mx):
    clear = world.peer(tls=False)
    world.dns.put(d, "MX", f"10 {clear.host}.")
    world.sts(d, mx=[clear])


def without_dns(world, d, mx):
    world.dns.behave(d, "servfail")


def overwhelmed(world, d, mx):
    mx.replies["MAIL"] = [["421 4.7.0 too many messages from you"]]


def hanging_up(world, d, mx):
    mx.replies["DOT"] = [["451 4.3.0 mailbox server is down"]]


@pytest.mark.parametrize(
    "trouble, because, would_go",
    [
        (greylisted, "450 4.2.1 greylisted", "if the next attempt is taken"),
        (without_tls, "TLS", "proves what mta-sts enforce demands"),
        (without_dns, "may not go as things are", "once DNS and policies"),
        (overwhelmed, "too many messages", ""),
        (hanging_up, "451 4.3.0 mailbox server", "if the next attempt is taken"),
    ],
)
def test_whatever_keeps_mail_back_is_told_with_what_would_end_it(
    world, sh, trouble, because, would_go
):
    mx = world.peer()
    d = world.domain(mx)
    trouble(world, d, mx)
    mid = submit(sh.relay, f"bob@{d}")
    sh.relay.log.one("delivery.deferred", mid=mid)
    eventually(lambda: sh.rows(mid)[0]["state"] == "deferred")
    told = explained(sh, mid)
    assert because in told["because"], told
    assert told["would_go"] and would_go in told["would_go"], told
    assert told["next"] and told["expires"] and told["next"] < told["expires"]
    text = sh.ok("queue", "explain", mid)
    for words in ("waits     because ", "next try  in ", "would go  ", "given up  in "):
        assert words in text, text


def test_who_waits_for_a_turn_is_told_so(world, new_relay):
    """Behind a rate, and behind another message at a slow host."""
    relay = new_relay({"delivery": {"rate": "1/1h", "connections_per_domain": 1}})
    sh = Shell(relay)
    d = world.domain(world.peer())
    submit(relay, f"one@{d}")
    world.ledger.one(f"one@{d}")
    mid = submit(relay, f"two@{d}")
    told = eventually(
        lambda: (told := explained(sh, mid)) and "a rate" in told["because"] and told
    )
    assert told["next"] and "its turn" in told["would_go"]
    slow = world.peer()
    slow.delay = 3
    d = world.domain(slow)
    mid = submit(relay, f"one@{d}")
    told = eventually(lambda: sh.rows(mid) and explained(sh, mid))
    assert "being delivered, or the next in line" in told["because"]
    assert told["would_go"] == "now" and told["next"] is None


def test_a_route_that_is_held_says_so(world, new_relay):
    provider = world.provider()
    provider.passwords["us"] = "right"
    route = {"to": ["*"], "via": [f"{provider.host}:{provider.port}"]}
    relay = new_relay({'route "out"': {**route, "user": "us", "password": "wrong"}})
    sh = Shell(relay)
    mid = submit(relay, "bob@far.test")
    relay.log.one("delivery.deferred", mid=mid)
    told = eventually(
        lambda: (told := explained(sh, mid)) and "held" in told["because"] and told
    )
    assert 'route "out" is held' in told["because"]
    assert "credentials" in told["would_go"] and told["expires"] is None


def test_without_a_relay_that_is_the_reason(world, new_relay, home):
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    sh = Shell(relay)
    _, mid = waiting(world, sh, home)
    relay.stop()
    told = explained(sh, mid)
    assert told["because"] == "no relay is running" and told["expires"] is None
