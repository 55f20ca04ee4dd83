"""Mail with octets above 127, and servers that take none (RFC 6152)."""

import email
import random
import re

import pytest

from lab.send import SENDER, Wire, message


def send(relay, rcpt, data, sender=SENDER):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{sender}> BODY=8BITMIME", 250)
        c.say(f"RCPT TO:<{rcpt}>", 250)
        c.say("DATA", 354)
        c.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
        c.sock.settimeout(60)
        c.expect(250)


def leaves(data):
    """What a reader finds in it: types and what they decode to."""
    mail = email.message_from_bytes(data)
    return [
        (part.get_content_type(), part.get_filename(), part.get_payload(decode=True))
        for part in mail.walk()
        if not part.is_multipart()
    ]


def fields(data):
    changed = ("content-transfer-encoding", "mime-version", "received")
    mail = email.message_from_bytes(data)
    return [
        [(k, str(v)) for k, v in part.items() if k.lower() not in changed]
        for part in mail.walk()
    ]


def behind_header(data):
    return data.partition(b"\r\n\r\n")[2]


def whole(kind, body, extra=b""):
    head = b"".join(
        line + b"\r\n"
        for line in (
            b"From: " + SENDER.encode(),
            b"To: you",
            b"Date: Mon, 23 Nov 2026 12:00:00 +0000",
            b"Message-ID: <1@sender.lab.test>",
            b"MIME-Version: 1.0",
        )
    )
    return head + extra + kind + b"\r\n" + body


TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
EIGHT = b"Content-Transfer-Encoding: 8bit\r\n"
ALL = bytes(b for b in range(256) if b not in (0, 10, 13))


def mixed(*parts, kind=b"mixed", boundary=b"b1", end=True):
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    head = b'Content-Type: multipart/%s;\r\n\tboundary="%s"\r\n' % (kind, boundary)
    return head, body + b"--%s--\r\n" % boundary * end


def part(kind, body):
    return kind + b"\r\n" + body


CASES = {
    "text": whole(TEXT + EIGHT, "Grüße\r\n.\r\n Ende \t\r\n=\r\n".encode()),
    "every-octet": whole(TEXT + EIGHT, ALL + b"\r\n" + ALL * 20 + b"\r\n"),
    "no-label": whole(TEXT, "žlutý kůň\r\n".encode()),
    "binary": whole(b"Content-Type: image/png\r\n" + EIGHT, ALL + b"\r\n\r\n"),
    "parts": whole(
        *mixed(
            part(TEXT + EIGHT, "ä\r\n".encode()),
            part(TEXT, b"only = ascii"),
            part(b"Content-Type: application/x; name=f\r\n" + EIGHT, ALL),
            part(b"", "ü\r\n\r\n".encode()),
        ),
        extra=EIGHT,
    ),
    "nested": whole(
        *mixed(
            part(
                *mixed(
                    part(TEXT + EIGHT, "ä".encode()),
                    part(b"Content-Type: text/html\r\n", "<p>ö".encode()),
                    kind=b"alternative",
                    boundary=b"b11",
                )
            ),
            part(
                b"Content-Type: message/rfc822\r\n" + EIGHT,
                whole(TEXT + EIGHT, "inside: ü\r\n".encode()),
            ),
        )
    ),
    "no-end": whole(*mixed(part(TEXT + EIGHT, "ä\r\n".encode()), end=False)),
    "digest": whole(
        *mixed(
            part(b"", b"Subject: x\r\n\r\n" + "ä\r\n".encode()), kind=b"digest"
        )
    ),
}


@pytest.fixture(scope="module")
def old(world):
    return world.peer(eightbit=False, utf8=False)


@pytest.mark.parametrize("name", CASES)
def test_A95_every_part_decodes_to_what_it_was(world, relay, old, name):
    rcpt = f"bob@{world.domain(old)}"
    send(relay, rcpt, CASES[name])
    got = world.ledger.one(rcpt)
    assert not [x for x in got.mail_args if "8BIT" in x]
    assert all(b < 0x80 for b in got.data)
    assert leaves(got.data) == leaves(CASES[name])
    assert fields(got.data) == fields(CASES[name])
    assert max(len(x) for x in behind_header(got.data).split(b"\r\n")) <= 76


