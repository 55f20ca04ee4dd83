"""End of data, pipelining and STARTTLS, as raw octets: only CRLF.CRLF ends a
message, and nothing that was sent too early is ever carried out."""

import socket

import pytest

from lab.send import SENDER, Wire, message

END = b"\r\n.\r\n"
BODY = b"Subject: a\r\n\r\nb"

# What must not end a message, and whether the message is refused for it.
NOT_AN_END = {
    "A2": b"\n.\n",
    "A3": b"\n.\r\n",
    "A4": b"\r\n.\n",
    "A6": b"\r.\n",
    "A7": b"\n.\r",
    "A8": b"\r.\r\n",
    "A9": b"\r\n.\rX",
    "A10": b"\r\n.\r\r\n",
    "A11": b"\r\r\n.\r\r\n",
    "A12": b"\r\n\0.\r\n",
}
LEADING_DOT = {
    "A14-space": (b"\r\n. \r\n", b"\r\n \r\n"),
    "A14-tab": (b"\r\n.\t\r\n", b"\r\n\t\r\n"),
    "A15": (b"\r\n..\r\n", b"\r\n.\r\n"),
}


@pytest.fixture
def rcpt(world):
    """Somebody at a domain of his own, so that what arrives can be counted."""
    return f"bob@{world.domain(world.peer())}"


def domain_of(rcpt):
    return rcpt.partition("@")[2]


def probe(world, relay, rcpt):
    """Mail that comes in later has arrived: so what was sent before has not,
    and never will."""
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(message(subject="probe") + b".\r\n")
        c.expect(250)
    world.ledger.one(rcpt)
    return [
        d
        for d in world.ledger.of(domain=domain_of(rcpt))
        if b"Subject: probe" not in d.data
    ]


