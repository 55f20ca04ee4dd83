"""Mail in chunks (RFC 3030): from clients, and on to Postfix, which takes
them."""

import email
import random
import re

import pytest

from lab.postfix import Postfix
from lab.send import SENDER, Wire, message, submit

OCTETS = bytes(range(1, 10)) + bytes(range(14, 256))
BODIES = {
    "dots": b".\r\n..\r\n.x\r\nx.\r\n\r\n.\r\n",
    "no-text": b"",
    "8-bit": OCTETS + b"\r\n",
    "large": b"".join(b".%08d " % n + b"x" * 900 + b"\r\n" for n in range(4000)),
}


def bdat(c, piece, last=False):
    c.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" * last) + piece)


# --- in ---


@pytest.mark.parametrize("name", BODIES)
def test_chunks_that_break_anywhere_become_one_message(world, relay, name):
    rcpt = f"bob@{world.domain(world.peer())}"
    data, rng = message(body=BODIES[name]), random.Random(3030)
    at, count = 0, 0
    with Wire(relay.ip, relay.port) as c:
        c.sock.settimeout(60)
        c.ready().envelope(rcpt)
        while at < len(data):
            n = min(rng.choice([1, 2, 77, 40_000, 300_000]), len(data) - at)
            bdat(c, data[at : at + n])
            at, count = at + n, count + 1
        bdat(c, b"", last=True)  # all of it pipelined
        for _ in range(count):
            c.expect(250)
        c.expect(250, "queued as")
    assert world.ledger.one(rcpt).data.endswith(data)


def test_chunks_without_the_last_are_no_message(world, relay):
    domain = world.domain(world.peer())
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope(f"bob@{domain}")
        bdat(c, message())
        c.expect(250)
        c.say("RSET", 250)
        c.envelope(f"eve@{domain}")
        bdat(c, message(), last=True)
        c.expect(250)
    assert world.ledger.one(domain=domain).rcpts == [f"eve@{domain}"]


def test_A56_chunks_and_data_do_not_mix(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope(rcpt)
        bdat(c, b"Subject: x\r\n")
        c.expect(250)
        c.say("DATA", 503)


@pytest.mark.parametrize("size", ["-1", "18446744073709551616", "x", "1 FIRST", ""])
def test_A56_a_chunk_of_no_size_ends_the_session(world, relay, size):
    """Its octets must not be carried out as commands."""
    rcpt = f"bob@{world.domain(world.peer())}"
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope(rcpt)
        c.send(f"BDAT {size}\r\nMAIL FROM:<evil@x.test>\r\n".encode())
        code, _ = c.read()
        assert code in (500, 501)
        c.expect_end()


def test_A56_a_chunk_at_the_wrong_time_is_counted_out(world, relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        bdat(c, b"QUIT\r\n" * 100, last=True)
        c.expect(503)
        c.say("NOOP", 250)


def test_binarymime_is_neither_offered_nor_taken(relay):
    with Wire(relay.ip, relay.port) as c:
        offer = c.say("EHLO client.lab.test", 250)
        assert "CHUNKING" in " ".join(offer) and "BINARY" not in " ".join(offer)
        c.say(f"MAIL FROM:<{SENDER}> BODY=BINARYMIME", 555)


# --- out ---


@pytest.fixture(scope="module")
def behind(world):
    """Where Postfix hands on what it has taken."""
    return world.peer()


def next_host(world, behind, **settings):
    postfix = Postfix(
        world.dns,
        port=world.mx_port,
        smtp_tls_security_level="none",
        relay_transport=f"smtp:[{behind.ip}]:{behind.port}",
        relay_domains="static:all",
        message_size_limit="60000000",
        smtputf8_enable="no",
        **settings,
    )
    postfix.host = f"mx.{world.name()}"
    world.dns.put(postfix.host, "A", postfix.ip)
    return postfix


@pytest.fixture(scope="module")
def postfix(world, behind):
    p = next_host(world, behind)
    yield p
    p.close()


@pytest.fixture(scope="module")
def seven_bits(world, behind):
    p = next_host(world, behind, smtpd_discard_ehlo_keywords="8bitmime")
    yield p
    p.close()


@pytest.fixture(scope="module")
def hasty(world):
    r = world.relay({"delivery": {"messages_per_connection": 1}})
    yield r
    r.close()


@pytest.mark.parametrize("name", BODIES)
def test_postfix_gets_each_message_whole_in_chunks(world, hasty, postfix, name):
    rcpt = f"bob@{world.domain(postfix.host)}"
    data = message(body=BODIES[name], to="you@x.test")  # complete, or it adds
    submit(hasty, rcpt, data=data, mail_options=["BODY=8BITMIME"])
    got = world.ledger.one(rcpt, timeout=30)
    assert got.data.endswith(data)
    postfix.wait_for_line(r"disconnect from .* mail=1 rcpt=1 bdat=\d+ quit=1")
    assert not re.search(r"disconnect from .* data=", postfix.lines())


def test_postfix_that_takes_no_eight_bits_gets_seven_in_chunks(
    world, hasty, seven_bits
):
    rcpt = f"bob@{world.domain(seven_bits.host)}"
    body = "Grüße = %08d\r\n".encode()
    body = b"".join(body % n for n in range(20_000))
    submit(hasty, rcpt, data=message(body=body))
    got = world.ledger.one(rcpt, timeout=30).data
    assert all(b < 0x80 for b in got)
    assert email.message_from_bytes(got).get_payload(decode=True) == body
    seven_bits.wait_for_line(r"disconnect from .* bdat=\d+ quit=1")
