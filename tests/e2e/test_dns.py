"""Where mail goes, and what becomes of it when DNS does not say."""

import collections

import pytest

from lab.send import submit


@pytest.fixture
def home(world):
    """Where bounces arrive."""
    return world.domain(world.peer())


def bounced(world, relay, home, rcpt, *codes):
    """Sends a message that must bounce at once; gives the log line."""
    mid = submit(relay, rcpt, sender=f"app@{home}")
    line = relay.log.one("delivery.bounced", mid=mid)
    report = world.ledger.one(f"app@{home}").data.decode()
    for code in codes:
        assert code in line["reply"] and code in report, (line, report)
    return line


def put_off(relay, rcpt, *words):
    mid = submit(relay, rcpt)
    line = relay.log.one("delivery.deferred", mid=mid)
    for word in words:
        assert word in line["reply"], line
    return line


# --- what DNS may say of a domain ---


def test_null_mx_bounces_at_once_and_nobody_is_connected_to(world, relay, home):
    d = world.name()
    peer = world.peer(d)
    world.dns.add(d, "MX", "0 .")
    bounced(world, relay, home, f"bob@{d}", "5.1.10")
    assert next(peer.sessions) == 1


def test_a_null_mx_beside_others_is_passed_over(world, relay):
    peer = world.peer()
    d = world.domain(peer)
    world.dns.add(d, "MX", "0 .")
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer


def test_without_mx_the_domain_s_own_address_is_used(world, relay):
    peer = world.peer(world.name())
    submit(relay, f"bob@{peer.host}")
    assert world.ledger.one(domain=peer.host).peer is peer


def test_without_mx_and_without_address_it_bounces(world, relay, home):
    d = world.name()
    world.dns.txt(d, "only a text")
    bounced(world, relay, home, f"bob@{d}", "5.4.4")


def test_a_domain_that_does_not_exist_bounces(world, relay, home):
    bounced(world, relay, home, f"bob@nowhere.{world.name()}", "5.1.2")


@pytest.mark.parametrize("how", ["servfail", "refused", "timeout"])
@pytest.mark.parametrize("kind", ["MX", "A"])
def test_without_an_answer_mail_waits_and_then_goes_out(world, relay, how, kind):
    peer = world.peer()
    d = world.domain(peer, ttl=1)
    name = d if kind == "MX" else peer.host
    world.dns.behave(name, how, kind)
    put_off(relay, f"bob@{d}", "451 4.4.3")
    assert not world.ledger.of(domain=d)
    world.dns.behave(name, None, kind)
    assert world.ledger.one(domain=d).peer is peer


def test_a_failed_mx_lookup_never_falls_back_to_the_domain_s_address(world, relay):
    peer = world.peer(world.name())
    world.dns.behave(peer.host, "servfail", "MX")
    put_off(relay, f"bob@{peer.host}", "4.4.3")
    assert next(peer.sessions) == 1


def test_mx_hosts_that_do_not_exist_bounce_when_there_are_no_others(
    world, relay, home
):
    d = world.domain(f"gone.{world.name()}")
    bounced(world, relay, home, f"bob@{d}", "5.4.4")


def test_an_mx_host_without_an_answer_is_passed_over(world, relay):
    dark, peer = f"mx.{world.name()}", world.peer()
    world.dns.behave(dark, "servfail")
    d = world.domain(dark, f"gone.{world.name()}", peer)
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer


def test_a_truncated_answer_is_asked_for_again_over_tcp(world, relay):
    peer = world.peer()
    d = world.domain(peer)
    world.dns.behave(d, "truncate", "MX")
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer
    assert world.dns.asked(d, "MX", "udp") and world.dns.asked(d, "MX", "tcp")


def test_a_hundred_mx_records_are_more_than_a_udp_answer_and_work(world, relay):
    peer = world.peer()
    d = world.domain(peer)
    world.dns.add(d, "MX", *(f"{100 + i} none{i}.{world.name()}." for i in range(80)))
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer


def test_a_domain_may_be_a_cname(world, relay):
    peer, alias = world.peer(), world.name()
    world.dns.add(alias, "CNAME", f"{world.domain(peer)}.")
    submit(relay, f"bob@{alias}")
    assert world.ledger.one(f"bob@{alias}").peer is peer


