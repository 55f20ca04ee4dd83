"""Peers that mean harm, or have gone mad: the relay stays small, quick and
correct, and other mail flows."""

import pathlib
import re
import time

import pytest

from lab import script as s
from lab.patience import PATIENCE
from lab.send import SENDER, Wire, message, submit

ACCEPTING = [*s.ACCEPT, *s.GOODBYE]


def domain_of(world, *dialogs):
    return world.domain(world.scripted(*dialogs))


def deferred(relay, mid):
    line = relay.log.one(("delivery.deferred", "delivery.sent"), mid=mid)
    assert line["event"] == "delivery.deferred", line
    return line


# --- as an MX host ---

OFFERS = {
    "B9-many": b"".join(b"250-X%d\r\n" % i for i in range(90)) + b"250 Z\r\n",
    "B9-size": b"250-mx\r\n250 SIZE 99999999999999999999\r\n",
    "B9-negative": b"250-mx\r\n250 SIZE -1\r\n",
    "B9-size-0": b"250-mx\r\n250 SIZE 0\r\n",
    "B9-rcptmax-0": b"250-mx\r\n250 LIMITS RCPTMAX=0\r\n",
    "B9-twice": b"250-mx\r\n250-8BITMIME\r\n250-8BITMIME\r\n250 8bitmime\r\n",
    "B9-nothing": b"250 \r\n",
    "B9-odd": b"250-mx\r\n250-=\r\n250- \r\n250 \x01\x02\r\n",
}


@pytest.mark.parametrize("row", OFFERS)
def test_an_odd_offer_does_no_harm(world, relay, row):
    d = domain_of(world, [s.GREETING, "EHLO", OFFERS[row], *ACCEPTING[3:]])
    mid = submit(relay, f"bob@{d}")
    assert relay.log.one("delivery.sent", mid=mid)


def test_a_message_larger_than_the_host_takes_bounces(world, relay):
    home = world.domain(world.peer())
    d = world.domain(world.peer(size=1000))
    submit(relay, f"bob@{d}", sender=f"app@{home}", data=message(body="x\r\n" * 5000))
    assert b"5.3.4" in world.ledger.one(f"app@{home}").data
    assert not world.ledger.of(domain=d)


LARGE = message(body="x\r\n" * 5000)


def test_a_larger_host_behind_a_small_one_gets_what_is_too_large_for_that(world, relay):
    small, large = world.peer(size=1000), world.peer()
    d = world.domain(small, large)
    mid = submit(relay, f"bob@{d}", f"carol@{d}", data=LARGE)
    assert world.ledger.one(domain=d).peer is large
    assert relay.log.wait("delivery.sent", 2, mid=mid)
    submit(relay, f"dave@{d}")
    assert world.ledger.one(f"dave@{d}").peer is small


def test_what_is_too_large_for_all_hosts_bounces_at_once(world, relay):
    d = world.domain(world.peer(size=1000), world.peer(size=2000))
    mid = submit(relay, f"bob@{d}", data=LARGE)
    assert "5.3.4" in relay.log.one("delivery.bounced", mid=mid)["reply"]


@pytest.mark.parametrize("dead", ["first", "last"])
def test_what_is_too_large_for_one_host_waits_for_the_other(world, relay, dead):
    hosts = [world.nobody(), world.peer(size=1000)]
    if dead == "last":
        hosts.reverse()
    mid = submit(relay, f"bob@{world.domain(*hosts)}", data=LARGE)
    event = relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert event["event"] == "delivery.deferred", event


PIPELINING = ["EHLO", b"250-mx\r\n250 PIPELINING\r\n"]


def pipelined(*replies):
    """All commands up to DATA are read before these replies are sent."""
    return [s.GREETING, *PIPELINING, "MAIL", "RCPT", "RCPT", "DATA", b"".join(replies)]


OK, NO = b"250 ok\r\n", b"550 5.1.1 no\r\n"


def test_B26_one_reply_too_many_delivers_nothing(world, relay):
    greedy = [*pipelined(OK, OK, OK, OK, b"354 go\r\n"), s.BODY, OK, ""]
    d = domain_of(world, greedy, ACCEPTING)
    mid = submit(relay, f"a@{d}", f"b@{d}")
    deferred(relay, mid)


def test_B26_one_reply_too_few_and_then_the_end_delivers_nothing(world, relay):
    d = domain_of(world, [*pipelined(OK, OK, b"354 go\r\n"), s.FIN], ACCEPTING)
    mid = submit(relay, f"a@{d}", f"b@{d}")
    deferred(relay, mid)


def test_B28_when_all_recipients_are_refused_and_data_is_not_a_lone_dot_ends_it(
    world, relay
):
    peer = world.scripted(
        [*pipelined(OK, NO, NO, b"354 go\r\n"), s.BODY, b"250 took nothing\r\n", ""]
    )
    d = world.domain(peer)
    mid = submit(relay, f"a@{d}", f"b@{d}", sender="")
    bounced = relay.log.wait("delivery.bounced", count=2, mid=mid)
    assert {line["to"] for line in bounced} == {f"a@{d}", f"b@{d}"}
    assert not relay.log.find("delivery.sent", mid=mid)
    assert peer.bodies() in ([], [b""])


def test_B26_pipelined_replies_find_their_recipients(world, relay):
    d = domain_of(
        world, [*pipelined(OK, NO, OK, b"354 go\r\n"), s.BODY, OK, *s.GOODBYE]
    )
    mid = submit(relay, f"a@{d}", f"b@{d}", sender="")
    assert relay.log.one("delivery.bounced", mid=mid)["to"] == f"a@{d}"
    assert relay.log.one("delivery.sent", mid=mid)["to"] == f"b@{d}"


