"""A traced relay: what it did to its files, for whom, and when."""

import asyncio
import json
import pathlib
import re
import time

from rig.ledger import Ledger
from rig.load import Load, settle
from rig.relay import Relay
from rig.sink import Sink
from rig.trace import Trace

QUEUED = re.compile(r"250 2\.0\.0 queued as (\S+)")


class DatedLedger(Ledger):
    """Knows how long the trace was when something happened."""

    def __init__(self, trace):
        super().__init__()
        self.trace = trace
        self.acked_at = {}  # by number; not before the relay's reply
        self.over_at = {}  # by recipient; before the reply to the relay

    def ack(self, message):
        super().ack(message)
        self.acked_at[message.number] = self.trace.size

    def accept(self, sender, rcpts, data, round_):
        now = self.trace.size
        super().accept(sender, rcpts, data, round_)
        for rcpt in rcpts if sender else self.bounced:
            self.over_at.setdefault(rcpt, now)

    def due(self, position):
        """Recipients to whom mail was promised then, and still has to go."""
        return [
            rcpt
            for m in self.acked()
            if self.acked_at[m.number] <= position
            for rcpt in m.rcpts
            if self.over_at.get(rcpt, position) >= position
        ]


class Life:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.directory = folder / "state"
        self.trace = Trace(folder / "trace", self.directory)
        self.ledger = DatedLedger(self.trace)
        self.ends = []  # (length of the trace, all files) when it was down
        self.records = []
        self.recorded_at = {}  # by recipient: when the log said "delivered"

    def note_end(self):
        files = sorted(self.directory.glob("queue.db*"))
        self.ends.append((self.trace.size, {p.name: p.read_bytes() for p in files}))

    def finish(self):
        """The replies in the trace say more exactly when each promise was made
        than its client could."""
        self.records = self.trace.read()
        told = {}
        for r in self.records:
            if r.kind == "m":
                told[QUEUED.match(r.data.decode())[1]] = r.end
            elif r.kind == "o":
                self._note_log(r)
        for m in self.ledger.acked():
            match = QUEUED.match(m.reply)
            if match:  # else it came by the API
                assert told[match[1]] <= self.ledger.acked_at[m.number]
                self.ledger.acked_at[m.number] = told[match[1]]

    def _note_log(self, record):
        for line in record.data.splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # cut in two
                continue
            if event["event"] == "delivery.sent":
                self.recorded_at[event["to"]] = record.end


async def work_until_checkpoint(relay, load):
    """The WAL gets full, and begins anew under load."""
    file = relay.state / "queue.db"
    before = file.stat().st_mtime_ns
    until = time.monotonic() + 120
    load.go_on()
    while file.stat().st_mtime_ns == before:
        assert time.monotonic() < until, "no checkpoint\n" + relay.tail()
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    load.pause()


async def work_until_killed(life, relay, load, calls):
    await relay.start(env=life.trace.env(kill=calls))
    load.go_on()
    assert await relay.ended(120) == -9, relay.tail()
    load.pause()
    life.note_end()


async def all_of_it(life, relay, load):
    """It begins, dies, recovers, ends well, begins again, dies, and delivers
    what is left."""
    await work_until_killed(life, relay, load, 1500)
    await relay.start(env=life.trace.env())
    await work_until_checkpoint(relay, load)
    await relay.stop()
    life.note_end()
    await work_until_killed(life, relay, load, 700)
    await load.close()
    await relay.start(env=life.trace.env())
    assert await settle(life.ledger, 15), relay.tail()
    await relay.stop()
    life.note_end()
    life.ledger.check()


async def until_refused(life, relay, load):
    """A sync fails, one of the first ones behind a start; the relay is gone, and
    the next one finds in memory what the disk does not have."""
    await work_until_killed(life, relay, load, 700)
    load.go_on()
    for n in range(5, 10):
        relay.launch(env=life.trace.env(fail=n))
        assert await relay.ended(120) == -9, relay.tail()
        life.note_end()
    await load.close()
    await relay.start(env=life.trace.env())
    assert await settle(life.ledger, 15), relay.tail()
    await relay.stop()


async def first_days(life, relay, load):
    await work_until_killed(life, relay, load, 700)


async def live(folder, course, seed, program=None):
    life = Life(folder)
    sink = await Sink(life.ledger).start()
    sink.delay = 0.03  # so that much is always under way
    relay = Relay(folder, life.ledger, sink.port, program)
    load = Load(relay, seed)
    try:
        await course(life, relay, load)
    finally:
        await load.close()
        relay.close()
        sink.close()
    life.finish()
    return life
