"""How the relay finds out whether DNS answers can be authenticated, and what
it then does with those that fail.  All on an island: validation from the root
could reach nobody."""

import json
import signal
import time

import pytest

from lab import seen
from lab.dane_cases import unknown, wrong
from lab.send import submit
from lab.signed import Unbound

conformance = pytest.mark.conformance

LOUD = "warning"
TLS = "delivered over TLS"


def decision(relay, way):
    """The log's word, and that `sealpost status` says the same."""
    event = relay.log.one("resolver.dnssec")
    assert event["way"] == way, event
    seen.note(way + ", with a warning" * (event["level"] == LOUD))
    status = json.loads(relay.cli("status", "--json").stdout)
    said = status["dnssec"]
    assert (said["way"], said["reason"]) == (way, event["reason"])
    return event


def delivers(signed, relay):
    d = signed.domain(signed.peer())
    submit(relay, f"bob@{d}")
    signed.ledger.one(domain=d)


def only(signed, dnssec, server, **more):
    return {"resolver": {**signed.settings(dnssec, server), **more}}


# --- the decision ---


@conformance(
    "RFC 7672 2.1.3",
    "auto; a resolver on this machine that validates",
    f"{TLS}; trust",
    group="way",
)
def test_auto_trusts_a_resolver_on_this_machine_that_validates(signed, signed_relay):
    relay = signed_relay(config=only(signed, "auto", signed.resolver))
    event = decision(relay, "trust")
    assert "validates" in event["reason"] and event["level"] == "info"
    delivers(signed, relay)


@conformance(
    "RFC 7672 2.1.3",
    "auto; a forwarder that passes signatures on",
    f"{TLS}; validate",
    group="way",
)
def test_auto_validates_where_nobody_does_but_signatures_get_through(
    signed, signed_relay
):
    relay = signed_relay(config=only(signed, "auto", signed.front))
    event = decision(relay, "validate")
    assert event["reason"] == "signatures get through the resolver"
    assert event["level"] == "info"
    delivers(signed, relay)


@conformance(
    "RFC 7672 2.1.3",
    "validate; a resolver that validates",
    f"{TLS}; validate",
    group="way",
)
def test_validate_leaves_a_resolver_that_validates_unbelieved(signed, signed_relay):
    relay = signed_relay(config=only(signed, "validate", signed.resolver))
    decision(relay, "validate")
    delivers(signed, relay)


@conformance(
    "RFC 7672 2.1.3",
    "auto; a resolver that does not validate",
    f"{TLS}; validate",
    group="way",
)
def test_validation_goes_through_a_resolver_that_only_recurses(
    signed, signed_relay, tmp_path
):
    plain = Unbound(signed.zones, tmp_path / "plain", modules="iterator")
    try:
        relay = signed_relay(config=only(signed, "auto", plain))
        decision(relay, "validate")
        delivers(signed, relay)
    finally:
        plain.close()


def test_trust_asks_nobody_whether_it_may(signed, signed_relay):
    relay = signed_relay(config=only(signed, "trust", signed.stripping()))
    event = decision(relay, "trust")
    assert event["reason"] == "resolver.dnssec says so"


@conformance(
    "RFC 7672 2.1.3",
    "off; a resolver that validates",
    f"{TLS}; off",
    group="way",
)
def test_off_is_off_and_nothing_to_be_loud_about(signed, signed_relay):
    relay = signed_relay(config=only(signed, "off", signed.resolver))
    assert decision(relay, "off")["level"] == "info"
    delivers(signed, relay)


@pytest.mark.parametrize("dnssec", ["auto", "validate"])
@conformance(
    "RFC 7672 2.1.3",
    "{dnssec}; a forwarder that strips signatures",
    f"{TLS}; off, with a warning",
    group="way",
)
def test_stripped_signatures_and_no_root_switch_it_off_loudly_and_mail_flows(
    signed, signed_relay, dnssec
):
    relay = signed_relay(config=only(signed, dnssec, signed.stripping()))
    event = decision(relay, "off")
    assert event["level"] == LOUD
    for word in ("strips signatures", "root", "DANE is not used"):
        assert word in event["reason"]
    delivers(signed, relay)


