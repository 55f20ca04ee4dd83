"""What changes while a host has a message in hand, the configuration or what
DNS says, holds for all messages that are begun from then on: also over
connections, and in orders, that were begun before."""

import signal
import threading
import time

from lab import script
from lab.send import submit


class Gate:
    """A step of a script that waits until the test lets it go on."""

    def __init__(self):
        self._came, self._open = threading.Event(), threading.Event()

    def __call__(self, _connection):
        self._came.set()
        assert self._open.wait(30)

    def wait(self):
        assert self._came.wait(15)

    def open(self):
        self._open.set()


KEPT = b"250 2.0.0 kept\r\n"
MESSAGE = [*script.MAIL, *script.RCPT, *script.DATA]


def reload(relay, changes):
    seen = len(relay.log.find("config.reload", result="ok"))
    relay.write_config(changes)
    relay.signal(signal.SIGHUP)
    relay.log.wait("config.reload", count=seen + 1, result="ok")


class Order:
    """Four messages go to a host one behind the other, and it has the first of
    them in hand until `open`."""

    def __init__(self, world, new_relay, ttl=60):
        first, self._second = Gate(), Gate()
        self.mx = world.scripted(
            [*script.OPEN, *MESSAGE, first, KEPT, *MESSAGE, self._second]
            + [KEPT, *MESSAGE] * 6,
            [*script.OPEN, *script.GOODBYE],
        )
        self.domain = world.domain(self.mx, ttl=ttl)
        self.relay = new_relay(
            {"": {"workers": 1}, "delivery": {"connections_per_domain": 1}}
        )
        submit(self.relay, f"u@{self.domain}")
        first.wait()
        self.mids = [submit(self.relay, f"u{n}@{self.domain}") for n in range(4)]
        first.open()
        self._second.wait()

    def open(self):
        self._second.open()
        self.relay.log.one("delivery.sent", mid=self.mids[0])


def test_a_rule_that_is_new_holds_for_the_rest_of_an_order(world, new_relay):
    order = Order(world, new_relay)
    reload(order.relay, {f'domain "{order.domain}"': {"tls": "verified"}})
    order.open()
    for mid in order.mids[1:]:
        got = order.relay.log.one(("delivery.deferred", "delivery.sent"), mid=mid)
        assert got["event"] == "delivery.deferred", got
        assert "4.7.5" in got["reply"], got
    assert len(order.mx.bodies()) == 2


def test_the_mode_holds_for_the_rest_of_an_order(world, new_relay):
    order = Order(world, new_relay)
    reload(order.relay, {"": {"mode": "sink"}})
    order.open()
    for mid in order.mids[1:]:
        got = order.relay.log.one("delivery.sent", mid=mid)
        assert "the mode is sink" in got["reply"], got
    assert len(order.mx.connections) == 1
    assert len(order.mx.bodies()) == 2


def test_what_dns_says_holds_for_the_rest_of_an_order(world, new_relay):
    order = Order(world, new_relay, ttl=1)
    other = world.peer()
    world.dns.drop(order.domain, "MX")
    world.dns.add(order.domain, "MX", f"10 {other.host}.", ttl=1)
    time.sleep(1.2)  # what was learnt before is good no more
    order.open()
    for mid in order.mids[1:]:
        order.relay.log.one("delivery.sent", mid=mid)
    assert len(order.mx.bodies()) == 2
    assert all(x.peer is other for x in world.ledger.of(domain=order.domain))


def test_a_host_that_is_not_believed_any_more_gets_nothing_more(
    world, new_relay, tmp_path
):
    """The connection was verified by anchors that the same file had before."""
    gate = Gate()
    host = f"mx.{world.name()}"
    tls = [script.GREETING, *script.EHLO_TLS, *script.STARTTLS]
    tls += [script.Tls(world.ca.good(host)), *script.EHLO]
    mx = world.scripted(
        [*tls, *MESSAGE, gate, KEPT, *MESSAGE, KEPT], tls, host=host
    )
    d = world.domain(mx)
    anchors = tmp_path / "anchors.pem"
    anchors.write_bytes(open(world.ca.path, "rb").read())
    rule = {"tls": "verified", "mx_ca": str(anchors)}
    relay = new_relay({"": {"workers": 1}, f'domain "{d}"': rule})
    mid = submit(relay, f"first@{d}")
    gate.wait()
    anchors.write_bytes(open(world.stranger.path, "rb").read())
    reload(relay, {})
    gate.open()
    relay.log.one("delivery.sent", mid=mid)
    mid = submit(relay, f"second@{d}")
    got = relay.log.one(("delivery.deferred", "delivery.sent"), mid=mid)
    assert got["event"] == "delivery.deferred", got
    assert "its own trust anchors" in got["reply"], got
    assert len(mx.bodies()) == 1
