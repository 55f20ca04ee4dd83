"""What hosts announce, and what they say when it is too many: RFC 9422 and
RFC 5321 section 4.5.3.1.10.  And which way a connection goes out."""

import contextlib
import socket
import time

import pytest

from lab.send import submit


def announcing(world, *limits, **options):
    peer = world.peer(**options)
    peer.keywords = ["LIMITS " + " ".join(limits)]
    return peer


def transactions(world, domain):
    return sorted(len(d.rcpts) for d in world.ledger.of(domain=domain))


def test_a_host_gets_no_more_recipients_at_a_time_than_it_announces(world, relay):
    peer = announcing(world, "RCPTMAX=3")
    d = world.domain(peer)
    submit(relay, *[f"u{i}@{d}" for i in range(10)])
    relay.log.wait("delivery.sent", count=10, mx=peer.host)
    assert transactions(world, d) == [1, 3, 3, 3]
    assert len({r for x in world.ledger.of(domain=d) for r in x.rcpts}) == 10


def test_a_host_gets_no_more_messages_on_a_connection_than_it_announces(
    world, relay
):
    peer = announcing(world, "MAILMAX=2")
    d = world.domain(peer)
    for i in range(7):
        submit(relay, f"u{i}@{d}")
    world.ledger.wait(domain=d, count=7)
    sessions = [x.session for x in world.ledger.of(domain=d)]
    assert max(sessions.count(s) for s in sessions) <= 2


def test_both_limits_together_take_several_connections(world, relay):
    peer = announcing(world, "MAILMAX=1", "RCPTMAX=2")
    d = world.domain(peer)
    submit(relay, *[f"u{i}@{d}" for i in range(5)])
    world.ledger.wait(domain=d, count=3)
    assert transactions(world, d) == [1, 2, 2]
    assert len({x.session for x in world.ledger.of(domain=d)}) == 3


def test_a_route_s_host_gets_no_more_domains_than_it_announces(world, new_relay):
    peer = announcing(world, "RCPTDOMAINMAX=1")
    relay = new_relay(
        {'route "all"': {"to": ["*"], "via": [f"{peer.host}:{world.mx_port}"]}}
    )
    a, b = world.name(), world.name()
    submit(relay, f"u1@{a}", f"u2@{b}", f"u3@{a}", f"u4@{b}")
    relay.log.wait("delivery.sent", count=4)
    for x in world.ledger.of(peer=peer):
        assert len({r.partition("@")[2] for r in x.rcpts}) == 1, x.rcpts


@pytest.mark.parametrize(
    "words", ["452 4.5.3 too many recipients", "552 too many recipients"]
)
def test_those_that_are_too_many_follow_at_once(world, new_relay, words):
    """Not with the next attempt: that is an hour away here."""
    peer = world.peer()
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    d = world.domain(peer)
    seen = []
    peer.replies["MAIL"] = lambda _: seen.clear()
    peer.replies["RCPT"] = lambda a: seen.append(a) or (
        words if len(seen) > 2 else None
    )
    submit(relay, *[f"u{i}@{d}" for i in range(5)])
    relay.log.wait("delivery.sent", count=5)
    assert len({r for x in world.ledger.of(domain=d) for r in x.rcpts}) == 5
    assert not relay.log.find("delivery.deferred")


def test_one_who_is_too_many_alone_waits_for_another_time(world, relay):
    peer = world.peer()
    peer.replies["RCPT"] = ["452 4.5.3 too many recipients"]
    d = world.domain(peer)
    mid = submit(relay, f"bob@{d}")
    assert relay.log.one("delivery.deferred", mid=mid)
    assert world.ledger.one(domain=d)


def test_an_address_that_the_host_can_not_be_told_keeps_nobody_else_back(
    world, relay
):
    """RFC 6531 section 3.2: the one bounces, the others get the message."""
    peer = world.peer(utf8=False)
    d = world.domain(peer)
    everybody = [f"{name}@{d}" for name in ("bob", "jürgen", "eve")]
    mid = submit(relay, *everybody, mail_options=["SMTPUTF8"])
    sent = relay.log.wait("delivery.sent", count=2, mid=mid)
    assert {x["to"] for x in sent} == {f"bob@{d}", f"eve@{d}"}
    assert "5.6.7" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert transactions(world, d) == [2]


# --- ways out ---


@contextlib.contextmanager
def black_hole(ip, port):
    """Answers no attempt to connect: its queue is full, and nobody looks."""
    with contextlib.ExitStack() as all_of_it:
        server = all_of_it.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ip, port))
        server.listen(0)
        for _ in range(4):
            s = all_of_it.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex((ip, port))
        yield


def test_a_route_goes_out_from_its_own_address(world, new_relay):
    peer = world.peer()
    own, usual = world.address(), world.address()
    relay = new_relay(
        {
            "delivery": {"bind": [usual]},
            'route "own"': {
                "from": ["@own.test"],
                "to": ["*"],
                "via": [f"{peer.host}:{world.mx_port}"],
                "bind": [own],
            },
        }
    )
    d = world.domain(peer)
    submit(relay, f"a@{d}", sender="x@own.test")
    submit(relay, f"b@{d}", sender="x@other.test")
    world.ledger.wait(domain=d, count=2)
    from_where = {
        x.rcpts[0].partition("@")[0]: peer.clients[x.session]
        for x in world.ledger.of(domain=d)
    }
    assert from_where == {"a": own, "b": usual}


def test_a_host_that_is_dead_costs_the_first_message_its_patience_only(
    world, new_relay
):
    live, name, ip = world.peer(), f"mx.{world.name()}", world.address()
    world.dns.put(name, "A", ip)
    relay = new_relay({"": {"workers": 1}})
    d = world.domain(name, live)
    with black_hole(ip, world.mx_port):
        submit(relay, f"first@{d}")
        assert world.ledger.one(f"first@{d}", timeout=60)
        began = time.monotonic()
        for i in range(5):
            submit(relay, f"u{i}@{d}")
        world.ledger.wait(domain=d, count=6)
        assert time.monotonic() - began < 20
