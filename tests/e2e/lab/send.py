"""Clients: one that is polite, and one that is not."""

import re
import smtplib
import socket
import ssl
import time

from . import seen
from .patience import PATIENCE

SENDER = "app@sender.lab.test"


def message(subject="hello", body="Hello.\r\n", sender=SENDER, to="you", extra=()):
    """A whole message, in octets, with all the fields that a relay might add."""
    head = [
        f"From: {sender}",
        f"To: {to}",
        f"Subject: {subject}",
        "Date: Mon, 23 Nov 2026 12:00:00 +0000",
        f"Message-ID: <{time.monotonic_ns()}@sender.lab.test>",
        *extra,
    ]
    text = "\r\n".join(head) + "\r\n\r\n"
    return text.encode() + (body if isinstance(body, bytes) else body.encode())


def submit(
    relay,
    *rcpts,
    data=None,
    sender=SENDER,
    mail_options=(),
    rcpt_options=(),
    port=None,
    starttls=False,
):
    """Sends one message and gives the id that the relay gave it."""
    with smtplib.SMTP(relay.ip, port or relay.port, "client.lab.test", 60) as c:
        c.ehlo()
        if starttls:
            c.starttls(context=insecure())
            c.ehlo()
        code, text = c.mail(sender, list(mail_options))
        assert code == 250, text
        for rcpt in rcpts:
            code, text = c.rcpt(rcpt, list(rcpt_options))
            assert code == 250, text
        code, text = c.data(data if data is not None else message())
        assert code == 250, text
        mid = re.search(r"queued as (\S+)", text.decode()).group(1)
    seen.submitted(relay, mid, rcpts)
    return mid


def waiting(world, relay, count=1):
    """Messages that can't be delivered until there is a peer at their host:
    their domain, the host and their ids."""
    host = f"mx.{world.name()}"
    world.dns.put(host, "A", world.address(), ttl=1)
    d = world.domain(host, ttl=1)
    return d, host, [submit(relay, f"u{n}@{d}") for n in range(count)]


def insecure():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    """A connection on which one says what one likes."""

    def __init__(self, ip, port, greeting=220):
        self.sock = socket.create_connection((ip, port), 15)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if greeting:
            self.expect(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        """One reply: its code and its lines; None at the end."""
        lines = []
        while True:
            while b"\n" not in self.buffer:
                try:
                    data = self.sock.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return None
                self.buffer += data
            line, _, self.buffer = self.buffer.partition(b"\n")
            lines.append(line.rstrip(b"\r").decode("utf-8", "replace"))
            if lines[-1][3:4] != "-":
                return int(lines[-1][:3]), lines

    def expect(self, code, words=""):
        got = self.read()
        assert got and got[0] == code, f"wanted {code}, got {got}"
        assert words in " ".join(got[1]), got
        return got[1]

    def say(self, text, code, words=""):
        """A command, and the reply to it."""
        self.send(text.encode() + b"\r\n")
        return self.expect(code, words)

    def expect_end(self):
        """Nothing more comes, and the connection ends."""
        got = self.read()
        assert got is None, got

    def expect_silence(self, s=0.15):
        """No reply for now."""
        self.sock.settimeout(s)
        try:
            got = self.sock.recv(65536)
        except (TimeoutError, socket.timeout):
            got = None
        self.sock.settimeout(PATIENCE)
        assert got is None and not self.buffer, (got, self.buffer)

    def ready(self):
        self.say("EHLO client.lab.test", 250)
        return self

    def envelope(self, *rcpts, sender=SENDER):
        self.say(f"MAIL FROM:<{sender}>", 250)
        for rcpt in rcpts:
            self.say(f"RCPT TO:<{rcpt}>", 250)
        return self

    def data(self, *rcpts):
        """Up to 354."""
        self.ready().envelope(*rcpts)
        self.say("DATA", 354)
        return self

    def start_tls(self):
        self.sock = insecure().wrap_socket(self.sock)
        return self
