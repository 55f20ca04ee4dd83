"""A machine that gives too little: descriptors, a reader of the log, time."""

import asyncio
import os
import signal
import time

from rig.load import Client, Load
from rig.world import World


async def few_files(folder):
    async with World(folder) as w:
        await w.start(["prlimit", "--nofile=96:96"])
        idle = []
        for _ in range(200):
            reader, writer = await asyncio.open_connection("127.0.0.1", w.relay.port)
            idle.append((reader, writer))
        said = [await asyncio.wait_for(r.readline(), 5) for r, _ in idle]
        taken = [i for i, line in enumerate(said) if line.startswith(b"220")]
        assert 10 < len(taken) < 96
        assert all(line.startswith((b"220", b"421")) for line in said)
        # No spinning on what can't be accepted.
        stat = f"/proc/{w.relay.process.pid}/stat"
        ticks = sum(map(int, open(stat).read().split()[13:15]))
        await asyncio.sleep(1)
        assert sum(map(int, open(stat).read().split()[13:15])) - ticks < 30
        # One of those who came in sends, and the relay can still deliver.
        client = Client(w.relay.port)
        client.reader, client.writer = idle[taken[0]]
        await client.say("EHLO client.test", "250")
        for _ in range(20):
            message, body = w.message(["ok", "later", "never"])
            await client.send(message, body)
            w.ledger.ack(message)
        await w.settle()
        for _, writer in idle:
            writer.transport.abort()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_deliveries_keep_their_descriptors(folder):
    asyncio.run(few_files(folder))


async def log_stands_still(folder, close):
    """Nobody reads the log; 64 KB fit into the pipe."""
    async with World(folder) as w:
        reading, writing = os.pipe()
        w.relay.launch(log=writing, env=w.shim.env)
        os.close(writing)
        await asyncio.sleep(1)
        if close:
            os.close(reading)
        for i in range(300):
            kinds = ["never"] if i % 50 == 0 else ["ok"] * 10
            assert (await w.send(kinds)).startswith("250")
        await w.settle()
        assert w.ledger.duplicates() == 0
        w.relay.process.send_signal(signal.SIGTERM)
        assert await w.relay.ended() == 0
        if not close:
            os.close(reading)


def test_a_log_that_nobody_reads_holds_nothing_up(folder):
    asyncio.run(log_stands_still(folder, False))


def test_a_log_that_is_closed_ends_nothing(folder):
    asyncio.run(log_stands_still(folder, True))


async def paused(folder):
    async with World(folder) as w:
        await w.start()
        load = Load(w.relay, 4)
        load.go_on()
        for _ in range(3):
            await asyncio.sleep(0.5)
            w.relay.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1)
            w.relay.process.send_signal(signal.SIGCONT)
        load.pause()
        begin = time.monotonic()
        await w.settle()
        assert time.monotonic() - begin < 25
        await load.close()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_pause_loses_nothing(folder):
    asyncio.run(paused(folder))
