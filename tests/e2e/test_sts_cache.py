"""MTA-STS over time: what is cached, when it is renewed, what outlives what.
Numbers are those of the checklist; see test_sts.py."""

import signal
import time

import pytest

from lab import seen
from lab.https_policy import policy
from lab.send import submit

conformance = pytest.mark.conformance

TLS = "delivered over TLS"
WEBPKI = "delivered over TLS, WebPKI"
UNLISTED = "waits: 4.7.5 MTA-STS"
WRONG = "waits: 4.7.5 MTA-STS, wrong name"

TTL = 1.3  # s; facts of a TTL of one second are asked for anew after it


def reply(relay, mid):
    return relay.log.one("delivery.deferred", mid=mid)["reply"]


def domain_with_bad_host(world, **options):
    """An enforced domain whose only MX host has the wrong certificate."""
    host = f"mx.{world.name()}"
    bad = world.peer(host, cert=world.ca.good("elsewhere.test"))
    d = world.domain(bad, ttl=1)
    world.sts(d, mx=[bad], ttl=1, **options)
    return d, bad


@conformance(
    "RFC 8461 5.1",
    "a cached policy, and no TXT record: NXDOMAIN, SERVFAIL, no answer",
    WRONG,
)
def test_19_a_cached_policy_outlives_its_record_and_its_host(world, relay):
    d, _ = domain_with_bad_host(world)
    assert "4.7.5" in reply(relay, submit(relay, f"a@{d}"))
    world.dns.drop(f"_mta-sts.{d}")
    world.dns.drop(f"mta-sts.{d}")
    world.policies.withdraw(d)
    for n, how in enumerate((None, "servfail", "timeout")):
        world.dns.behave(f"_mta-sts.{d}", how, "TXT")
        time.sleep(TTL)
        assert "4.7.5" in reply(relay, submit(relay, f"b{n}@{d}")), how
    assert not world.ledger.of(domain=d)


@conformance(
    "RFC 8461 5.1",
    "a cached policy, and two TXT records, then a fetch that fails",
    WRONG,
)
def test_19_a_cached_policy_outlives_two_records_and_a_failed_renewal(world, relay):
    d, _ = domain_with_bad_host(world)
    assert "4.7.5" in reply(relay, submit(relay, f"a@{d}"))
    world.dns.txt(f"_mta-sts.{d}", "v=STSv1; id=2;", ttl=1)
    time.sleep(TTL)
    assert "4.7.5" in reply(relay, submit(relay, f"b@{d}")), "two records"
    world.sts_record(d, "3", ttl=1)
    world.policies.withdraw(d)
    time.sleep(TTL)
    assert "4.7.5" in reply(relay, submit(relay, f"c@{d}")), "renewal fails"
    assert len(world.policies.requests(d)) == 2
    assert not world.ledger.of(domain=d)


@conformance("RFC 8461 5.1", "a cached policy, and a malformed one in its place", WRONG)
def test_19_a_malformed_renewal_does_not_replace_the_cached_policy(world, relay):
    d, bad = domain_with_bad_host(world)
    assert "4.7.5" in reply(relay, submit(relay, f"a@{d}"))
    world.sts(d, text="version: STSv1\r\nmode: none\r\n", id="2", ttl=1)
    time.sleep(TTL)
    assert "4.7.5" in reply(relay, submit(relay, f"b@{d}"))
    assert len(world.policies.requests(d)) == 2


@conformance("RFC 8461 10.2", "a cached policy, a restart, and no TXT record", WRONG)
def test_18_19_a_cached_policy_survives_a_restart(world, new_relay):
    relay = new_relay()
    d, _ = domain_with_bad_host(world)
    assert "4.7.5" in reply(relay, submit(relay, f"a@{d}"))
    world.dns.drop(f"_mta-sts.{d}")
    world.policies.withdraw(d)
    relay.stop()
    relay.start()
    mid = submit(relay, f"b@{d}")
    assert "4.7.5" in reply(relay, mid)
    assert relay.log.find("policy.decided", destination=d)[-1]["sts"] == "cached"
    assert not world.ledger.of(domain=d)


