"""What the relay makes of its peers' replies, or of having none."""

import time

import pytest

from lab import script as s
from lab.send import Wire, message, submit

FINAL = ("delivery.sent", "delivery.deferred", "delivery.bounced")


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def outcome(relay, mid, **fields):
    return relay.log.one(FINAL, mid=mid, **fields)


def scripted(world, *dialogs):
    """A domain whose only host follows these dialogs."""
    peer = world.scripted(*dialogs)
    return world.domain(peer), peer


# --- each recipient has its own fate ---


def test_each_recipient_gets_what_its_own_reply_says(world, relay, home):
    mx = world.peer()
    d = world.domain(mx)
    mx.replies["RCPT"] = {
        f"gone@{d}": [["550 5.1.1 no such user"]],
        f"later@{d}": ["450 4.2.1 mailbox busy"],
    }
    rcpts = [f"{name}@{d}" for name in ("gone", "later", "ok", "fine")]
    mid = submit(relay, *rcpts, sender=f"app@{home}")
    first = world.ledger.one(f"ok@{d}")
    assert first.rcpts == [f"ok@{d}", f"fine@{d}"], "one transaction for both"
    bounce = relay.log.one("delivery.bounced", mid=mid)
    assert bounce["to"] == f"gone@{d}" and "550 5.1.1" in bounce["reply"]
    assert "450 4.2.1" in outcome(relay, mid, to=f"later@{d}")["reply"]
    assert world.ledger.one(f"later@{d}").rcpts == [f"later@{d}"]
    report = world.ledger.one(f"app@{home}").data
    assert b"no such user" in report and f"ok@{d}".encode() not in report


@pytest.mark.parametrize("step", ["MAIL", "DOT"])
@pytest.mark.parametrize("code", [451, 550])
def test_4xx_waits_and_5xx_bounces_at(world, relay, home, step, code):
    mx = world.peer()
    mx.replies[step] = [f"{code} {code // 100}.3.0 not today"]
    d = world.domain(mx)
    mid = submit(relay, f"bob@{d}", sender=f"app@{home}")
    got = outcome(relay, mid)
    assert f"{code} " in got["reply"] and "not today" in got["reply"]
    if code == 451:
        world.ledger.one(domain=d)
        assert not world.ledger.of(f"app@{home}")
    else:
        world.ledger.one(f"app@{home}")
        assert not world.ledger.of(domain=d)


STEPS = {
    "greeting": [],
    "ehlo": [s.GREETING, "EHLO"],
    "mail": [*s.OPEN, "MAIL"],
    "rcpt": [*s.OPEN, *s.MAIL, "RCPT"],
    "data": [*s.OPEN, *s.MAIL, *s.RCPT, "DATA"],
    "dot": s.SENT,
}
ACCEPTING = [*s.ACCEPT, *s.GOODBYE]


@pytest.mark.parametrize("step", STEPS)
def test_421_anywhere_means_later(world, relay, step):
    first = [*STEPS[step], b"421 4.3.2 going down\r\n", s.FIN]
    d, peer = scripted(world, first, ACCEPTING)
    mid = submit(relay, f"bob@{d}")
    got = outcome(relay, mid)
    assert got["event"] == "delivery.deferred" and "421" in got["reply"], got
    relay.log.one("delivery.sent", mid=mid)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_connection_lost_anywhere_means_later(world, relay, step, how):
    d, peer = scripted(world, [*STEPS[step], getattr(s, how)], ACCEPTING)
    mid = submit(relay, f"bob@{d}")
    got = outcome(relay, mid)
    assert got["event"] == "delivery.deferred" and " 4.4." in got["reply"], got
    if step == "dot":
        assert "may have been delivered" in got["reply"]
    relay.log.one("delivery.sent", mid=mid)
    assert len(peer.bodies()) == (2 if step == "dot" else 1)


