"""An SMTP server that takes everything, as its ledger and the addresses say.

`ok` is accepted; `later` is put off at RCPT the first time; `never` is refused
for good; `dot` makes the end of the message be put off the first time."""

import asyncio


class Session(asyncio.Protocol):
    def __init__(self, sink):
        self.sink = sink
        self.buffer = bytearray()
        self.sender = None
        self.rcpts = []
        self.in_data = False
        self.round = sink.ledger.round

    def connection_made(self, transport):
        self.transport = transport
        self.sink.sessions.add(self)
        self.say("220 sink.test ESMTP")

    def connection_lost(self, exc):
        self.sink.sessions.discard(self)

    def say(self, line):
        if not self.transport.is_closing():
            self.transport.write(line.encode() + b"\r\n")

    def data_received(self, data):
        self.buffer += data
        while self.in_data or b"\n" in self.buffer:
            if not self.in_data:
                line, _, rest = self.buffer.partition(b"\n")
                self.buffer = rest
                self.command(line.decode("ascii").rstrip("\r"))
            elif not self.end_of_data():
                return

    def command(self, line):
        verb = line[:4].upper()
        if verb == "EHLO":
            self.say("250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME")
        elif verb == "MAIL":
            self.sender = line.split("<")[1].split(">")[0]
            self.rcpts = []
            self.say("250 ok")
        elif verb == "RCPT":
            self.rcpt(line.split("<")[1].split(">")[0])
        elif verb == "DATA":
            self.in_data = bool(self.rcpts)
            self.say("354 go on" if self.rcpts else "554 no recipient")
        elif verb == "QUIT":
            self.say("221 bye")
            self.transport.close()
        else:
            self.say("250 ok")

    def rcpt(self, address):
        self.sink.asked += 1
        if self.sink.puts_off:
            self.say("451 4.2.0 come again")
        elif address.startswith("never."):
            self.say("550 5.1.1 no such user")
        elif address.startswith("later.") and self.sink.is_first(address):
            self.say("451 4.2.0 come again")
        else:
            self.rcpts.append(address)
            self.say("250 ok")

    def end_of_data(self):
        if self.buffer.startswith(b".\r\n"):
            end, used = 0, 3
        else:
            at = self.buffer.find(b"\r\n.\r\n")
            if at < 0:
                return False
            end, used = at + 2, at + 5
        body = bytes(self.buffer[:end]).replace(b"\r\n..", b"\r\n.")
        if body.startswith(b".."):
            body = body[1:]
        del self.buffer[:used]
        self.in_data = False
        self.whole(body)
        return True

    def whole(self, body):
        sink = self.sink
        if sink.on_dot and not sink.on_dot(self):
            return
        if any(r.startswith("dot.") and sink.is_first(r) for r in self.rcpts):
            self.say("452 4.2.2 come again")
            return
        sink.ledger.accept(self.sender, self.rcpts, body, self.round)
        sink.accepted += 1
        if sink.delay:
            asyncio.get_running_loop().call_later(sink.delay, self.say, "250 taken")
        else:
            self.say("250 taken")
        if sink.on_accepted:
            sink.on_accepted(self)


class Sink:
    def __init__(self, ledger):
        self.ledger = ledger
        self.sessions = set()
        self.seen = set()
        self.accepted = 0
        self.delay = 0
        self.puts_off = False  # everybody, whatever the address
        self.asked = 0  # RCPTs
        self.on_dot = None  # false: neither accepted nor answered
        self.on_accepted = None

    def is_first(self, address):
        if address in self.seen:
            return False
        self.seen.add(address)
        return True

    async def start(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: Session(self), "127.0.0.1", 0, backlog=200
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def close(self):
        self.server.close()
        for s in list(self.sessions):
            s.transport.abort()
