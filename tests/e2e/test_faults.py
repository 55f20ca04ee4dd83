"""Attacks on the way in, by the numbers of their checklist: each is shown the
door, or is taken as the harmless text that it is."""

import base64
import ctypes
import ctypes.util
import pathlib
import socket
import time

import pytest

from lab.clock import Clock
from lab.logins import PASSWORD, WRONG, expect_no_secret, plain, user, with_logins
from lab.send import SENDER, Wire, insecure, message, submit


@pytest.fixture
def rcpt(world):
    return f"bob@{world.domain(world.peer())}"


@pytest.fixture(scope="module")
def logins(world):
    made = []

    def make(config, **options):
        made.append(world.relay(config, **options))
        return made[0]

    relay = with_logins(make, {"": {"mode": "live"}})
    yield relay
    assert relay.is_up(), relay.stderr()
    expect_no_secret(relay, PASSWORD, WRONG)
    relay.close()


def peak_kib(relay):
    for line in pathlib.Path(f"/proc/{relay.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])


def flood(c, data, times):
    """Without ever reading a reply; True: it was all taken."""
    c.sock.settimeout(3)
    try:
        for _ in range(times):
            c.send(data)
    except OSError:
        return False
    return True


# --- TLS ---


def test_A33_nobody_who_has_logged_in_begins_tls(logins):
    with Wire(logins.ip, logins.port) as c:
        c.ready().say("AUTH PLAIN " + plain("app"), 235)
        c.say("STARTTLS", 503)


class LibSsl:
    """What Python's ssl can't do: updates of keys, as many as one likes."""

    def __init__(self, sock):
        lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        self.lib = lib
        self.context = lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method()))
        self.ssl = ctypes.c_void_p(lib.SSL_new(ctypes.c_void_p(self.context)))
        assert lib.SSL_set_fd(self.ssl, sock.fileno()) == 1
        assert lib.SSL_connect(self.ssl) == 1

    def update(self):
        """False: the connection is no more."""
        return (
            self.lib.SSL_key_update(self.ssl, 0) == 1
            and self.lib.SSL_do_handshake(self.ssl) == 1
        )


def test_A41_a_flood_of_key_updates_ends_the_connection(relay):
    with Wire(relay.ip, relay.smtps_port, None) as c:
        c.sock.settimeout(None)
        tls = LibSsl(c.sock)
        sent = 0
        while sent < 100_000 and tls.update():
            sent += 1
    assert sent < 100_000
    expect_service(relay)


def expect_service(relay):
    """It lives, and others are served."""
    with Wire(relay.ip, relay.port) as c:
        c.ready().say("QUIT", 221)


# --- commands ---