@conformance("RFC 8461 10.2", "a cached policy, kill -9, and no TXT record", WRONG)
def test_18_a_cached_policy_survives_kill_9(world, new_relay):
    relay = new_relay()
    d, _ = domain_with_bad_host(world)
    assert "4.7.5" in reply(relay, submit(relay, f"a@{d}"))
    world.dns.drop(f"_mta-sts.{d}")
    relay.kill()
    relay.start()
    assert "4.7.5" in reply(relay, submit(relay, f"b@{d}"))
    assert not world.ledger.of(domain=d)


@conformance("RFC 8461 3.2", "a cached policy beyond its max_age", f"{WRONG}; {TLS}")
def test_22_an_expired_policy_is_no_policy(world, relay):
    host = f"mx.{world.name()}"
    bad = world.peer(host, cert=world.ca.good("elsewhere.test"))
    d = world.domain(bad, ttl=1)
    world.sts(d, text=policy("enforce", [host], max_age=4), ttl=1)
    assert "4.7.5" in reply(relay, submit(relay, f"a@{d}"))
    world.dns.drop(f"_mta-sts.{d}")
    assert world.ledger.one(f"a@{d}").tls, "sent once the policy had expired"


@conformance(
    "RFC 8461 5.1",
    "mail waits; a new id brings a policy that lists the host",
    f"{UNLISTED}; {WEBPKI}",
)
def test_24_a_new_id_brings_the_new_policy_for_what_waits(world, relay):
    """An enforce failure is never final before DNS was asked again."""
    good, other = world.peer(), "mx.elsewhere.test"
    d = world.domain(good, ttl=1)
    world.sts(d, mx=[other], id="1", ttl=1)
    mid = submit(relay, f"a@{d}")
    assert "4.7.5" in reply(relay, mid)
    world.sts(d, mx=[good], id="2", ttl=1)
    assert world.ledger.one(f"a@{d}").tls
    assert len(world.policies.requests(d)) == 2


@conformance(
    "RFC 8461 5.1",
    "three messages, one id",
    f"{WEBPKI}; policy fetched 1 times",
)
def test_24_an_unchanged_id_is_not_fetched_again(world, relay):
    good = world.peer()
    d = world.domain(good, ttl=1)
    world.sts(d, mx=[good], ttl=1)
    for n in range(3):
        submit(relay, f"a{n}@{d}")
        world.ledger.one(f"a{n}@{d}")
        time.sleep(TTL)
    count = len(world.policies.requests(d))
    assert count == 1
    seen.note(f"policy fetched {count} times")


@conformance(
    "RFC 8461 5.1",
    "mail that waits too long: is there a new policy before it is given up?",
    f"{WRONG}; expired: 4.7.5 MTA-STS, wrong name; TXT asked again",
)
def test_24_before_an_enforce_failure_expires_dns_is_asked_again(world, new_relay):
    """And the sender is told which policy it was."""
    relay = new_relay({"retry": {"schedule": ["400ms"], "expire": "3s", "warn": "0"}})
    home = world.domain(world.peer())
    d, bad = domain_with_bad_host(world)
    submit(relay, f"a@{d}", sender=f"app@{home}")
    relay.log.one("delivery.expired", to=f"a@{d}")
    assert world.dns.asked(f"_mta-sts.{d}", "TXT") >= 2
    seen.note("TXT asked again")
    text = world.ledger.one(f"app@{home}").data
    assert b"mta-sts" in text.lower() and bad.host.encode() in text