def test_B30_whatever_a_reply_holds_the_log_stays_lines_of_json(world, relay):
    reply = b"550 5.1.1 \x1b[2J \x00 \x9b \xff\xfe {\"a\": \"b\"}, <script> %n%s \r\n"
    d = domain_of(world, [*s.OPEN, *s.MAIL, "RCPT", reply, ""])
    mid = submit(relay, f"bob@{d}", sender="")
    line = relay.log.one("delivery.bounced", mid=mid)
    assert "<script>" in line["reply"] and line["reply"].isprintable()
    assert not relay.log.garbage


def test_B36_a_flood_between_replies_is_cut_off(world, relay):
    flood = [b"250-" + b"x" * 500 + b"\r\n"] * 20000
    d = domain_of(world, [*s.OPEN, "MAIL", *flood], ACCEPTING)
    before = resident(relay)
    mid = submit(relay, f"bob@{d}")
    deferred(relay, mid)
    assert resident(relay) - before < 20 * 1024
    relay.log.one("delivery.sent", mid=mid)


def resident(relay):
    status = pathlib.Path(f"/proc/{relay.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


def test_B38_a_host_that_ignores_quit_holds_nobody_up(world, new_relay):
    relay = new_relay({"delivery": {"messages_per_connection": 1}})
    d = domain_of(world, [*s.ACCEPT, "QUIT", s.Sleep(30)])
    began = time.monotonic()
    for n in range(5):
        mid = submit(relay, f"u{n}@{d}")
        relay.log.one("delivery.sent", mid=mid)
    assert time.monotonic() - began < 25


def test_B40_replies_split_between_cr_and_lf_are_the_same(world, relay):
    split = []
    for step in ACCEPTING:
        if isinstance(step, bytes):
            split += [step[:-1], s.Sleep(0.01), step[-1:]]
        else:
            split.append(step)
    mid = submit(relay, f"bob@{domain_of(world, split)}")
    relay.log.one("delivery.sent", mid=mid)


# --- as a client ---


def test_A47_a_command_without_end_is_cut_off(relay):
    with Wire(relay.ip, relay.port) as c:
        try:
            for _ in range(200):
                c.send(b"x" * 65536)
        except OSError:
            pass
        got = c.read()
        assert got is None or got[0] in (421, 500), got


def test_A58_endless_errors_end_the_session(relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(b"BOGUS\r\n" * 50)
        codes = []
        while (got := c.read()) is not None:
            codes.append(got[0])
        assert codes[-1] == 421 and len(codes) <= 21, codes


def test_A58_endless_noops_end_the_session(relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(b"NOOP\r\n" * 300)
        codes = []
        while (got := c.read()) is not None:
            codes.append(got[0])
        assert codes[-1] == 421 and len(codes) <= 101, len(codes)


@pytest.mark.parametrize(
    "line",
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2", "XCLIENT ADDR=127.0.0.1", "XFORWARD NAME=x"],
)
def test_A60_nobody_may_say_who_he_is(relay, line):
    with Wire(relay.ip, relay.port) as c:
        c.send(line.encode() + b"\r\n")
        assert c.read()[0] in (500, 502)


HOSTILE_LOCAL_PARTS = [
    "\"x'/**/UNION/**/SELECT/**/X'00'--\"",
    "${run{/bin/id}}",
    "|id",
    "`id`",
    "-oQ/tmp/x",
    "a%b",
    '"a\\"b"',
    '"a b"',
    '"a@b"',
]


@pytest.mark.parametrize("local", HOSTILE_LOCAL_PARTS)
def test_A64_A66_addresses_are_nothing_but_text(world, relay, local):
    """Out as they came in; quoting may change, the meaning may not."""
    d = world.domain(world.peer())
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)
        c.say(f"RCPT TO:<{local}@{d}>", 250)
        c.say("DATA", 354)
        c.send(message() + b".\r\n")
        c.expect(250)
    world.ledger.one(domain=d)
    peer = world.ledger.of(domain=d)[0].peer
    assert any(f"<{local}@{d}>" in command for command in peer.commands)


NO_ADDRESSES = [
    *("a@x..y", "a@.", "@x.test", "a@", "a@b@c.test", "a b@c.test", "a@*.test"),
    *("a" * 65 + "@x.test", "a@" + "b" * 64 + ".test"),
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_A70_A72_what_is_no_address_is_refused(relay, address):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)
        c.send(f"RCPT TO:<{address}>\r\n".encode())
        got = c.read()
        assert 500 <= got[0] < 600, got


def test_A89_more_clients_than_there_is_room_for_are_told_421(world, new_relay):
    relay = new_relay(wrap=("prlimit", "--nofile=300:300"))
    d = world.domain(world.peer())
    wires, refused = [], 0
    try:
        for _ in range(260):
            c = Wire(relay.ip, relay.port, greeting=None)
            wires.append(c)
            got = c.read()
            refused += got is None or got[0] == 421
        assert 0 < refused < 260
    finally:
        for c in wires:
            c.sock.close()
    until = time.monotonic() + PATIENCE
    while True:
        try:
            submit(relay, f"bob@{d}")
            break
        except Exception:
            assert time.monotonic() < until
            time.sleep(0.1)
    world.ledger.one(domain=d)