def test_A49_an_address_with_a_nul_is_refused(relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(b"MAIL FROM:<a\0@b.example>\r\n")
        c.expect(501)


def test_A51_behind_a_refused_message_a_new_one_begins(world, relay, rcpt):
    for command in (f"RCPT TO:<{rcpt}>", "DATA"):
        with Wire(relay.ip, relay.port) as c:
            c.data(rcpt)
            c.send(b"a bare\nline feed\r\n.\r\n")
            c.expect(550)
            c.say(command, 503, "5.5.1")
    assert not world.ledger.of(rcpt)


def test_A52_vrfy_leaves_the_transaction_alone(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope(rcpt)
        c.send("VRFY ü@x.example\r\n".encode())
        assert c.read()[0] in (252, 501, 502, 553)
        c.say("DATA", 354)
        c.send(message() + b".\r\n")
        c.expect(250)
    assert world.ledger.one(rcpt).rcpts == [rcpt]


def test_A54_without_recipients_there_is_no_354(relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<@>\r\nDATA\r\n".encode())
        c.expect(250)
        c.expect(501)
        c.expect(503)
        c.say("NOOP", 250)


def test_A55_where_chunks_are_not_offered_nothing_of_one_is_carried_out(relay):
    with Wire(relay.ip, relay.port) as c:
        c.say("HELO client.lab.test", 250)
        c.send(b"BDAT 5 LAST\r\nQUIT\n")
        c.expect(502)
        c.expect_end()


def test_A57_a_flood_of_recipients_takes_no_memory(relay):
    before = peak_kib(relay)
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)
        many = b"RCPT TO:<somebody@elsewhere.example>\r\n" * 1000
        assert not flood(c, many, 1000), "a million recipients were heard out"
    assert peak_kib(relay) - before < 24 * 1024
    expect_service(relay)


def test_A59_replies_that_nobody_reads_take_no_memory(relay):
    before = peak_kib(relay)
    with Wire(relay.ip, relay.port) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.ready()
        assert not flood(c, b"NOOP\r\n" * 10_000, 1_000)
    assert peak_kib(relay) - before < 24 * 1024
    expect_service(relay)


@pytest.mark.parametrize("name", ["[127.0.0.1]", "relay.lab.test", "localhost"])
def test_A62_no_name_gives_rights(world, new_relay, name):
    relay = new_relay({"access": {"networks": ["10.0.0.0/8"]}})
    with Wire(relay.ip, relay.port) as c:
        c.say(f"EHLO {name}", 250)
        c.say(f"MAIL FROM:<{SENDER}>", 554, "5.7.1")


def test_A63_case_and_blanks_matter_nowhere(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.say("ehlo client.lab.test  ", 250)
        c.say(f"mail from: <{SENDER}> ", 250)
        c.say(f"Rcpt To: <{rcpt}>", 250)
        c.say("data ", 354)
        c.send(message() + b".\r\n")
        c.expect(250)
    got = world.ledger.one(rcpt)
    assert got.rcpts == [rcpt] and got.mail == SENDER


# --- addresses ---

LOCAL_PARTS = ["${run{/bin/id}}", '";id;"', "|id", "-oQ/tmp/x", "`id`", '"$(id)"']


@pytest.mark.parametrize("local", LOCAL_PARTS)
def test_A65_a_sender_is_nothing_but_text_either(world, relay, rcpt, local):
    submit(relay, rcpt, sender=f"{local}@sender.example")
    assert world.ledger.one(rcpt).mail == f"{local}@sender.example"


def test_A67_a_source_route_is_stripped(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<@a.example,@b.example:{SENDER}>", 250)
        c.say(f"RCPT TO:<@a.example,@b.example:{rcpt}>", 250)
        c.say("DATA", 354)
        c.send(message() + b".\r\n")
        c.expect(250)
    got = world.ledger.one(rcpt)
    assert got.rcpts == [rcpt] and got.mail == SENDER


@pytest.mark.parametrize("local", ["victim%other.test", "other.test!victim", '"victim@other.test"'])
def test_A68_the_last_at_sign_alone_counts(world, new_relay, local):
    d = world.domain(world.peer())
    relay = new_relay({"access": {"recipient_domains": [d]}})
    submit(relay, f"{local}@{d}")
    assert world.ledger.one(domain=d).rcpts == [f"{local}@{d}"]
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)
        c.say(f"RCPT TO:<{local}@other.test>", 550, "5.7.1")
        c.say(f"RCPT TO:<victim@other.test@{d}>", 501)


def test_A71_empty_paths_have_their_places(world, relay, rcpt):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say("MAIL FROM:<>", 250)
        c.say("RCPT TO:<>", 501, "5.1.3")
        c.say("DATA", 503)
        c.say("RSET", 250)
        c.say("MAIL FROM:<postmaster>", 501)
    submit(relay, rcpt, sender="")
    assert world.ledger.one(rcpt).mail in ("", "<>")


BAD_UTF8 = {
    "latin-1": b"\xfc",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "override": "\u202e".encode(),
    "cut": b"\xe2\x82",
}


@pytest.mark.parametrize("what", BAD_UTF8)
def test_A73_utf8_that_is_none_is_refused(relay, what):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}> SMTPUTF8", 250)
        c.send(b"RCPT TO:<a" + BAD_UTF8[what] + b"@x.example>\r\n")
        assert c.read()[0] in (501, 553)
        c.say("RCPT TO:<a@xn--a-ecp.example>", 501)
        c.say("RSET", 250)
        c.say(f"MAIL FROM:<{SENDER}>", 250)
        c.send("RCPT TO:<ü@x.example>\r\n".encode())
        c.expect(553, "5.6.7")


# --- parameters ---


@pytest.mark.parametrize(
    "words, code",
    [
        ("SIZE=", 501),
        ("SIZE=-1", 501),
        ("SIZE=+5", 501),
        ("SIZE=99999999999999999999", 552),
        ("SIZE=5 SIZE=5", 501),
        ("SIZE=52428801", 552),
        ("SIZE=52428800", 250),
    ],
)
def test_A74_a_size_is_a_number_within_limits(relay, words, code):
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(f"MAIL FROM:<{SENDER}> {words}\r\n".encode())
        got = c.read()
        # A number too large to be read is refused one way or the other.
        assert got[0] == code or (code == 552 and got[0] == 501), got


def test_A75_a_size_that_was_promised_holds_nobody_to_it(world, new_relay, rcpt):
    relay = new_relay({"access": {"message_size_max": "64K"}})
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}> SIZE=10", 250)
        c.say(f"RCPT TO:<{rcpt}>", 250)
        c.say("DATA", 354)
        c.send(message() + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 950 + b".\r\n")
        c.expect(552, "5.3.4")
    assert not world.ledger.of(rcpt)


@pytest.mark.parametrize(
    "words, code",
    [
        (" BODY=BINARYMIME", 555),
        (" FOO=1", 555),
        (" RET=X", 501),
        ("SIZE=1", 501),
        (" AUTH=a+0Ab", 501),
    ],
)
def test_A76_A78_nothing_that_is_asked_for_is_passed_over(logins, words, code):
    with Wire(logins.ip, logins.port) as c:
        c.ready().say("AUTH PLAIN " + plain("app"), 235)
        c.say(f"MAIL FROM:<a@app.example>{words}", code)
        c.say("MAIL FROM:<a@app.example> AUTH=<>", 250)
        c.say("RCPT TO:<b@x.example> NOTIFY=NEVER,SUCCESS", 501)


def test_A79_requiretls_is_never_half_taken(relay):
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}> REQUIRETLS", 530)
        c.say("STARTTLS", 220)
        c.start_tls().ready()
        c.say(f"MAIL FROM:<{SENDER}> REQUIRETLS=no", 501)
        c.say(f"MAIL FROM:<{SENDER}> REQUIRETLS REQUIRETLS", 501)


