"""kill -9 at any moment, again and again, under load: what was answered with
250 is delivered or bounced, nothing else is, and only what was in doubt twice.

SEALPOST_SEED and SEALPOST_ROUNDS repeat a run, or make it longer."""

import asyncio
import os
import random
import signal
import time

import pytest

from rig.ledger import Ledger
from rig.load import Load, settle
from rig.relay import Relay, binary
from rig.sink import Sink

ROUNDS = int(os.environ.get("SEALPOST_ROUNDS", "200"))
SEED = int(os.environ.get("SEALPOST_SEED") or random.randrange(1 << 32))
STARTING = 0.15  # how many kills hit a relay that is not ready yet
STOPPING = 0.1  # and how many one that was told to stop, or to reload
SHUTTING = ("421", "HTTP/1.1 503")


async def one_round(relay, rng):
    """Start, work, kill."""
    relay.launch()
    if rng.random() < STARTING:
        await asyncio.sleep(rng.uniform(0, 0.12))
    else:
        await relay.ready()
        await asyncio.sleep(rng.uniform(0.02, 0.7))
        if rng.random() < STOPPING:
            relay.process.send_signal(rng.choice([signal.SIGTERM, signal.SIGHUP]))
            await asyncio.sleep(rng.uniform(0, 0.05))
    code = relay.process.poll()
    assert code in (None, 0), f"it ended by itself: {code}\n{relay.tail()}"
    await relay.kill()


async def drain(relay, ledger):
    await relay.start()
    done = await settle(ledger, 30)
    lost = ledger.lost()
    assert done, f"I1: {len(lost)} lost, {lost[:10]}\n{relay.tail()}"
    await asyncio.sleep(1)  # what was never acknowledged may come as well
    await relay.stop()


async def crash(folder, rounds):
    rng = random.Random(SEED)
    ledger = Ledger()
    sink = await Sink(ledger).start()
    relay = Relay(folder, ledger, sink.port)
    load = Load(relay, SEED)
    begin = time.monotonic()
    try:
        load.go_on()
        for _ in range(rounds):
            await one_round(relay, rng)
        await load.close()
        await drain(relay, ledger)
        print(f"seed {SEED}, {rounds} rounds, {time.monotonic() - begin:.0f} s")
        print(ledger)
        ledger.check()
        # Results on their way to the disk, and orders of 20 on 10 connections.
        assert max(ledger.in_doubt().values()) <= 500 + 200
        refused = [r for r in load.refusals if not r.startswith(SHUTTING)]
        assert not refused, refused[:5]
        assert relay.check_database() == {"recipient": 0, "body": 0, "spill": 0}
        assert len(ledger.acked()) > rounds * 10, "there was no load"
    finally:
        await load.close()
        relay.close()
        sink.close()


def test_kill_at_any_moment_loses_nothing(folder):
    asyncio.run(crash(folder, ROUNDS))


async def crash_until_lost(folder, rounds):
    """The same with a relay that answers too early.  The sink is slow, so
    that what is not on the disk has not been delivered by chance."""
    rng = random.Random(SEED)
    ledger = Ledger()
    sink = await Sink(ledger).start()
    sink.delay = 0.1
    relay = Relay(folder, ledger, sink.port, binary("SEALPOST_EARLY_BIN"))
    load = Load(relay, SEED)
    try:
        for n in range(1, rounds + 1):
            load.go_on()
            await relay.start()
            await asyncio.sleep(rng.uniform(0.2, 0.5))
            await relay.kill()
            load.pause()
            await relay.start()
            if not await settle(ledger, 3):
                print(f"seed {SEED}: {len(ledger.lost())} lost in round {n}")
                return len(ledger.lost())
            await relay.kill()
    finally:
        await load.close()
        relay.close()
        sink.close()
    return 0


@pytest.mark.skipif(
    not os.environ.get("SEALPOST_EARLY_BIN"), reason="SEALPOST_EARLY_BIN is not set"
)
def test_an_answer_before_the_commit_is_found_out(folder):
    assert asyncio.run(crash_until_lost(folder, 30)) > 0
