"""Routes, modes, and how many connections there are to whom."""

import email
import signal
import smtplib
import threading
import time

import pytest

from lab import script as s
from lab.patience import PATIENCE
from lab.send import submit

FINAL = ("delivery.sent", "delivery.deferred", "delivery.bounced")


def via(world, *peers):
    return [f"{getattr(p, 'host', p)}:{world.mx_port}" for p in peers]


def route(world, *peers, to=("*",), **more):
    return {"to": list(to), "via": via(world, *peers), **more}


# --- routes ---


def test_a_route_takes_what_it_names_and_the_rest_goes_by_mx(world, new_relay):
    smarthost, direct = world.peer(), world.peer()
    routed, by_mx = world.domain(direct), world.domain(direct)
    relay = new_relay({'route "some"': route(world, smarthost, to=[f"@{routed}"])})
    submit(relay, f"bob@{routed}", f"bob@{by_mx}")
    assert world.ledger.one(domain=routed).peer is smarthost
    assert world.ledger.one(domain=by_mx).peer is direct


def test_routes_go_by_sender_too_and_the_first_match_wins(world, new_relay):
    first, second = world.peer(), world.peer()
    relay = new_relay(
        {
            'route "a"': route(world, first, **{"from": ["@special.test"]}),
            'route "b"': route(world, second),
        }
    )
    d = world.name()
    submit(relay, f"a@{d}", sender="x@special.test")
    submit(relay, f"b@{d}", sender="x@other.test")
    assert world.ledger.one(f"a@{d}").peer is first
    assert world.ledger.one(f"b@{d}").peer is second


def test_a_route_fails_over_to_its_next_host_and_does_not_look_at_mx(
    world, new_relay
):
    backup = world.peer()
    relay = new_relay({'route "all"': route(world, world.nobody(), backup)})
    d = world.domain(world.peer())
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is backup
    assert world.dns.asked(d, "MX") == 0


def test_a_route_may_lead_to_the_mx_of_a_domain(world, new_relay):
    peer = world.peer()
    provider = world.domain(peer)
    relay = new_relay(
        {'route "all"': {"to": ["*"], "via": [f"mx:{provider}:{world.mx_port}"]}}
    )
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is peer


def faulty(world, kind):
    host = f"mx.{world.name()}"
    if kind == "clear":
        return world.peer(host, offer=False)
    cert = world.ca.good(host) if kind == "good" else world.ca.expired(host)
    return world.peer(host, cert=cert)


LEVELS = [  # level, host, delivered?, over TLS?
    ("none", "good", True, False),
    ("opportunistic", "good", True, True),
    ("opportunistic", "expired", True, True),
    ("opportunistic", "clear", True, False),
    ("required", "expired", True, True),
    ("required", "clear", False, None),
    ("verified", "good", True, True),
    ("verified", "expired", False, None),
    ("verified", "clear", False, None),
]


@pytest.mark.parametrize("level, host, goes, tls", LEVELS)
def test_a_route_s_tls_level(world, new_relay, level, host, goes, tls):
    peer = faulty(world, host)
    relay = new_relay({'route "all"': route(world, peer, tls=level)})
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    got = relay.log.one(FINAL, mid=mid)
    if goes:
        assert bool(world.ledger.one(domain=d).tls) == tls
    else:
        assert got["event"] == "delivery.deferred" and "4.7.5" in got["reply"]
        assert not any(c.startswith("MAIL") for c in peer.commands)


def test_a_route_is_verified_unless_it_says_otherwise(world, new_relay):
    relay = new_relay({'route "all"': route(world, faulty(world, "expired"))})
    mid = submit(relay, f"bob@{world.name()}")
    assert "4.7.5" in relay.log.one("delivery.deferred", mid=mid)["reply"]


def test_what_waits_for_a_route_takes_the_new_one_after_a_reload(world, new_relay):
    peer = world.peer()
    relay = new_relay({'route "all"': route(world, world.nobody())})
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    relay.log.one("delivery.deferred", mid=mid)
    relay.write_config({'route "all"': route(world, peer)})
    relay.signal(signal.SIGHUP)
    assert world.ledger.one(domain=d).peer is peer


# --- modes ---


def test_mode_sink_takes_everything_and_delivers_nothing(world, new_relay):
    relay = new_relay({"": {"mode": "sink"}})
    d = world.domain(world.peer())
    mid = submit(relay, f"bob@{d}")
    assert "sink" in relay.log.one("delivery.sent", mid=mid)["reply"]
    assert world.dns.asked(d) == 0 and not world.ledger.of(domain=d)
    warning = relay.log.one("relay.mode")
    assert (warning["level"], warning["mode"]) == ("warning", "sink")
    assert "MODE SINK" in relay.cli("status").stdout