@pytest.mark.parametrize("where", ["folded", "in a part"])
def test_A80_only_the_header_section_asks_for_less(world, relay, where):
    host = f"mx.{world.name()}"
    d = world.domain(world.peer(host, cert=world.ca.expired(host)))
    world.sts(d, mx=[host])
    if where == "folded":
        submit(relay, f"bob@{d}", data=message(extra=["tls-required:\r\n no"]))
        assert world.ledger.one(domain=d).tls
        return
    part = "--b\r\nTLS-Required: No\r\n\r\nhi\r\n--b--\r\n"
    extra = ["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"]
    mid = submit(relay, f"bob@{d}", data=message(body=part, extra=extra))
    relay.log.one("delivery.deferred", mid=mid)
    assert not world.ledger.of(domain=d)


# --- AUTH ---


def test_A35_in_clear_not_even_the_password_is_read(logins):
    with Wire(logins.ip, logins.tls_port) as c:
        offer = c.say("EHLO client.lab.test", 250)
        assert not any("AUTH" in line for line in offer)
        c.say("AUTH PLAIN " + plain("app"), 538, "5.7.11")
        c.say("AUTH PLAIN not-even-base64", 538, "5.7.11")
    assert not logins.log.find("session.auth", listener="tls")


def test_A82_a_password_of_one_character_will_do(logins):
    user(logins, "add", "short", password="x")
    logins.log.one("users.reload", users=2)
    with Wire(logins.ip, logins.port) as c:
        c.ready().say("AUTH PLAIN " + plain("short", "x"), 235)
    user(logins, "remove", "short")