def test_A1_crlf_dot_crlf_ends_a_message_with_one_reply(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(BODY + END)
        c.expect(250)
        c.expect_silence()
    assert world.ledger.one(rcpt).data.endswith(b"\r\n\r\nb\r\n")


@pytest.mark.parametrize("row", NOT_AN_END)
def test_what_is_no_end_ends_nothing_and_the_message_is_refused(
    world, relay, rcpt, row
):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(BODY + NOT_AN_END[row])
        c.expect_silence(0.1)
        c.send(b"more" + END)
        c.expect(550, "5.6.0")
        c.say("NOOP", 250)
    assert probe(world, relay, rcpt) == []


@pytest.mark.parametrize("row", LEADING_DOT)
def test_a_line_that_begins_with_a_dot_is_a_line(world, relay, rcpt, row):
    sent, kept = LEADING_DOT[row]
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(BODY + sent)
        c.expect_silence(0.1)
        c.send(b"more" + END)
        c.expect(250)
    assert kept + b"more\r\n" in world.ledger.one(rcpt).data


def test_A16_a_dot_right_behind_354_is_an_empty_message(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(b".\r\n")
        c.expect(250)
        c.say("NOOP", 250)
    world.ledger.one(rcpt)


def test_A17_lf_dot_crlf_right_behind_354_is_no_end(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(b"\n.\r\n")
        c.expect_silence(0.1)
        c.send(BODY + END)
        c.expect(550, "5.6.0")
    assert probe(world, relay, rcpt) == []


@pytest.mark.parametrize("cut", range(1, len(END)))
def test_A18_the_end_may_be_cut_anywhere(world, relay, rcpt, cut):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(BODY + END[:cut])
        c.expect_silence(0.05)
        c.send(END[cut:])
        c.expect(250)
        c.expect_silence(0.05)
        c.say("NOOP", 250)
    assert world.ledger.one(rcpt).data.endswith(b"\r\n\r\nb\r\n")


@pytest.mark.parametrize("row", NOT_AN_END)
def test_A19_A20_a_smuggled_second_message_is_never_sent(world, relay, rcpt, row):
    victim = f"victim@{domain_of(rcpt)}"
    smuggled = (
        f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{victim}>\r\nDATA\r\n"
        "Subject: evil\r\n\r\nhi"
    ).encode()
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(BODY + NOT_AN_END[row] + smuggled + END)
        c.expect(550, "5.6.0")
        c.expect_silence(0.1)
    assert probe(world, relay, rcpt) == []
    assert not world.ledger.of(victim)


def test_A22_a_bare_lf_does_not_split_a_header(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(b"Subject: a\nBcc: v@x\r\n\r\nb" + END)
        c.expect(550, "5.6.0")
    assert probe(world, relay, rcpt) == []


@pytest.mark.parametrize("where", ["header", "body"])
def test_A23_a_nul_is_refused(world, relay, rcpt, where):
    data = b"Subject: a\0\r\n\r\nb" if where == "header" else BODY + b"\0c"
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(data + END)
        c.expect(550, "5.6.0")
    assert probe(world, relay, rcpt) == []


@pytest.mark.parametrize("tail", [b"", b"\r\n.", b"\r\n.\r"], ids=["body", "dot", "cr"])
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_A24_a_connection_that_breaks_queues_nothing(world, relay, rcpt, tail, how):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(BODY + tail)
        if how == "rst":
            c.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
    assert probe(world, relay, rcpt) == []


@pytest.mark.parametrize("length", [998, 1000, 1001, 2048, 65000])
def test_A25_long_lines_pass_up_to_the_limit(world, relay, rcpt, length):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(b"Subject: a\r\n\r\n" + b"x" * length + END)
        c.expect(250)
    assert b"\n" + b"x" * length + b"\r\n" in world.ledger.one(rcpt).data


def test_A25_a_line_without_end_is_refused(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(b"Subject: a\r\n\r\n" + b"x" * (4 << 20) + END)
        got = c.read()
    assert got and got[0] in (550, 552), got
    assert probe(world, relay, rcpt) == []


def sized(size):
    """A message of so many octets, as they are on the wire."""
    head = b"Subject: a\r\n\r\n"
    lines = (b"x" * 998 + b"\r\n") * (size // 1000 + 1)
    return head + lines[: size - len(head) - 2] + b"\r\n"


def test_A26_the_size_limit_is_exact(world, new_relay, rcpt):
    relay = new_relay({"access": {"message_size_max": "64K"}})
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(sized(64 * 1024) + b".\r\n")
        c.expect(250)
        c.envelope(rcpt).say("DATA", 354)
        c.send(sized(64 * 1024 + 1) + b".\r\n")
        c.expect(552, "5.3.4")
        c.say(f"MAIL FROM:<{SENDER}> SIZE=65537", 552, "5.3.4")
        c.say(f"MAIL FROM:<{SENDER}> SIZE=65536", 250)


def test_A26_twice_the_limit_ends_the_session(world, new_relay, rcpt):
    relay = new_relay({"access": {"message_size_max": "64K"}})
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        try:
            for _ in range(64):
                c.send((b"x" * 998 + b"\r\n") * 64)
        except OSError:
            pass
        got = c.read()
        assert got is None or got[0] == 552, got
    assert probe(world, relay, rcpt) == []


def test_A27_a_body_before_354_ends_the_session(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope(rcpt)
        c.send(b"DATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n")
        c.expect(503, "5.5.0")
        c.expect_end()
    assert probe(world, relay, rcpt) == []


def test_A28_a_command_behind_ehlo_ends_the_session(relay):
    with Wire(relay.ip, relay.port) as c:
        c.send(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\n")
        c.expect(503, "5.5.0")
        c.expect_end()


CLIENT_HELLO = bytes.fromhex("16030100050100000100")


@pytest.mark.parametrize(
    "early",
    [b"EHLO evil\r\n", b"NOOP\r\n", CLIENT_HELLO, b"MAIL FROM:<a@b.test>\r\n"],
    ids=["A30", "A31", "A32", "mail"],
)
def test_octets_behind_starttls_are_never_carried_out(relay, early):
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready()
        c.send(b"STARTTLS\r\n" + early)
        c.expect(554)
        c.expect_end()


def test_A33_starttls_where_it_does_not_belong(relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say("STARTTLS", 502)
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready().say("STARTTLS x", 501)
        c.envelope(rcpt).say("STARTTLS", 503)
        c.say("RSET", 250)
        c.say("STARTTLS", 220)
        c.start_tls().ready().say("STARTTLS", 503)


def test_A34_starttls_forgets_all_that_was_said_in_clear(relay, rcpt):
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready().say("STARTTLS", 220)
        c.start_tls()
        c.say(f"MAIL FROM:<{SENDER}>", 503)
        c.ready().say(f"RCPT TO:<{rcpt}>", 503)


def test_A38_http_is_shown_the_door_at_the_first_line(relay):
    for line in ("POST / HTTP/1.1", "GET / HTTP/1.0", "CONNECT a:1 HTTP/1.1"):
        with Wire(relay.ip, relay.port) as c:
            c.send(f"{line}\r\nHost: h\r\n\r\nMAIL FROM:<a@b>\r\n".encode())
            c.expect(554)
            c.expect_end()


@pytest.mark.parametrize("command", [b"NOOP\n", b"NO\rOP\r\n", b"NO\0OP\r\n"])
def test_A48_a_command_with_stray_octets_is_refused(relay, command):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(command + b"QUIT\r\n")
        got = c.read()
        assert got[0] in (500, 501), got


def test_nothing_is_relayed_for_strangers(world, new_relay, rcpt):
    relay = new_relay({"access": {"networks": ["10.0.0.0/8"]}})
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(f"MAIL FROM:<{SENDER}>\r\n".encode())
        got = c.read()
        if got[0] == 250:
            c.send(f"RCPT TO:<{rcpt}>\r\n".encode())
            got = c.read()
        assert got[0] in (550, 554) and "5.7.1" in got[1][0], got