def test_where_8bitmime_is_offered_the_message_goes_as_it_is(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    send(relay, rcpt, CASES["nested"])
    assert world.ledger.one(rcpt).data.endswith(CASES["nested"])


def test_each_host_gets_what_it_takes(world, relay, old):
    one, two = f"a@{world.domain(old)}", f"b@{world.domain(world.peer())}"
    with Wire(relay.ip, relay.port) as c:
        c.data(one, two)
        c.send(CASES["text"].replace(b"\r\n.\r\n", b"\r\n..\r\n") + b".\r\n")
        c.expect(250)
    assert all(b < 0x80 for b in world.ledger.one(one).data)
    assert world.ledger.one(two).data.endswith(CASES["text"])


def test_a_message_without_mime_becomes_one(world, relay, old):
    rcpt = f"bob@{world.domain(old)}"
    send(relay, rcpt, message(body="Grüße\r\n"))
    got = world.ledger.one(rcpt).data
    assert leaves(got)[0][2] == "Grüße\r\n".encode()
    assert b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit" in got


def random_part(rng, depth):
    kind = rng.choice(["text", "bin", "plain", "multi", "rfc822"][: 5 if depth else 3])
    text = rng.choice(["ä", "x", "=", " ", "\t", "\r\n", "--b", "€", "."])
    line = "".join(rng.choice([text, "y", "ü", "\r\n"]) for _ in range(rng.randrange(300)))
    if kind == "multi":
        parts = [random_part(rng, depth - 1) for _ in range(rng.randrange(1, 5))]
        sort = rng.choice([b"mixed", b"alternative", b"related"])
        return part(*mixed(*parts, kind=sort, boundary=b"b%d-" % rng.getrandbits(32)))
    if kind == "rfc822":
        inner = b"Subject: x\r\n" + random_part(rng, depth - 1)
        return part(b"Content-Type: message/rfc822\r\n", inner)
    if kind == "bin":
        octets = bytes(rng.choice(ALL) for _ in range(rng.randrange(400)))
        return part(b"Content-Type: image/x\r\n" + EIGHT, octets)
    if kind == "plain":
        return part(TEXT, b"ascii\r\n only \r\n")
    return part(TEXT + rng.choice([EIGHT, b""]), line.encode())


def test_random_messages_decode_to_what_they_were(world, relay, old):
    domain, rng = world.domain(old), random.Random(6152)
    for n in range(60):
        data = b"From: a@b.test\r\nDate: x\r\nMessage-ID: <x>\r\nMIME-Version: 1.0\r\n"
        data += part(*mixed(random_part(rng, 3), random_part(rng, 3)))
        send(relay, f"u{n}@{domain}", data)
        got = world.ledger.one(f"u{n}@{domain}").data
        assert all(b < 0x80 for b in got), n
        assert leaves(got) == leaves(data), n


@pytest.mark.parametrize("signed_at", ["top", "inside"])
def test_signed_content_is_not_touched_and_bounces(world, relay, old, signed_at):
    home = f"app@{world.domain(world.peer())}"
    signed = mixed(part(TEXT + EIGHT, "ä".encode()), kind=b"signed")
    if signed_at == "inside":
        signed = mixed(part(*signed), boundary=b"out")
    send(relay, rcpt := f"bob@{world.domain(old)}", whole(*signed), sender=home)
    assert b"5.6.3" in world.ledger.one(home).data
    assert not world.ledger.of(domain=rcpt.partition("@")[2])


def test_the_connection_goes_on_behind_what_can_t_be_converted(world, relay, old):
    home = f"app@{world.domain(world.peer())}"
    domain = world.domain(old)
    signed = whole(*mixed(part(TEXT + EIGHT, "ä".encode()), kind=b"signed"))
    for n in range(3):
        send(relay, f"no@{domain}", signed, sender=home)
        send(relay, f"yes{n}@{domain}", CASES["text"])
        assert world.ledger.one(f"yes{n}@{domain}")


@pytest.mark.parametrize("megabytes", [0.3, 8])
def test_a_large_message_is_converted_on_its_way(world, relay, old, megabytes):
    line = "Grüße = %08d ".encode() + b"x" * 900 + b"\r\n"
    text = b"".join(line % n for n in range(int(megabytes * 1000)))
    data = whole(*mixed(part(TEXT + EIGHT, text), part(TEXT, b"last")))
    send(relay, rcpt := f"bob@{world.domain(old)}", data)
    got = world.ledger.wait(domain=rcpt.partition("@")[2], timeout=60)[0]
    assert leaves(got.data) == leaves(data)


def test_a_large_message_with_signed_content_bounces_before_a_word(world, relay, old):
    home = f"app@{world.domain(world.peer())}"
    text = b"x" * 70 + b"\r\n"
    signed = part(*mixed(part(TEXT + EIGHT, "ä".encode()), kind=b"signed"))
    data = whole(*mixed(part(TEXT, text * 20000), signed, boundary=b"out"))
    said = len(old.commands)
    send(relay, f"bob@{world.domain(old)}", data, sender=home)
    assert b"5.6.3" in world.ledger.one(home).data
    assert not [c for c in old.commands[said:] if c.startswith("MAIL")]