@pytest.mark.parametrize("identity", ["root", "App", "app "])
def test_A83_nobody_acts_for_another(logins, identity):
    words = f"{identity}\0app\0{PASSWORD}".encode()
    with Wire(logins.ip, logins.port) as c:
        c.ready().say("AUTH PLAIN " + base64.b64encode(words).decode(), 535)
        c.say("MAIL FROM:<a@app.example>", 530)


def test_A84_auth_has_its_one_place(logins, rcpt):
    with Wire(logins.ip, logins.port) as c:
        c.say("AUTH PLAIN " + plain("app"), 503)
        c.ready().say("AUTH", 501)
        c.say("AUTH GSSAPI", 504)
        c.say("AUTH PLAIN", 334)
        c.say("*", 501)
        c.say("AUTH PLAIN " + plain("app"), 235)
        c.say("AUTH PLAIN " + plain("app"), 503)
    with Wire(logins.ip, logins.port) as c:
        c.ready().say("AUTH PLAIN " + plain("app"), 235)
        c.envelope(rcpt, sender="a@app.example").say("AUTH PLAIN " + plain("app"), 503)


# --- time ---


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


def test_A90_a_command_has_its_time_not_each_octet(new_relay, clock):
    relay = new_relay(environ=clock.env)
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        for octet in b"NOOP xxxxxxxx":
            clock.turn(60)
            try:
                c.send(bytes([octet]))
            except OSError:
                break
            time.sleep(0.05)
        c.expect(421, "4.4.2")
        c.expect_end()


def test_A90_a_body_that_trickles_is_not_waited_for(world, new_relay, clock, rcpt):
    relay = new_relay(environ=clock.env)
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        for _ in range(60):
            clock.turn(5)
            try:
                c.send(b"x\r\n")
            except OSError:
                break
            time.sleep(0.05)
        got = c.read()
        assert got is None or got[0] == 421, got
    submit(relay, rcpt)
    assert len(world.ledger.wait(rcpt)) == 1


# --- content ---

HOP = "Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000"


@pytest.mark.parametrize(
    "field, code",
    [
        ("Received: from a\r\n by b; Mon, 23 Nov 2026 00:00:00 +0000", 554),
        ("received : from a by b; Mon, 23 Nov 2026 00:00:00 +0000", 554),
        ("RECEIVED: x", 554),
        ("X-Received: from a by b", 250),
    ],
)
def test_A92_hops_are_counted_however_they_are_written(relay, rcpt, field, code):
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(message(extra=[field] * 51) + b".\r\n")
        c.expect(code)


def test_A92_hops_of_a_message_within_are_not_counted(relay, rcpt):
    inner = "--b\r\nContent-Type: message/rfc822\r\n\r\n" + (HOP + "\r\n") * 60
    extra = ["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"]
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(message(body=inner + "\r\nhi\r\n--b--\r\n", extra=extra) + b".\r\n")
        c.expect(250)


BODIES = {
    "dots": b".\r\n..\r\n...\r\n.x\r\n",
    "empty": b"",
    "from": b"From here\r\n>From there\r\n",
    "blank": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_A94_a_body_arrives_octet_by_octet(world, relay, rcpt, name):
    submit(relay, rcpt, data=message(body=BODIES[name]))
    got = world.ledger.one(rcpt).data
    assert got.partition(b"\r\n\r\n")[2] == BODIES[name]


def test_A96_who_sends_as_nobody_is_told_nothing(world, relay):
    peer = world.peer()
    d = world.domain(peer)
    peer.replies["RCPT"] = ["550 5.1.1 nobody"] * 20

    def notices():
        return {m["id"] for m in relay.queue() if not m["from"]}

    before = notices()  # of other tests
    mids = [submit(relay, f"u{n}@{d}", sender="") for n in range(20)]
    for mid in mids:
        relay.log.one("delivery.bounced", mid=mid)
    time.sleep(0.3)
    assert not [m for m in relay.queue() if m["destination"] == d]
    assert notices() <= before
