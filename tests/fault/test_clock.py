"""The wall clock jumps: nothing expires, nothing is tried in a storm, nothing
waits until the clock is right again."""

import asyncio
import time

import pytest

from rig.world import World

YEAR_MS = 365 * 24 * 3600 * 1000


async def watch(w, seconds):
    """How often each recipient was tried meanwhile."""
    before = w.sink.asked
    await asyncio.sleep(seconds)
    return (w.sink.asked - before) / len(w.ledger.pending)


async def jumps(folder, years):
    async with World(folder) as w:
        await w.start()
        w.sink.puts_off = True
        for _ in range(10):
            assert (await w.send()).startswith("250")
        # Often enough that they may expire, were they old.
        await watch(w, 4)
        for ms in (years * YEAR_MS, 0):
            w.shim.control.wall_ms = ms
            # Every 500 ms, give or take a tenth, and the look for work.
            assert 1 <= await watch(w, 3) <= 8
            assert not w.relay.find("delivery.expired")
            assert not w.relay.find("delivery.bounced")
        w.sink.puts_off = False
        await w.settle()
        assert not w.ledger.bounced
        await w.end()


@pytest.mark.parametrize("years", [10, -1, -50])
def test_a_clock_that_jumps_and_comes_back_expires_nothing(folder, years):
    asyncio.run(jumps(folder, years))


async def starts_early(folder, wall_ms):
    async with World(folder) as w:
        await w.start()
        w.sink.puts_off = True
        for _ in range(10):
            assert (await w.send()).startswith("250")
        await watch(w, 1)
        await w.relay.kill()
        w.shim.control.wall_ms = wall_ms
        await w.start()
        assert (await w.send()).startswith("250")
        assert 1 <= await watch(w, 3) <= 10
        w.sink.puts_off = False
        await w.settle()
        assert not w.ledger.bounced
        # And with the right time again.
        w.sink.puts_off = True
        assert (await w.send()).startswith("250")
        await w.relay.kill()
        w.shim.control.wall_ms = 0
        w.sink.puts_off = False
        await w.start()
        await w.end()


async def starts_late(folder, years):
    """As after a dead battery or a bad NTP server: mail that was tried often
    enough to expire, were it as old as it looks."""
    async with World(folder) as w:
        await w.start()
        w.sink.puts_off = True
        for _ in range(10):
            assert (await w.send()).startswith("250")
        await watch(w, 4)
        await w.relay.kill()
        w.shim.control.wall_ms = years * YEAR_MS
        await w.start()
        assert 1 <= await watch(w, 3) <= 10
        for event in ("delivery.expired", "delivery.bounced"):
            assert not w.relay.find(event)
        await w.relay.kill()
        w.shim.control.wall_ms = 0
        await w.start()
        assert 1 <= await watch(w, 2) <= 10
        w.sink.puts_off = False
        await w.settle()
        assert not w.ledger.bounced
        await w.end()


@pytest.mark.parametrize("years", [1, 10])
def test_a_start_with_a_clock_far_ahead_expires_nothing(folder, years):
    asyncio.run(starts_late(folder, years))


def test_a_start_a_year_early_delivers(folder):
    asyncio.run(starts_early(folder, -YEAR_MS))


def test_a_start_in_1970_delivers(folder):
    asyncio.run(starts_early(folder, -int(time.time() * 1000) + 60_000))
