"""Clients that send as fast as they are let, and remember each promise."""

import asyncio
import hashlib
import random

from rig.ledger import Message

KINDS = ["ok"] * 12 + ["later"] * 2 + ["dot", "never"]
LARGE = 0.08  # how many messages are more than one piece of the store
OPEN_MAX = 300  # recipients promised and not yet delivered


class Refused(Exception):
    pass


def make(number, kinds, size, rng, ledger):
    """A message and its octets."""
    rcpts = [f"{kind}.{number}.{i}@fault.test" for i, kind in enumerate(kinds)]
    filler = rng.randbytes(45).hex()
    lines = [
        f"From: s.{number}@fault.test",
        f"Subject: number {number}",
        "Date: Mon, 23 Nov 2026 12:00:00 +0000",
        f"Message-ID: <{number}@fault.test>",
        "",
        ".starts with a dot",
        ".",
    ]
    lines += [f"{i} {filler}" for i in range(size // 100)]
    body = ("\r\n".join(lines) + "\r\n").encode()
    message = Message(number, rcpts, len(body), hashlib.sha1(body).digest())
    ledger.submit(message)
    return message, body


class Client:
    takes_large = True

    def __init__(self, port):
        self.port = port
        self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=1 << 20
        )
        await self.expect("220")
        await self.say("EHLO client.test", "250")

    async def reply(self):
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError("closed")
            if line[3:4] == b" ":
                return line.decode().rstrip()

    async def expect(self, code):
        line = await self.reply()
        if not line.startswith(code):
            raise Refused(line)
        return line

    async def say(self, line, code):
        self.writer.write(line.encode() + b"\r\n")
        return await self.expect(code)

    async def send(self, message, body):
        """The final reply's text.  Pipelined up to the body."""
        lines = [f"MAIL FROM:<{message.sender}>"]
        lines += [f"RCPT TO:<{r}>" for r in message.rcpts] + ["DATA"]
        self.writer.write(("\r\n".join(lines) + "\r\n").encode())
        refused = None
        for i in range(len(lines)):
            line = await self.reply()
            if line[0] not in "23" and not refused:
                refused = line
        if refused:
            raise Refused(refused)
        self.writer.write(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        await self.writer.drain()
        message.reply = await self.expect("250")
        return message.reply

    def close(self):
        if self.writer:
            self.writer.transport.abort()
        self.writer = None


class ApiClient:
    """The same by POST /v1/messages over the control socket."""

    takes_large = False  # a request has 64 KB at most

    def __init__(self, socket):
        self.socket = socket
        self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_unix_connection(self.socket)

    async def send(self, message, body):
        head = [
            "POST /v1/messages HTTP/1.1",
            "Host: localhost",
            "Content-Type: message/rfc822",
            f"Content-Length: {len(body)}",
            f"X-Envelope-From: {message.sender}",
            f"X-Envelope-To: {', '.join(message.rcpts)}",
            "Connection: close",
        ]
        self.writer.write(("\r\n".join(head) + "\r\n\r\n").encode() + body)
        status = (await self.reader.readline()).decode()
        await self.reader.read()
        self.close()
        if not status:
            raise ConnectionError("closed")
        if not status.startswith("HTTP/1.1 202"):
            raise Refused(status)

    def close(self):
        if self.writer:
            self.writer.transport.abort()
        self.writer = None


class Load:
    """`clients` connections at once; `pause()` and `go_on()` between."""

    def __init__(self, relay, seed, clients=12, kinds=KINDS):
        self.port = relay.port
        self.socket = relay.folder / "control.sock"
        self.ledger = relay.ledger
        self.rng = random.Random(seed)
        self.kinds = kinds
        self.number = 0
        self.sending = asyncio.Event()
        self.refusals = []
        self.tasks = [
            asyncio.create_task(self._run(ApiClient(self.socket))),
            *(
                asyncio.create_task(self._run(Client(self.port)))
                for _ in range(clients - 1)
            ),
        ]

    def go_on(self):
        self.sending.set()

    def pause(self):
        self.sending.clear()

    def _next(self, may_be_large):
        self.number += 1
        many = self.rng.random() < 0.2
        count = self.rng.randint(2, 6) if many else 1
        kinds = [self.rng.choice(self.kinds) for _ in range(count)]
        large = may_be_large and self.rng.random() < LARGE
        size = self.rng.randint(65000, 300000) if large else self.rng.randint(0, 6000)
        return make(self.number, kinds, size, self.rng, self.ledger)

    async def _run(self, client):
        try:
            await self._send_all(client)
        finally:
            client.close()

    async def _send_all(self, client):
        while True:
            await self.sending.wait()
            if len(self.ledger.pending) > OPEN_MAX:
                await asyncio.sleep(0.01)
                continue
            try:
                if not client.writer:
                    await client.open()
                message, body = self._next(client.takes_large)
                await client.send(message, body)
                self.ledger.ack(message)
            except (OSError, EOFError, Refused) as e:
                if isinstance(e, Refused):
                    self.refusals.append(str(e))
                client.close()
                await asyncio.sleep(0.02)

    async def close(self):
        for t in self.tasks:
            t.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle(ledger, timeout):
    """Waits until all that was promised has happened, or nothing happens any
    more."""
    still, last = 0.0, None
    while ledger.pending:
        now = len(ledger.pending)
        still = 0.0 if now != last else still + 0.05
        last = now
        if still > timeout:
            return False
        await asyncio.sleep(0.05)
    return True