def test_24_after_a_failure_dns_is_asked_anew_whatever_the_ttl(world, new_relay):
    relay = new_relay({"retry": {"schedule": ["400ms"], "expire": "3s", "warn": "0"}})
    host = f"mx.{world.name()}"
    bad = world.peer(host, cert=world.ca.good("elsewhere.test"))
    d = world.sts(world.domain(bad, ttl=3600), mx=[bad], ttl=3600)
    mid = submit(relay, f"a@{d}")
    relay.log.wait("delivery.deferred", 4, mid=mid)
    assert world.dns.asked(f"_mta-sts.{d}", "TXT") >= 4
    good = world.peer()
    d = world.sts(world.domain(good, ttl=3600), mx=[good], ttl=3600)
    for n in range(6):
        submit(relay, f"a{n}@{d}")
        world.ledger.one(f"a{n}@{d}")
    assert world.dns.asked(f"_mta-sts.{d}", "TXT") <= 2, "once for each worker"


def test_24_a_new_policy_is_found_in_time_whatever_the_ttl(world, new_relay):
    relay = new_relay({"retry": {"schedule": ["400ms"], "expire": "3s", "warn": "0"}})
    good = world.peer()
    d = world.domain(good, ttl=3600)
    world.sts(d, mx=["mx.elsewhere.test"], ttl=3600)
    mid = submit(relay, f"a@{d}")
    relay.log.one("delivery.deferred", mid=mid)
    world.sts(d, mx=[good], id="2", ttl=3600)
    assert relay.log.one(("delivery.sent", "delivery.expired"), mid=mid)["event"] == (
        "delivery.sent"
    )
    assert world.ledger.one(domain=d).tls


def test_24_requiretls_bounces_nothing_by_an_old_policy(world, new_relay):
    relay = new_relay()
    home, good = world.domain(world.peer()), world.peer(requiretls=True)
    d = world.domain(good, ttl=3600)
    world.sts(d, mx=[good], mode="enforce", ttl=3600)
    for n in range(4):  # every worker knows the policy
        submit(relay, f"a{n}@{d}")
        world.ledger.one(f"a{n}@{d}")
    other = world.peer(requiretls=True)
    world.dns.drop(d, "MX")
    world.domain(other, name=d, ttl=3600)
    world.sts(d, mx=[other], id="2", ttl=3600)
    mid = submit(
        relay,
        f"bob@{d}",
        sender=f"app@{home}",
        port=relay.tls_port,
        starttls=True,
        mail_options=["REQUIRETLS"],
    )
    relay.log.one("delivery.sent", mid=mid)
    assert world.ledger.one(f"bob@{d}").peer is other


@conformance(
    "RFC 8461 10.2",
    "no cached policy; TXT: SERVFAIL, no answer, REFUSED; in the end NXDOMAIN",
    f"{UNLISTED}; {TLS}",
)
def test_32_without_an_answer_for_the_record_mail_waits(world, relay):
    for how in ("servfail", "timeout", "refused"):
        good = world.peer()
        d = world.domain(good, ttl=1)
        world.dns.behave(f"_mta-sts.{d}", how, "TXT")
        mid = submit(relay, f"a@{d}")
        assert "4.7.5" in reply(relay, mid)
        assert not world.ledger.of(domain=d)
    world.dns.behave(f"_mta-sts.{d}", None, "TXT")
    world.ledger.one(f"a@{d}")


def test_19_what_was_just_fetched_applies_at_once(world, relay):
    good = world.peer()
    bad_host = f"mx.{world.name()}"
    bad = world.peer(bad_host, cert=world.ca.good("elsewhere.test"))
    d = world.domain(bad, good, ttl=1)
    world.sts(d, mx=[good], ttl=1)
    submit(relay, f"a@{d}")
    assert world.ledger.one(f"a@{d}").peer is good
    assert relay.log.one("policy.decided", destination=d)["sts"] == "fresh"


def test_18_a_reload_keeps_the_cached_policies(
    world, new_relay
):
    relay = new_relay()
    good = world.peer()
    d = world.sts(world.domain(good), mx=[good])
    submit(relay, f"a@{d}")
    world.ledger.one(f"a@{d}")
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    submit(relay, f"b@{d}")
    world.ledger.one(f"b@{d}")
    assert len(world.policies.requests(d)) == 1
