"""Stopped and reloaded under load: nothing is lost, and nothing is done
twice."""

import asyncio
import os
import random
import signal

from rig.ledger import Ledger
from rig.load import Load, settle
from rig.relay import Relay
from rig.sink import Sink
from rig.world import World

SEED = int(os.environ.get("SEALPOST_SEED") or random.randrange(1 << 32))


async def stop_and_start(folder, rounds):
    rng = random.Random(SEED)
    ledger = Ledger()
    sink = await Sink(ledger).start()
    sink.delay = 0.01
    relay = Relay(folder, ledger, sink.port)
    load = Load(relay, SEED)
    print(f"seed {SEED}")
    try:
        load.go_on()
        for _ in range(rounds):
            await relay.start()
            await asyncio.sleep(rng.uniform(0.05, 0.5))
            await relay.stop()
        await load.close()
        await relay.start()
        assert await settle(ledger, 30), f"{ledger.lost()[:5]}\n{relay.tail()}"
        await relay.stop()
        print(ledger)
        ledger.check()
        assert ledger.duplicates() == 0
        said = [r for r in load.refusals if not r.startswith(("421", "HTTP/1.1 503"))]
        assert not said, said[:5]
        assert relay.check_database() == {"recipient": 0, "body": 0, "spill": 0}
    finally:
        await load.close()
        relay.close()
        sink.close()


def test_a_stop_under_load_loses_nothing_and_doubles_nothing(folder):
    asyncio.run(stop_and_start(folder, 20))


async def reload(folder):
    async with World(folder) as w:
        await w.start()
        load = Load(w.relay, SEED)
        load.go_on()
        good = w.relay.config.read_text()
        others = [
            good.replace("connections = 10", "connections = 3"),
            good + "nonsense = 1\n",
            good.replace('route "sink"', 'route "other"'),
            good,
        ]
        for i in range(24):
            w.relay.config.write_text(others[i % len(others)])
            w.relay.process.send_signal(signal.SIGHUP)
            await w.relay.wait_for("config.reload", count=i + 1)
            await asyncio.sleep(0.1)
        w.relay.config.write_text(good)
        w.relay.process.send_signal(signal.SIGHUP)
        await load.close()
        await w.settle(30)
        assert w.ledger.duplicates() == 0
        assert not load.refusals, load.refusals[:5]
        assert w.relay.find("config.reload", result="ok")
        assert [e for e in w.relay.find("config.reload") if "error" in e]
        await w.end()


def test_reloads_under_load_lose_nothing(folder):
    asyncio.run(reload(folder))


async def in_the_middle(folder):
    """A delivery that has its dot on the way gets the time for its answer."""
    async with World(folder) as w:
        await w.start()
        w.sink.delay = 2
        assert (await w.send()).startswith("250")
        while not w.sink.accepted:
            await asyncio.sleep(0.01)
        w.sink.delay = 0
        await w.relay.stop()
        await w.start()
        await w.quiet()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_stop_waits_for_the_answer_to_the_dot(folder):
    asyncio.run(in_the_middle(folder))