@conformance(
    "RFC 7672 2.1.3",
    "auto; a resolver that calls all answers authentic",
    "validate",
    group="way",
)
def test_a_resolver_with_a_made_up_ad_bit_is_not_trusted(signed, signed_relay):
    """dnssec-failed.org exists, and its signatures are no good."""
    liar = signed.lying()
    signed.dns.put("dnssec-failed.org", "A", "127.0.0.1")
    relay = signed_relay(config=only(signed, "auto", liar))
    decision(relay, "validate")


@conformance(
    "RFC 4033 5",
    "validate; a trust anchor that can't be read",
    f"{TLS}; off, with a warning",
    group="way",
)
def test_a_broken_trust_anchor_is_named(signed, signed_relay, tmp_path):
    anchor = tmp_path / "anchor"
    anchor.write_text("this is no trust anchor\n")
    relay = signed_relay(
        config=only(signed, "validate", signed.front, trust_anchor=str(anchor))
    )
    event = decision(relay, "off")
    assert event["level"] == LOUD
    assert str(anchor) in event["reason"]
    delivers(signed, relay)


@conformance(
    "RFC 4033 5",
    "validate; the trust anchor of another root",
    f"{TLS}; off, with a warning",
    group="way",
)
def test_a_trust_anchor_of_another_root_validates_nothing(
    signed, signed_relay, tmp_path
):
    anchor = tmp_path / "anchor"
    good = open(signed.zones.anchor).read().strip()
    anchor.write_text(good[:-8] + "00000000\n")
    relay = signed_relay(
        config=only(signed, "validate", signed.front, trust_anchor=str(anchor))
    )
    decision(relay, "off")
    delivers(signed, relay)


# --- answers, by what they are worth ---


@conformance("RFC 4033 5", "secure: TLSA records count", "delivered over TLS, DANE")
@pytest.mark.parametrize("way", ["trust", "validate"])
def test_what_is_secure_is_believed(signed, signed_relay, way):
    d = signed.domain(unknown(signed, "3 1 1"))
    relay = signed_relay(way)
    submit(relay, f"bob@{d}")
    signed.ledger.one(domain=d)


@pytest.mark.parametrize("way", ["trust", "validate"])
@pytest.mark.parametrize("fault", ["bogus", "expired", "forged"])
@conformance(
    "RFC 4033 5",
    {"bogus": "bogus: the DS of the zone is of another key", "expired": "bogus: the signature of the MX records has expired", "forged": "bogus: the signature of the MX records is forged"},
    "waits: 4.4.3",
)
def test_a_domain_that_fails_to_validate_waits(signed, signed_relay, way, fault):
    """It is neither bounced nor delivered, however good its host is."""
    peer = signed.peer()
    if fault == "forged":
        d = signed.domain(peer)
        signed.dns.behave(d, "forge", "MX")
    else:
        d = signed.name().rpartition(".")[0] + f".{fault}"
        if fault == "bogus":
            signed.domain(peer, name=d)
    relay = signed_relay(way)
    mid = submit(relay, f"bob@{d}")
    got = relay.log.wait("delivery.deferred", count=2, mid=mid)[-1]
    assert got["reply"].startswith("4"), got
    assert not relay.log.find("delivery.bounced", mid=mid)
    assert next(peer.sessions) == 1, "the host was connected to"


@pytest.mark.parametrize("way", ["trust", "validate"])
@conformance(
    "RFC 4033 5",
    "bogus: the address of the best host; the next is secure",
    "delivered to host 2 over TLS",
)
def test_a_forged_address_of_a_host_is_not_used(signed, signed_relay, way):
    bad, good = signed.peer(), signed.peer()
    signed.dns.behave(bad.host, "forge")
    d = signed.domain(bad, good)
    relay = signed_relay(way)
    submit(relay, f"bob@{d}")
    assert signed.ledger.one(domain=d).peer is good


@pytest.mark.parametrize("way", ["trust", "validate"])
@conformance("RFC 4033 5", "insecure: a zone without DS", TLS)
def test_what_is_not_signed_is_delivered_to_as_ever(signed, signed_relay, way):
    d = signed.domain(signed.peer(), name=signed.insecure_name())
    relay = signed_relay(way)
    submit(relay, f"bob@{d}")
    signed.ledger.one(domain=d)


def test_in_process_the_reason_is_told(signed, signed_relay):
    d = signed.name().rpartition(".")[0] + ".expired"
    relay = signed_relay("validate")
    mid = submit(relay, f"bob@{d}")
    assert "bogus" in relay.log.one("delivery.deferred", mid=mid)["reply"]


