"""What a relay must survive between two events that seldom meet: a stop in the
middle of a body, a reload in the middle of a session."""

import signal
import threading
import time

import pytest

from lab import net, script
from lab.send import Wire, message, submit


class Pourer:
    """A client that sends one body without end, as fast as it is taken."""

    def __init__(self, relay, rcpt):
        self.wire = Wire(relay.ip, relay.port)
        self.wire.data(rcpt)
        self.sent = 0
        self._flowing = threading.Event()
        self._thread = threading.Thread(target=self._pour, daemon=True)
        self._thread.start()
        assert self._flowing.wait(15)

    def _pour(self):
        line = b"x" * 998 + b"\r\n"
        try:
            self.wire.send(message())
            while True:
                self.wire.send(line * 64)
                self.sent += 64 * len(line)
                if self.sent > 1 << 20:
                    self._flowing.set()
        except OSError:
            self._flowing.set()

    def close(self):
        self.wire.sock.close()
        self._thread.join(15)


@pytest.mark.threads
def test_a_stop_cuts_a_body_off_and_ends_well(world, new_relay):
    for _ in range(4):
        relay = new_relay({"access": {"message_size_max": "1G"}})
        pourers = [Pourer(relay, "bob@nobody.test") for _ in range(4)]
        relay.signal(signal.SIGTERM)
        relay.signal(signal.SIGINT)  # asked twice: at once
        code = relay.wait()
        for p in pourers:
            p.close()
        assert code == 0, relay.stderr()


def test_a_stop_begins_no_further_message_of_an_order(world, new_relay):
    mx = world.peer()
    mx.delay = 0.7
    d = world.domain(mx)
    relay = new_relay({"delivery": {"connections_per_domain": 1}})
    for n in range(8):
        submit(relay, f"u{n}@{d}")
    relay.log.wait("delivery.sent", count=2)
    before = len(world.ledger.of(domain=d))
    relay.stop()
    assert len(world.ledger.of(domain=d)) <= before + 1
    mx.delay = 0
    relay.start()
    for n in range(8):
        world.ledger.one(f"u{n}@{d}")
    assert len(world.ledger.of(domain=d)) == 8


# --- hosts of a route ---


def test_two_ports_of_one_host_are_two_hosts_of_a_route(world, new_relay):
    peer = world.peer()
    busy = net.free_port_below_ephemeral()
    first = script.Scripted(peer.host, peer.ip, busy, [b"421 4.3.2 not now\r\n"])
    via = [f"{peer.host}:{busy}", f"{peer.host}:{world.mx_port}"]
    relay = new_relay({'route "all"': {"to": ["*"], "via": via}})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer
    assert len(first.connections) == 1
    first.close()


def test_a_port_for_tls_is_never_tried_in_clear(world, new_relay):
    """An opportunistic route whose second host is one with implicit TLS."""
    host = world.nobody()
    try:
        clear = script.Scripted(host, net.address(), 465, [script.GREETING] * 50)
    except PermissionError:
        pytest.skip("port 465 is for root")
    world.dns.put(host, "A", clear.ip)
    via = [f"{world.nobody()}:{world.mx_port}", f"{host}:465"]
    relay = new_relay(
        {'route "all"': {"to": ["*"], "via": via, "tls": "opportunistic"}}
    )
    mid = submit(relay, f"bob@{world.name()}")
    got = relay.log.one("delivery.deferred", mid=mid)
    assert "4.7.5" in got["reply"] and got["proof"] == "encrypt"
    assert len(clear.connections) == 1
    clear.close()


def test_a_route_that_leads_back_here_puts_off_and_bounces_nothing(
    world, new_relay
):
    relay = new_relay({'route "all"': {"to": ["*"], "via": ["127.0.0.1:1"]}}, start=False)
    relay.config['route "all"'] = {
        "to": ["*"],
        "via": [f"{relay.ip}:{relay.port}"],
        "tls": "none",
    }
    relay.start()
    mid = submit(relay, f"bob@{world.name()}")
    got = relay.log.wait(("delivery.deferred", "delivery.bounced"), mid=mid)[0]
    assert got["event"] == "delivery.deferred" and "4.4.6" in got["reply"]


# --- reloads ---


def reload(relay, changes):
    seen = len(relay.log.find("config.reload", result="ok"))
    relay.write_config(changes)
    relay.signal(signal.SIGHUP)
    relay.log.wait("config.reload", count=seen + 1, result="ok")


def test_starttls_in_a_session_whose_certificate_was_taken_away(world, new_relay):
    relay = new_relay()
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready()
        reload(
            relay,
            {
                'listener "tls"': {"tls": "none"},
                'listener "smtps"': {"tls": "none"},
                "tls": {"certificate": "", "key": ""},
            },
        )
        c.send(b"STARTTLS\r\n")
        assert (c.read() or (220,))[0] == 220
    submit(relay, f"bob@{world.domain(world.peer())}")


def test_a_reload_in_the_middle_of_a_look_up_is_not_answered_by_it(
    world, new_relay
):
    slow, good = world.nobody(), world.peer()
    world.dns.behave(slow, "timeout")
    before = {"to": ["*"], "via": [f"{slow}:{world.mx_port}"]}
    relay = new_relay({'route "all"': before, "resolver": {"timeout": "2s"}})
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    time.sleep(0.3)
    reload(relay, {'route "all"': {"via": [f"{good.host}:{world.mx_port}"]}})
    assert world.ledger.one(domain=d).peer is good
    assert not relay.log.find("delivery.deferred", mid=mid)


# --- messages that ask for different things, one behind the other ---


def demand(relay, rcpt):
    return submit(
        relay,
        rcpt,
        port=relay.tls_port,
        starttls=True,
        mail_options=["REQUIRETLS"],
    )


def test_what_one_message_demands_bounces_no_other(world, new_relay):
    mx = world.peer()
    d = world.domain(mx)
    relay = new_relay({"delivery": {"connections_per_domain": 1}})
    submit(relay, f"first@{d}")
    world.ledger.one(f"first@{d}")
    mx.delay = 1  # while the others gather
    submit(relay, f"slow@{d}")
    time.sleep(0.2)
    mx.delay = 0
    strict = demand(relay, f"strict@{d}")
    plain = [submit(relay, f"u{n}@{d}") for n in range(4)]
    assert "5.7.10" in relay.log.one("delivery.bounced", mid=strict)["reply"]
    for n in range(4):
        world.ledger.one(f"u{n}@{d}")
    assert not any(relay.log.find("delivery.bounced", mid=mid) for mid in plain)


def test_requiretls_finds_its_host_past_a_connection_that_waits(world, new_relay):
    relay = new_relay({"": {"workers": 1}})
    poor, rich = world.peer(), world.peer(requiretls=True)
    d = world.sts(world.domain(poor, rich), mx=[poor, rich])
    submit(relay, f"first@{d}")
    assert world.ledger.one(f"first@{d}").peer is poor
    demand(relay, f"strict@{d}")
    assert world.ledger.one(f"strict@{d}").peer is rich