def test_mode_redirect_sends_everything_to_one_address(world, new_relay):
    catcher = f"all@{world.domain(world.peer())}"
    relay = new_relay({"": {"mode": "redirect", "redirect_to": catcher}})
    d = world.domain(world.peer())
    submit(relay, f"bob@{d}", f"eve@{d}")
    got = world.ledger.one(catcher)
    assert got.rcpts == [catcher], "once for each message"
    assert any(f"bob@{d}" in a for args in got.rcpt_args for a in args)
    assert email.message_from_bytes(got.data).get_all("X-Original-To") == [
        f"bob@{d}",
        f"eve@{d}",
    ]
    assert world.dns.asked(d) == 0 and not world.ledger.of(domain=d)
    warning = relay.log.one("relay.mode", mode="redirect", to=catcher)
    assert warning["level"] == "warning"
    assert f"MODE REDIRECT: all mail goes to {catcher}" in relay.cli("status").stdout


def test_mode_redirect_holds_back_what_was_queued_before_it(world, new_relay):
    """A copy of a live queue, say, on a staging system."""
    mx = world.peer()
    mx.replies["RCPT"] = {}
    d = world.domain(mx)
    relay = new_relay({"retry": {"schedule": ["200ms"]}})
    mx.replies["MAIL"] = [["451 4.3.2 not now"]]
    mid = submit(relay, f"bob@{d}")
    relay.log.one("delivery.deferred", mid=mid)
    mx.replies["MAIL"] = []
    catcher = f"all@{world.domain(world.peer())}"
    relay.stop()
    relay.write_config({"": {"mode": "redirect", "redirect_to": catcher}})
    relay.start()
    held = relay.log.wait("delivery.deferred", count=2, mid=mid)
    assert "redirect" in held[0]["reply"]
    assert not world.ledger.of(domain=d)
    relay.write_config({"": {"mode": "live"}})
    relay.signal(signal.SIGHUP)
    world.ledger.one(domain=d)


def test_mode_redirect_gives_up_nothing_that_it_holds_back(world, new_relay):
    """However long that takes."""
    mx = world.peer()
    d = world.domain(mx)
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    mx.replies["MAIL"] = ["451 4.3.2 not now"]
    mid = submit(relay, f"bob@{d}")
    relay.log.one("delivery.deferred", mid=mid)
    catcher = f"all@{world.domain(world.peer())}"
    changes = {
        "": {"mode": "redirect", "redirect_to": catcher},
        "retry": {"expire": "1s", "warn": "0"},
    }
    relay.write_config(changes)
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    ends, n, old = ("delivery.deferred", "delivery.expired"), 1, False
    while n < 6 or not old:
        n += 1
        relay.cli("queue", "retry", mid)
        last = relay.log.wait(ends, count=n, mid=mid)[-1]
        assert last["event"] == "delivery.deferred", last
        assert "redirect" in last["reply"], last
        old = last["delay_ms"] > 1000
    relay.write_config({"": {"mode": "live"}})
    relay.signal(signal.SIGHUP)
    relay.log.wait("config.reload", count=2, result="ok")
    relay.cli("queue", "retry", mid)
    world.ledger.one(domain=d)


def test_mode_redirect_sends_bounces_there_too(world, new_relay):
    peer = world.peer()
    catcher = f"all@{world.domain(peer)}"
    relay = new_relay({"": {"mode": "redirect", "redirect_to": catcher}})
    home = world.domain(world.peer())
    peer.replies["RCPT"] = {catcher: ["550 5.1.1 not this one"]}
    mid = submit(relay, f"bob@{world.name()}", sender=f"app@{home}")
    relay.log.one("delivery.bounced", mid=mid)
    assert b"Action: failed" in world.ledger.one(catcher).data
    assert not world.ledger.of(domain=home)


# --- the variables of other relay images ---


@pytest.mark.parametrize("image", ["RELAYHOST", "SMTP_SERVER"])
def test_the_variables_of_other_images_make_a_relay(world, new_relay, image):
    peer = world.peer()
    where = {
        "RELAYHOST": {"RELAYHOST": f"[{peer.host}]:{peer.port}"},
        "SMTP_SERVER": {"SMTP_SERVER": peer.host, "SMTP_PORT": str(peer.port)},
    }
    environ = {
        **where[image],
        "ALLOWED_SENDER_DOMAINS": "one.test sender.lab.test",
        "POSTFIX_myhostname": "named.lab.test",
        "POSTFIX_mynetworks": "127.0.0.0/8 [::1]/128",
        "POSTFIX_message_size_limit": "100000",
    }
    relay = new_relay(environ=environ)
    submit(relay, f"bob@{world.name()}")
    got = world.ledger.one(peer=peer)
    assert b"by named.lab.test" in got.data
    with smtplib.SMTP(relay.ip, relay.port, "client.lab.test", 30) as c:
        c.ehlo()
        assert c.esmtp_features["size"] == "100000"
        assert c.mail("x@elsewhere.test")[0] == 550
    told = [e["text"] for e in relay.log.find("config.note")]
    for name in environ.keys() - {"SMTP_PORT"}:
        assert [t for t in told if f" {name}: is taken as " in t], told