GARBAGE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n",
    b"\0\0\0\0\r\n",
    b"25\r\n",
    b"2500 x\r\n",
    b"abc\r\n",
    b" 250 x\r\n",
    b"250_x\r\n",
    b"999 x\r\n",
    b"250-a\r\n550 b\r\n",
    b"x" * 5000 + b"\r\n",
    b"250-y\r\n" * 2000 + b"250 z\r\n",  # but an offer may be long
]


@pytest.mark.parametrize("step", ["greeting", "ehlo", "rcpt", "dot"])
def test_garbage_is_no_reply(world, relay, step):
    sent = {}
    for garbage in GARBAGE if step != "ehlo" else GARBAGE[:-1]:
        d, _ = scripted(world, [*STEPS[step], garbage, ""], ACCEPTING)
        sent[submit(relay, f"bob@{d}")] = garbage
    for mid, garbage in sent.items():
        got = outcome(relay, mid)
        assert got["event"] == "delivery.deferred", (garbage[:60], got)
        assert all(c.isprintable() for c in got["reply"]), got["reply"]
    for mid in sent:
        relay.log.one("delivery.sent", mid=mid)


UNSOLICITED = {
    "B22-with-the-banner": [s.GREETING + b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n"],
    "B23-premature-250": [*STEPS["data"], b"354 go\r\n250 queued\r\n"],
    "B24-garbage-then-bye": [*s.SENT, b"bla\r\n250 ok\r\n221 bye\r\n"],
    "B25-354": [*s.SENT, b"354 again\r\n"],
    "B25-221": [*s.SENT, b"221 bye\r\n"],
    "B25-150": [*s.SENT, b"150 hm\r\n"],
    "B29-data-250": [*STEPS["data"], b"250 fine\r\n"],
}


@pytest.mark.parametrize("row", UNSOLICITED)
def test_what_was_not_asked_for_delivers_nothing(world, relay, row):
    d, peer = scripted(world, [*UNSOLICITED[row], ""], ACCEPTING)
    mid = submit(relay, f"bob@{d}")
    assert outcome(relay, mid)["event"] == "delivery.deferred"
    relay.log.one("delivery.sent", mid=mid)


SUCCESS = [
    *(b"250\r\n", b"250 \r\n", b"250-one\r\n250 two\r\n"),
    *(b"251 elsewhere\r\n", b"250 5.1.1 odd\r\n"),
]


@pytest.mark.parametrize("reply", SUCCESS)
def test_any_whole_2xx_to_the_dot_is_success(world, relay, reply):
    d, peer = scripted(world, [*s.SENT, reply, *s.GOODBYE])
    mid = submit(relay, f"bob@{d}")
    assert outcome(relay, mid)["event"] == "delivery.sent"


def test_250_and_then_a_reset_is_success(world, relay):
    d, peer = scripted(world, [*s.SENT, b"250 ok\r\n", s.Sleep(0.1), s.RST])
    mid = submit(relay, f"bob@{d}")
    assert outcome(relay, mid)["event"] == "delivery.sent"


def test_a_reply_may_come_octet_by_octet(world, relay):
    slow = [part for c in b"250 2.0.0 kept\r\n" for part in (bytes([c]), s.Sleep(0.005))]
    d, peer = scripted(world, [*s.SENT, *slow, *s.GOODBYE])
    mid = submit(relay, f"bob@{d}")
    assert outcome(relay, mid)["event"] == "delivery.sent"


def test_helo_is_said_to_a_host_without_ehlo(world, relay):
    d, peer = scripted(
        world,
        [s.GREETING, "EHLO", b"502 5.5.1 what?\r\n", "HELO", b"250 mx\r\n"]
        + [*s.MAIL, *s.RCPT, *s.DATA, b"250 ok\r\n", *s.GOODBYE],
    )
    mid = submit(relay, f"bob@{d}", mail_options=["RET=HDRS"])
    assert outcome(relay, mid)["event"] == "delivery.sent"
    assert "RET" not in peer.heard()[2]


def test_dots_are_stuffed_on_the_way_out(world, relay):
    d, peer = scripted(world, ACCEPTING)
    mid = submit(relay, f"bob@{d}", data=message(body=".\r\n..\r\n.x\r\n"))
    relay.log.one("delivery.sent", mid=mid)
    assert peer.bodies()[0].endswith(b"\r\n\r\n..\r\n...\r\n..x")


# --- opportunistic TLS ---


BROKEN_TLS = {
    "454": ["STARTTLS", b"454 4.7.0 no\r\n", *s.MAIL, *s.RCPT, *s.DATA, b"250 ok\r\n", ""],
    "clear": [*s.STARTTLS, b"250 still in clear\r\n", ""],
    "closed": [*s.STARTTLS, s.FIN],
}


@pytest.mark.parametrize("how", BROKEN_TLS)
def test_opportunistic_tls_falls_back_in_clear_on_a_new_connection(world, relay, how):
    first = [s.GREETING, *s.EHLO_TLS, *BROKEN_TLS[how]]
    second = [s.GREETING, *s.EHLO_TLS, *ACCEPTING[3:]]
    d, peer = scripted(world, first, second)
    mid = submit(relay, f"bob@{d}")
    sent = relay.log.one("delivery.sent", mid=mid)
    assert sent["policy"] == "opportunistic" and not sent.get("tls_version")
    if how != "454":
        assert b"MAIL" not in peer.connections[0].received.upper()
        assert len(peer.connections) == 2


def test_opportunistic_tls_takes_any_certificate_and_says_what_it_was_worth(
    world, relay
):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.self_signed(host))
    mid = submit(relay, f"bob@{world.domain(peer)}")
    sent = relay.log.one("delivery.sent", mid=mid)
    assert sent["tls_version"] and sent["certificate"] != "verified"


