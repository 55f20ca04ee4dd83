"""Signatures (RFC 6376, RFC 8463) as seen from outside: two verifiers that
are not ours find them good, with keys out of the lab's DNS."""

import json
import re
import smtplib
import subprocess
import threading
import time

import pytest

from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import Wire, message, submit
from lab.signatures import (
    Key,
    by_dkimpy,
    make,
    pem,
    record,
    signatures,
    signing,
    verified,
)


def run(*words, **options):
    """A command, with no relay in mind."""
    return subprocess.run(
        [binary(), *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(),
        **options,
    )


def zone_line(line):
    """The name and the strings of a TXT record in a zone file."""
    found = re.fullmatch(r'(\S+) IN TXT \(((?: "[^"]*")+) \)\n?', line)
    assert found, line
    return found[1], re.findall(r'"([^"]*)"', found[2])


class Sender:
    """A domain with keys, a relay that signs for it, and somebody to send
    to."""

    def __init__(self, world, new_relay, folder, kinds, config=None):
        self.world = world
        self.domain = world.name("from")
        self.address = f"app@{self.domain}"
        self.keys = [
            Key(world, folder, self.domain, f"s{i}", kind)
            for i, kind in enumerate(kinds, 1)
        ]
        self.relay = new_relay({**signing(*self.keys), **(config or {})})
        self.rcpt = f"bob@{world.domain(world.peer())}"
        self.count = 0

    def got(self):
        self.count += 1
        return self.world.ledger.wait(self.rcpt, count=self.count)[-1].data

    def sent(self, data=None, **options):
        """What arrives of a message."""
        options = {"sender": self.address, **options}
        submit(self.relay, self.rcpt, data=data or self.message(), **options)
        return self.got()

    def message(self, **options):
        return message(**{"sender": self.address, **options})

    def expected(self, *which):
        keys = [self.keys[i] for i in which] if which else self.keys
        return sorted(k.signature for k in keys)

    def passes(self, data):
        assert verified(self.world, data) == self.expected()


@pytest.fixture
def both(world, new_relay, tmp_path):
    return Sender(world, new_relay, tmp_path, ["2048", "ed25519"])


@pytest.fixture
def one(world, new_relay, tmp_path):
    return Sender(world, new_relay, tmp_path, ["ed25519"])


# --- the message ---


@pytest.mark.threads
def test_a_message_is_signed_by_every_key_of_its_domain(both):
    data = both.message()
    got = both.sent(data)
    both.passes(got)
    assert both.relay.log.one("message.accepted")["dkim"] == both.domain
    assert got.endswith(data), "the message was changed"
    assert got.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;")
    for s in signatures(got):
        names = s["h"].lower().split(":")
        assert names.count("from") == 2, "From is not over-signed"
        assert {"to", "subject", "date", "message-id"} <= set(names)
        assert "received" not in names
        assert s["d"] == both.domain and "l" not in s
        assert abs(int(s["t"]) - time.time()) < 60


BODIES = {
    "dots": b".\r\n..\r\n...\r\n.x\r\nx.\r\n.\r\n",
    "empty": b"",
    "one-blank-line": b"\r\n",
    "trailing-blank-lines": b"text\r\n" + b"\r\n" * 40,
    "blank-lines-with-spaces": b"text \t\r\n \r\n\t\r\n",
    "leading-blank-lines": b"\r\n\r\ntext\r\n",
    "8-bit": "Grüße, žlutý kůň\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n",
    "long-line": b"x" * 998 + b"\r\n",
    "spaces": b" a  b\t\tc \r\n\td\r\n",
    "looks-like-a-header": b"From: mallory@evil.test\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_verifies_octet_by_octet(both, name):
    data = both.message(body=BODIES[name])
    with Wire(both.relay.ip, both.relay.port) as c:
        c.ready().envelope(both.rcpt, sender=both.address)
        c.say("DATA", 354)
        c.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
        c.expect(250)
    got = both.got()
    assert got.endswith(data)
    both.passes(got)


HEADERS = {
    "folded": ["X-A: 1\r\n\t2\r\n  3", "Reply-To:\r\n  \"A  B\"\r\n\t<a@b.test>"],
    "repeated": ["Comments: 1", "Comments: 2", "Cc: a@b.test", "Cc: c@d.test"],
    "odd-spaces": ["Cc:a@b.test \t ", "In-Reply-To:", "References: \t <a@b>"],
    "many": [f"X-Field-{i}: {'x' * 60}" for i in range(200)],
    "utf-8": ["Cc: \"Žluťoučký\" <a@b.test>"],
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_section_of_any_shape_verifies(both, name):
    got = both.sent(both.message(extra=HEADERS[name]))
    both.passes(got)


def test_fields_that_the_relay_adds_are_signed_too(both):
    data = f"From: {both.address}\r\nSubject: x\r\n\r\nhi\r\n".encode()
    got = both.sent(data)
    both.passes(got)
    for s in signatures(got):
        assert {"date", "message-id"} <= set(s["h"].lower().split(":"))


@pytest.mark.parametrize("size", [64 * 1024, 300 * 1024, 5 * 1024 * 1024])
def test_a_large_message_verifies(both, size):
    line = b"All work and no play makes Jack a dull boy. \r\n"
    got = both.sent(both.message(body=line * (size // len(line))))
    both.passes(got)


def test_chunks_of_any_size_verify(both):
    data = both.message(body=b".one\r\n\r\ntwo  \r\n" * 5000 + b"\r\n")
    with Wire(both.relay.ip, both.relay.port) as c:
        c.ready().envelope(both.rcpt, sender=both.address)
        sizes, at = [1, 7, 130, 1, 50, 3, 30000], 0
        for n in sizes:
            c.send(b"BDAT %d\r\n" % n + data[at : at + n])
            c.expect(250)
            at += n
        c.send(b"BDAT %d LAST\r\n" % (len(data) - at) + data[at:])
        c.expect(250)
    both.passes(both.got())


def test_a_message_without_blank_line_verifies(both):
    """Neither one that is all header section, nor one whose body follows at
    once: that gets the line that it lacks."""
    head = f"From: {both.address}\r\nSubject: x\r\n"
    both.passes(both.sent(head.encode()))
    got = both.sent(f"{head}this is no field\r\nnor this\r\n".encode())
    assert got.endswith(b"\r\n\r\nthis is no field\r\nnor this\r\n")
    both.passes(got)


def test_what_is_changed_on_the_way_no_longer_verifies(one):
    got = one.sent()
    assert by_dkimpy(one.world, got)
    second = b"From: mallory@evil.test\r\n"
    for bad in (
        got.replace(b"Hello.", b"Hullo."),
        got.replace(b"Subject: hello", b"Subject: help"),
        got.replace(b"\r\nSubject:", b"\r\n" + second + b"Subject:"),
        second + got,
    ):
        assert bad != got
        assert verified(one.world, bad) == []


# --- whose key ---


def test_the_author_s_domain_signs_else_the_sender_s(one, world):
    other = f"x@{world.name()}"
    cases = [
        (other, f"A <a@{one.domain}>", True),
        (one.address, f"A <a@{other}>", True),
        (other, f"A <a@sub.{one.domain}>", True),
        (other, f'"a@{one.domain}" <a@{world.name()}>', False),
        (other, f"a@x{one.domain}", False),
        (f"bounce@mail.{one.domain}", f"a@{world.name()}", True),
    ]
    for sender, author, is_signed in cases:
        got = one.sent(one.message(sender=author), sender=sender)
        assert verified(world, got) == (one.expected() if is_signed else []), author


def test_mail_of_other_domains_passes_as_it_is(one, world):
    author = f"a@{world.name()}"
    data = one.message(sender=author)
    got = one.sent(data, sender=author)
    assert b"DKIM-Signature" not in got and got.endswith(data)
    assert "dkim" not in one.relay.log.one("message.accepted")


def test_the_nearest_domain_above_signs(world, new_relay, tmp_path):
    above, below = world.name(), None
    below = f"mail.{above}"
    keys = [Key(world, tmp_path, d) for d in (above, below)]
    relay = new_relay(signing(*keys))
    for domain, key in (
        (above, keys[0]),
        (below, keys[1]),
        (f"a.b.{below}", keys[1]),
        (f"a.b.{above}", keys[0]),
    ):
        rcpt = f"bob@{world.domain(world.peer())}"
        submit(relay, rcpt, data=message(sender=f"a@{domain}"))
        got = world.ledger.one(rcpt).data
        assert verified(world, got) == [key.signature], domain


def test_a_domain_in_unicode_signs(world, new_relay, tmp_path):
    domain = f"xn--bcher-kva.{world.name()}"
    key = Key(world, tmp_path, domain)
    config = signing(key)
    config['dkim "' + domain.replace("xn--bcher-kva", "BÜCHER") + '"'] = config.pop(
        f'dkim "{domain}"'
    )
    relay = new_relay(config)
    rcpt = f"bob@{world.domain(world.peer())}"
    author = "A <a@" + domain.replace("xn--bcher-kva", "bücher") + ">"
    submit(relay, rcpt, data=message(sender=author))
    assert by_dkimpy(world, world.ledger.one(rcpt).data) == [key.signature]


def test_what_the_application_signed_is_not_signed_again(both):
    """By the same name, that is: the other key still signs."""
    own = f"DKIM-Signature: v=1; d={both.domain};\r\n\ts={both.keys[0].selector}; b=x"
    got = both.sent(both.message(extra=[own]))
    assert verified(both.world, got) == both.expected(1)
    assert len(signatures(got)) == 2
    strange = "DKIM-Signature: v=1; d=elsewhere.test; s=s1; b=x"
    assert verified(both.world, both.sent(both.message(extra=[strange]))) == (
        both.expected()
    )


# --- what can't be signed ---


@pytest.mark.parametrize(
    "data, words",
    [
        # Nobody adds a From to what somebody else has signed.
        (b"DKIM-Signature: v=1; d=x.test\r\nTo: x@y.test\r\n\r\n", "no From"),
        (b"From: a@DOMAIN\r\n" + b"To: x@y.test\r\n" * 300 + b"\r\n", "fields"),
    ],
)
def test_a_message_that_can_t_be_signed_is_refused(one, data, words):
    """And never passed on without a signature."""
    with Wire(one.relay.ip, one.relay.port) as c:
        c.ready().envelope(one.rcpt, sender=one.address)
        c.say("DATA", 354)
        c.send(data.replace(b"DOMAIN", one.domain.encode()) + b".\r\n")
        c.expect(550, words)
        c.say("RSET", 250)
    assert one.relay.queue() == []


# --- keys that change ---


@pytest.mark.threads
def test_keys_change_while_they_sign(both):
    """Each message has a good signature by the old key or the new one."""
    key, old = both.keys[1], both.keys[1].record
    for i in range(2):
        key.change(make("ed25519"))
        new = key.record
        while not both.relay.log.find("dkim.key")[i:]:
            got = both.sent()
            key.publish(old)
            good = by_dkimpy(both.world, got)
            key.publish(new)
            assert key.signature in good + by_dkimpy(both.world, got)
        old = new
    both.passes(both.sent())


def test_a_new_key_in_the_same_file_is_taken_without_a_word(one):
    one.passes(one.sent())
    one.keys[0].change(make("2048"))
    one.keys[0].algorithm = "rsa-sha256"
    line = one.relay.log.one("dkim.key", result="changed")
    assert line["domain"] == one.domain and line["selector"] == "s1"
    one.passes(one.sent())


@pytest.mark.parametrize("fault", ["half", "garbage", "gone", "short"])
def test_a_broken_file_changes_nothing_but_the_log(one, fault):
    key = one.keys[0]
    if fault == "gone":
        key.path.unlink()
    else:
        texts = {"half": key.pem[:70], "garbage": b"hello", "short": pem(make("512"))}
        key.write(texts[fault])
    line = one.relay.log.one("dkim.key", result="kept")
    assert line["level"] == "error" and str(key.path) == line["file"]
    one.passes(one.sent())
    # Nor does a reload; the fault is named once more, and only once.
    done = one.relay.cli("reload", check=False)
    assert done.returncode == 78 and str(key.path) in done.stderr
    one.passes(one.sent())
    assert len(one.relay.log.find("dkim.key")) == 1
    key.change(make("ed25519"))
    one.relay.log.one("dkim.key", result="changed")
    one.passes(one.sent())


def test_a_reload_brings_another_selector(one, world, tmp_path):
    """Roll-over: both sign, then the new one alone."""
    new = Key(world, tmp_path, one.domain, "s2")
    old = one.keys[0]
    for keys in ([old, new], [new]):
        one.keys = keys
        one.relay.write_config(signing(*keys))
        one.relay.cli("reload")
        one.passes(one.sent())


def test_a_reload_ends_signing(one):
    one.relay.config.pop(f'dkim "{one.domain}"')
    one.relay.write_config()
    one.relay.cli("reload")
    assert b"DKIM-Signature" not in one.sent()


def test_no_key_ever_shows(both):
    both.sent()
    for key in both.keys:
        key.write(key.pem[:-40])
    both.relay.log.wait("dkim.key", 2, result="kept")
    both.relay.cli("reload", check=False)
    shown = both.relay.cli("check", "-c", str(both.relay.config_file), check=False)
    said = str(both.relay.log.events) + both.relay.stderr() + str(shown)
    for key in both.keys:
        for line in key.pem.decode().splitlines()[1:-1]:
            assert line not in said
    assert "PRIVATE" not in said


# --- our own mail ---


@pytest.fixture
def ours(world, new_relay, tmp_path):
    """A relay with a key for its own domain, and somebody who gets notices."""
    keys = [Key(world, tmp_path, "lab.test", f"n{i}", kind) for i, kind in
            enumerate(["2048", "ed25519"])]
    relay = new_relay({**signing(*keys), "retry": {"schedule": ["300ms"],
                                                   "warn": "1s", "expire": "1h"}})
    relay.keys = keys
    relay.sender = f"app@{world.domain(world.peer())}"
    return relay


@pytest.mark.parametrize("reply", ["550 5.1.1 nobody", "450 4.2.1 later"])
def test_bounces_and_delay_warnings_are_signed(world, ours, reply):
    peer = world.peer()
    peer.replies["RCPT"] = [[reply]]
    submit(ours, f"bob@{world.domain(peer)}", sender=ours.sender,
           data=message(sender=ours.sender))
    got = world.ledger.one(ours.sender)
    assert got.mail == "<>"
    assert verified(world, got.data) == sorted(k.signature for k in ours.keys)
    assert b"message/delivery-status" in got.data


# --- the commands ---


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_that_was_made_signs(world, new_relay, tmp_path, kind):
    """From keygen to a message that verifies, by what it prints alone."""
    domain = world.name()
    more = ["--ed25519"] if kind == "ed25519" else []
    done = run("dkim", "keygen", domain, "s1", *more, cwd=tmp_path)
    assert done.returncode == 0
    path = tmp_path / f"{domain}.s1.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    name, strings = zone_line(done.stdout)
    assert name == f"s1._domainkey.{domain}."
    assert "PRIVATE" not in done.stdout + done.stderr
    world.dns.txt(name.rstrip("."), *strings)
    relay = new_relay(
        {f'dkim "{domain}"': {"selector": "s1", "key": str(path)}}
    )
    assert f'key = "{path}"' in done.stderr
    rcpt = f"bob@{world.domain(world.peer())}"
    submit(relay, rcpt, data=message(sender=f"a@{domain}"))
    [(d, s, a)] = verified(world, world.ledger.one(rcpt).data)
    assert (d, s, a) == (domain, "s1", f"{kind}-sha256")
    again = run("dkim", "keygen", domain, "s1", cwd=tmp_path)
    assert again.returncode == 73 and "not overwritten" in again.stderr


@pytest.mark.parametrize(
    "words, code",
    [
        ((), 64),
        (("a.test",), 64),
        (("a.test", "s1", "more"), 64),
        (("a.test", "s1", "--ed448"), 64),
        (("no_dot", "s1"), 65),
        (("a.test", "../s1"), 65),
        (("a.test", ""), 65),
        (("a.test", "s1", "-o", "/nonexistent/x.pem"), 73),
    ],
)
def test_keygen_makes_nothing_of_bad_words(tmp_path, words, code):
    assert run("dkim", "keygen", *words, cwd=tmp_path).returncode == code
    assert list(tmp_path.iterdir()) == []


def test_dns_prints_what_to_publish(both):
    file = str(both.relay.config_file)
    done = run("dkim", "dns", "-c", file)
    lines = [x for x in done.stdout.splitlines() if not x.startswith(";")]
    assert len(lines) == 2
    for key, line in zip(both.keys, lines):
        name, strings = zone_line(line)
        assert name == key.name + "." and "".join(strings) == key.record
        assert all(len(s) <= 255 for s in strings)
    assert "reports about TLS" in done.stdout.replace("Reports", "reports")
    found = json.loads(run("dkim", "dns", "-c", file, "--json").stdout)
    assert [(r["name"], r["record"]) for r in found] == [
        (k.name, k.record) for k in both.keys
    ]


FAULTS = {
    "none": (lambda k: None, 0, "ok"),
    "missing": (lambda k: k.world.dns.drop(k.name), 1, "nothing is published"),
    "another": (lambda k: k.publish(record(make("ed25519"))), 1, "another key"),
    "revoked": (lambda k: k.publish("v=DKIM1; k=ed25519; p="), 1, "revoked"),
    "service": (lambda k: k.publish(k.record + "; s=tlsrpt"), 1, "its s="),
    "two": (lambda k: k.world.dns.txt(k.name, "v=DKIM1; p=x"), 1, "2 records"),
    "servfail": (lambda k: k.world.dns.behave(k.name, "servfail"), 75, "unknown"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_compares_with_dns(one, fault):
    spoil, code, words = FAULTS[fault]
    spoil(one.keys[0])
    done = run("dkim", "check", "-c", str(one.relay.config_file))
    assert done.returncode == code and words in done.stdout, done
    found = json.loads(
        run("dkim", "check", "-c", str(one.relay.config_file), "--json").stdout
    )
    assert [r["state"] for r in found] == [
        {0: "ok", 1: "wrong", 75: "unknown"}[code]
    ]


def test_check_wants_reports_allowed_where_they_come_from(world, ours):
    key = ours.keys[1]
    for services, code in (("email:tlsrpt", 0), ("*", 0), ("email", 1)):
        key.publish(key.record.split("; s=")[0] + f"; s={services}")
        done = run("dkim", "check", "-c", str(ours.config_file))
        assert done.returncode == code, done
    assert "reports about TLS" in done.stdout


def test_check_has_nothing_to_say_without_keys(world, new_relay, tmp_path):
    relay = new_relay()
    done = run("dkim", "check", "-c", str(relay.config_file))
    assert done.returncode == 1 and "no dkim block" in done.stderr
    bad = tmp_path / "bad.conf"
    bad.write_text('dkim "a.test" { selector = "s1" }\n')
    for command in ("check", "dns"):
        done = run("dkim", command, "-c", str(bad))
        assert done.returncode == 78 and "bad.conf:1: dkim.a.test.key" in done.stderr


def test_a_relay_does_not_start_with_a_broken_key(world, tmp_path):
    path = tmp_path / "half.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE")
    config = tmp_path / "bad.conf"
    config.write_text(
        f'state_directory = "{tmp_path}"\n'
        f'dkim "a.test" {{\n  selector = "s1"\n  key = "{path}"\n}}\n'
    )
    done = run("serve", "-c", str(config))
    assert done.returncode == 78
    assert f"{config}:4: dkim.a.test.key: {path} holds no key" in done.stderr
    assert "MC4C" not in done.stderr


@pytest.mark.threads
def test_a_relay_that_ends_while_it_signs_keeps_what_it_took(both):
    """And signed it before it said so."""
    taken, stop = [], threading.Event()

    def send(n):
        while not stop.is_set():
            try:
                taken.append(submit(both.relay, both.rcpt, data=both.message()))
            except (OSError, AssertionError, smtplib.SMTPException):
                return

    clients = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for c in clients:
        c.start()
    both.world.ledger.wait(both.rcpt, count=5)
    both.relay.stop()
    stop.set()
    for c in clients:
        c.join()
    both.relay.start()
    until = time.monotonic() + PATIENCE
    for mid in taken:
        while not (found := [d for d in both.world.ledger.of(both.rcpt)
                             if mid.encode() in d.data]):
            assert time.monotonic() < until, mid
            time.sleep(0.05)
        assert len(by_dkimpy(both.world, found[0].data)) == 2