@pytest.mark.parametrize("image", ["RELAYHOST", "SMTP"])
@pytest.mark.parametrize("from_file", [True, False])
def test_their_names_and_passwords_are_taken_too(
    world, new_relay, tmp_path, image, from_file
):
    p = world.provider()
    p.passwords["app"], p.mechanisms = "hunter2 # x", ["PLAIN"]
    secret = tmp_path / "password"
    secret.write_text("hunter2 # x\n")
    secret.chmod(0o600)
    where = f"{p.host}:{p.port}"
    environ = {"RELAYHOST": where}
    if image == "SMTP":
        environ = {"SMTP_SERVER": p.host, "SMTP_PORT": str(p.port)}
    environ[f"{image}_USERNAME"] = "app"
    if from_file:
        environ[f"{image}_PASSWORD_FILE"] = str(secret)
    else:
        environ[f"{image}_PASSWORD"] = "hunter2 # x"
    relay = new_relay(environ=environ)
    submit(relay, f"bob@{world.name()}")
    world.ledger.one(peer=p)
    assert p.shown == [("PLAIN", "app", "hunter2 # x")]
    told = [e["text"] for e in relay.log.find("config.note")]
    assert len(told) == 3 and "hunter2" not in str(relay.log.events)


# --- connections ---


def test_a_connection_is_used_again(world, relay):
    d = world.domain(world.peer())
    for n in range(6):
        submit(relay, f"u{n}@{d}")
        world.ledger.one(f"u{n}@{d}")
    sessions = {m.session for m in world.ledger.of(domain=d)}
    assert len(sessions) <= 2, "at most one for each worker"


def test_no_connection_takes_more_messages_than_allowed(world, new_relay):
    relay = new_relay(
        {"delivery": {"messages_per_connection": 2}, "": {"workers": 1}}
    )
    d = world.domain(world.peer())
    for n in range(6):
        submit(relay, f"u{n}@{d}")
        world.ledger.one(f"u{n}@{d}")
    assert len({m.session for m in world.ledger.of(domain=d)}) == 3


def test_a_connection_that_died_while_it_waited_costs_nothing(world, new_relay):
    relay = new_relay({"": {"workers": 1}})
    peer = world.scripted([*s.ACCEPT, s.FIN], [*s.ACCEPT, s.FIN])
    d = world.domain(peer)
    for n in range(2):
        mid = submit(relay, f"u{n}@{d}")
        assert relay.log.one(FINAL, mid=mid)["event"] == "delivery.sent"
        peer.wait(n + 1)


class Crowd:
    """Counts how many sessions are inside at a time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = 0

    def enter(self, _connection):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.1)

    def leave(self, _connection):
        with self.lock:
            self.now -= 1

    def dialog(self):
        return [*s.SENT, self.enter, self.leave, b"250 ok\r\n", *s.GOODBYE]


@pytest.mark.parametrize("where", ["domain", "route"])
def test_there_are_never_more_connections_than_allowed(world, new_relay, where):
    crowd = Crowd()
    peer = world.scripted(crowd.dialog())
    d = world.domain(peer)
    config = {"delivery": {"messages_per_connection": 1}}
    if where == "domain":
        config["delivery"]["connections_per_domain"] = 3
    else:
        config['route "all"'] = route(world, peer, tls="none", connections=3)
    relay = new_relay(config)
    for n in range(24):
        submit(relay, f"u{n}@{d}")
    relay.log.wait("delivery.sent", count=24)
    assert 1 < crowd.most <= 3


def test_a_dead_destination_is_probed_by_one_message_while_others_flow(
    world, new_relay
):
    relay = new_relay({"retry": {"schedule": ["300ms", "20s"]}})
    dead_host = world.nobody()
    dead, alive = world.domain(dead_host), world.domain(world.peer())
    first = submit(relay, f"first@{dead}")
    relay.log.one("delivery.deferred", mid=first)
    for n in range(40):
        submit(relay, f"u{n}@{dead}")
        submit(relay, f"u{n}@{alive}")
    world.ledger.wait(domain=alive, count=40)
    time.sleep(1)
    tries = [
        e for e in relay.log.find("delivery.attempt") if e["destination"] == dead
    ]
    assert len(tries) <= 6, f"{len(tries)} attempts at a dead host"


def test_when_a_dead_destination_comes_back_everything_flows(world, new_relay):
    relay = new_relay({"retry": {"schedule": ["300ms", "500ms"]}})
    host = f"mx.{world.name()}"
    ip = world.address()
    world.dns.put(host, "A", ip, ttl=1)
    d = world.domain(host, ttl=1)
    for n in range(30):
        submit(relay, f"u{n}@{d}")
    relay.log.one("delivery.deferred", to=f"u0@{d}")
    peer = world.peer(host)
    world.dns.put(host, "A", peer.ip, ttl=1)
    got = world.ledger.wait(domain=d, count=30)
    assert sorted(r for m in got for r in m.rcpts) == sorted(
        f"u{n}@{d}" for n in range(30)
    )


def test_a_peer_that_never_answers_holds_up_nobody_else(world, relay):
    stuck = world.domain(world.scripted([s.Sleep(2 * PATIENCE), s.FIN]))
    alive = world.domain(world.peer())
    for n in range(10):
        submit(relay, f"u{n}@{stuck}")
        submit(relay, f"u{n}@{alive}")
    world.ledger.wait(domain=alive, count=10)