# --- loops ---


def test_A97_a_peer_with_our_own_name_is_a_loop(world, relay, home):
    peer = world.peer(says="relay.lab.test")
    d = world.domain(peer)
    mid = submit(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.4.6" in outcome(relay, mid)["reply"]
    assert b"5.4.6" in world.ledger.one(f"app@{home}").data


def test_A97_an_mx_host_at_our_own_listener_is_a_loop(world, new_relay, home):
    ip = world.address()
    relay = new_relay({'listener "mx"': {"address": f"{ip}:{world.mx_port}"}})
    host = f"mx.{world.name()}"
    world.dns.put(host, "A", ip)
    mid = submit(relay, f"bob@{world.domain(host)}", sender=f"app@{home}")
    got = outcome(relay, mid)
    assert got["event"] == "delivery.bounced" and "5.4.6" in got["reply"], got


@pytest.mark.parametrize("hops, code", [(50, 250), (51, 554)])
def test_A92_too_many_received_fields_are_a_loop(world, relay, hops, code):
    d = world.domain(world.peer())
    field = "Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000"
    fields = [field] * hops
    with Wire(relay.ip, relay.port) as c:
        c.data(f"bob@{d}")
        c.send(message(extra=fields) + b".\r\n")
        c.expect(code, "" if code == 250 else "5.4.6")


def test_A98_two_relays_that_point_at_each_other_stop_with_one_bounce(
    world, new_relay, home
):
    a, b = (
        new_relay({"": {"hostname": f"{name}.lab.test"}}, start=False)
        for name in ("ping", "pong")
    )
    d = world.name()
    for one, other in ((a, b), (b, a)):
        one.config['route "other"'] = {
            "to": [f"@{d}"],
            "via": [f"[{other.ip}]:{other.port}"],
            "tls": "none",
        }
        one.start()
    submit(a, f"bob@{d}", sender=f"app@{home}")
    report = world.ledger.one(f"app@{home}", timeout=30)
    assert b"5.4.6" in report.data
    time.sleep(0.3)
    assert len(world.ledger.of(f"app@{home}")) == 1