def test_a_circle_of_cnames_waits_or_bounces_and_harms_nobody(world, relay):
    a, b = world.name(), world.name()
    world.dns.add(a, "CNAME", f"{b}.")
    world.dns.add(b, "CNAME", f"{a}.")
    mid = submit(relay, f"bob@{a}", sender="<>")
    got = relay.log.one(("delivery.deferred", "delivery.bounced"), mid=mid)
    assert got["reply"][0] in "45"


# --- in which order ---


def test_the_best_preference_is_tried_first(world, relay):
    peers = [world.peer() for _ in range(3)]
    d = world.name()
    for preference, peer in zip((30, 10, 20), peers):
        world.dns.add(d, "MX", f"{preference} {peer.host}.")
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peers[1]


def test_equal_preferences_take_turns_by_lot(world, new_relay):
    relay = new_relay({"delivery": {"messages_per_connection": 1}, "": {"workers": 1}})
    peers = [world.peer() for _ in range(2)]
    counts = collections.Counter()
    for _ in range(16):
        d = world.name()
        for peer in peers:
            world.dns.add(d, "MX", f"10 {peer.host}.")
        submit(relay, f"bob@{d}")
        counts[world.ledger.one(domain=d).host] += 1
    assert len(counts) == 2, counts  # one in 32,768 runs sees one only


def test_the_next_host_is_tried_when_one_cannot_be_reached(world, relay):
    peer = world.peer()
    d = world.domain(world.nobody(), world.nobody(), peer)
    mid = submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer
    failed = relay.log.wait("delivery.attempt", count=2, mid=mid)
    assert {line["step"] for line in failed[:2]} == {"connect"}


def test_the_next_address_of_a_host_is_tried_too(world, relay):
    peer = world.peer()
    world.dns.put(peer.host, "A", world.address(), peer.ip)
    d = world.domain(peer)
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer


@pytest.mark.parametrize("reply", ["421 4.3.2 no", "554 5.7.1 no", "450 4.7.1 no"])
def test_the_next_host_is_tried_when_one_will_not_talk(world, relay, reply):
    rude = world.scripted([reply.encode() + b"\r\n", ""])
    peer = world.peer()
    d = world.domain(rude, peer)
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer


def test_when_no_host_can_be_reached_mail_waits(world, relay):
    put_off(relay, f"bob@{world.domain(world.nobody(), world.nobody())}", "4.4.1")


def test_our_own_name_among_the_mx_hosts_ends_the_list(world, relay, home):
    """Hosts that are worse than ourselves would send it back: 5.4.6."""
    d = world.name()
    worse = world.peer()
    world.dns.put("relay.lab.test", "A", relay.ip)
    world.dns.add(d, "MX", "10 relay.lab.test.", f"20 {worse.host}.")
    bounced(world, relay, home, f"bob@{d}", "5.4.6")
    better = world.domain(worse)
    world.dns.add(better, "MX", "50 relay.lab.test.")
    submit(relay, f"bob@{better}")
    assert world.ledger.one(domain=better).peer is worse


# --- addresses that a stranger must not send us to ---


SPECIAL = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254"]
SPECIAL += ["0.0.0.0", "224.0.0.1"]


@pytest.mark.parametrize("address", SPECIAL)
def test_addresses_that_are_not_public_are_not_connected_to(
    world, strict_relay, address
):
    host = f"mx.{world.name()}"
    world.dns.put(host, "A", address)
    d = world.domain(host)
    mid = submit(strict_relay, f"bob@{d}", sender="<>")
    got = strict_relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert address in got["reply"] and "public" in got["reply"], got


@pytest.mark.parametrize("address", ["::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1"])
def test_nor_are_those_of_ipv6(world, strict_relay, address):
    host = f"mx.{world.name()}"
    world.dns.put(host, "AAAA", address)
    mid = submit(strict_relay, f"bob@{world.domain(host)}", sender="<>")
    got = strict_relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert "public" in got["reply"], got


@pytest.mark.parametrize("literal", ["[127.0.0.1]", "[10.0.0.1]", "[IPv6:::1]"])
def test_nor_address_literals(world, strict_relay, literal):
    mid = submit(strict_relay, f"bob@{literal}", sender="<>")
    got = strict_relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert "public" in got["reply"], got


@pytest.fixture(scope="module")
def strict_relay(world):
    r = world.relay({"delivery": {"allow_private": False}})
    yield r
    r.close()


def test_an_address_literal_is_delivered_to_as_it_stands(world, relay):
    peer = world.peer()
    rcpt = f"bob@[{peer.ip}]"
    submit(relay, rcpt)
    assert world.ledger.one(peer=peer).rcpts == [rcpt]