# --- another decision ---


@conformance(
    "RFC 7672 2.1.3",
    "auto; a mismatch; a forwarder that strips signatures, then a resolver that validates",
    f"{TLS}; waits: 4.7.5 DANE, not trusted; off, with a warning",
    group="way",
)
def test_a_reload_with_another_resolver_decides_anew(signed, signed_relay):
    """What was looked up without authentication is looked up again."""
    peer = unknown(signed, wrong(signed, "3 1 1"))
    d = signed.domain(peer)
    relay = signed_relay(config=only(signed, "auto", signed.stripping()))
    decision(relay, "off")
    submit(relay, f"before@{d}")
    signed.ledger.one(f"before@{d}")
    relay.write_config(only(signed, "auto", signed.resolver))
    relay.signal(signal.SIGHUP)
    relay.log.one("resolver.dnssec", way="trust")
    mid = submit(relay, f"after@{d}")
    assert relay.log.one("delivery.deferred", mid=mid)["proof"] == "dane"
    assert not signed.ledger.of(f"after@{d}")


def test_a_reload_with_the_same_resolver_forgets_nothing(signed, signed_relay):
    """Whoever can make it fail at that moment turns nothing off."""
    peer = unknown(signed, wrong(signed, "3 1 1"))
    server = signed.slow(0)
    relay = signed_relay(config=only(signed, "auto", server, timeout="1s"))
    relay.log.one("resolver.dnssec", way="validate")
    server.behave("org", "servfail")
    relay.write_config({"retry": {"warn": "1h"}})
    relay.signal(signal.SIGHUP)
    relay.log.one("resolver.dnssec", reason="kept, though a probe failed", timeout=40)
    server.behave("org", None)
    mid = submit(relay, f"bob@{signed.domain(peer)}")
    assert relay.log.one("delivery.deferred", mid=mid)["proof"] == "dane"


@pytest.mark.parametrize("how", ["servfail", "timeout"])
def test_a_resolver_that_answers_a_little_later_turns_nothing_off(
    signed, signed_relay, how
):
    """As after a reboot, when both start at the same time."""
    peer = unknown(signed, wrong(signed, "3 1 1"))
    d = signed.domain(peer)
    late = signed.slow(0)
    late.behave("org", how)
    relay = signed_relay(config=only(signed, "auto", late, timeout="1s"))
    mid = submit(relay, f"bob@{d}")
    time.sleep(2.5)  # nothing may happen
    assert not relay.log.find("resolver.dnssec")
    late.behave("org", None)
    got = relay.log.one("delivery.deferred", mid=mid)
    assert got.get("proof") == "dane", got
    assert not signed.ledger.of(domain=d)


def test_a_resolver_that_never_answers_is_believed_nothing(signed, signed_relay):
    peer = unknown(signed, wrong(signed, "3 1 1"))
    d = signed.domain(peer)
    mute = signed.slow(0)
    mute.behave("org", "timeout")
    relay = signed_relay(config=only(signed, "auto", mute, timeout="1s"))
    mid = submit(relay, f"bob@{d}")
    event = relay.log.one("resolver.dnssec", timeout=40)
    assert (event["way"], event["level"]) == ("validate", "info")
    got = relay.log.one("delivery.deferred", mid=mid)
    assert got.get("proof") == "dane", got


@pytest.mark.parametrize("by", ["mx", "route"])
@conformance(
    "RFC 7672 2.1.2",
    "mail before it is known who is to be believed, by {by}; a mismatch",
    "waits: 4.7.5 DANE, not trusted",
    group="way",
)
def test_mail_that_comes_before_the_decision_waits_for_it(signed, signed_relay, by):
    """What is asked first takes its time; nothing goes out meanwhile."""
    peer = unknown(signed, wrong(signed, "3 1 1"))
    config = only(signed, "validate", signed.slow(0.5))
    if by == "route":
        config['route "all"'] = {
            "to": ["*"],
            "via": [f"{peer.host}:{signed.mx_port}"],
            "tls": "opportunistic",
        }
    relay = signed_relay(config=config)
    mid = submit(relay, f"bob@{signed.domain(peer)}")
    got = relay.log.one("delivery.deferred", mid=mid)
    assert got.get("proof") == "dane", got
    assert relay.log.find("resolver.dnssec", way="validate")
