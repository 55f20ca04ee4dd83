"""A disk that is full, fails, or is slow: the sender is told to come again,
nothing is delivered that could not be recorded, and when the disk works again
the relay does so too, by itself."""

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import subprocess
import time

import pytest

from rig.disk import SmallDisk
from rig.load import Client, Load
from rig.world import World

RECOVERY = 5  # seconds, from a good disk to a 250


async def recovers(w):
    """I5: the time until mail is taken again."""
    begin = time.monotonic()
    while not (reply := await w.send()).startswith("250"):
        assert time.monotonic() - begin < RECOVERY, reply
        await asyncio.sleep(0.1)


def is_put_off(reply):
    return reply.startswith(("451 4.3.", "452 4.3.1", "HTTP/1.1 503"))


# --- no room ---


@contextlib.asynccontextmanager
async def on_small_disk(folder, megabytes):
    disk = SmallDisk(os.path.join(folder, "state"), megabytes)
    try:
        async with World(folder) as w:
            await w.start(disk.wrap)
            yield w, disk
            # The tmpfs goes with its holder: look at a copy.
            await w.settle()
            await w.quiet()
            await w.relay.stop()
            w.ledger.check()
            shutil.copytree(disk.path, w.relay.state, dirs_exist_ok=True)
            rows = w.relay.check_database()
            assert rows == {"recipient": 0, "body": 0, "spill": 0}, rows
    finally:
        disk.close()


async def full(folder):
    async with on_small_disk(folder, 72) as (w, disk):
        load = Load(w.relay, 1, clients=6)
        load.go_on()
        await asyncio.sleep(1)
        disk.fill()
        until = time.monotonic() + 60
        while not any(r.startswith("452 4.3.1") for r in load.refusals):
            assert time.monotonic() < until, "it takes mail without end"
            await asyncio.sleep(0.05)
            disk.fill()
        await asyncio.sleep(2)
        assert w.relay.is_up()
        # There is room kept for what became of what was taken.
        load.pause()
        await w.settle()
        assert w.ledger.duplicates() == 0
        assert all(is_put_off(r) for r in load.refusals), load.refusals
        begun = len(w.ledger.acked())
        disk.empty()
        await recovers(w)
        load.go_on()
        await asyncio.sleep(1)
        assert len(w.ledger.acked()) > begun + 20
        await load.close()
        await w.settle()
        assert w.ledger.duplicates() == 0


def test_a_full_disk_puts_mail_off_and_still_delivers(folder):
    asyncio.run(full(folder))


async def full_from_the_start(folder):
    async with on_small_disk(folder, 72) as (w, disk):
        w.sink.on_dot = lambda session: session.transport.abort()
        for size in (300, 300, 200000, 300):
            assert (await w.send(size=size)).startswith("250")
        await w.relay.kill()
        disk.fill()
        w.sink.on_dot = None
        await w.start(disk.wrap)
        await w.settle()
        disk.empty()
        await recovers(w)


def test_a_start_on_a_full_disk_delivers_what_is_queued(folder):
    asyncio.run(full_from_the_start(folder))


async def too_large(folder):
    limit = 21 << 20
    async with World(folder) as w:
        await w.start(["prlimit", f"--fsize={limit}:unlimited"])
        load = Load(w.relay, 2, clients=8)
        load.go_on()
        w.sink.delay = 0.5  # the queue grows
        until = time.monotonic() + 60
        while not load.refusals and time.monotonic() < until:
            w.ledger.pending.clear()  # the clients do not hold back
            await asyncio.sleep(0.05)
        load.pause()
        assert load.refusals, "no limit was met"
        assert all(is_put_off(r) for r in load.refusals), load.refusals
        pid = w.relay.process.pid
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        w.sink.delay = 0
        await load.close()
        await recovers(w)
        w.ledger.pending.update(w.ledger.lost())
        await w.settle()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_limit_on_the_file_is_as_a_full_disk(folder):
    asyncio.run(too_large(folder))


# --- a disk that fails ---


async def sync_fails_once(folder):
    async with World(folder) as w:
        await w.start()
        await recovers(w)
        w.shim.control.sync.fail(errno.EIO, count=1)
        reply = await w.send()
        # Its transaction is tried again by itself, and may well succeed.
        assert reply.startswith("250") or is_put_off(reply), reply
        assert w.shim.control.sync.count == 0
        await recovers(w)
        await w.settle()
        assert w.ledger.duplicates() == 0
        assert w.relay.find("store.health", healthy=True)
        await w.end()


def test_one_failed_sync_is_survived(folder):
    asyncio.run(sync_fails_once(folder))


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("what", ["sync", "write"])
def test_a_disk_that_fails_gets_no_promise_and_no_delivery(folder, what, error):
    async def run():
        async with World(folder) as w:
            await w.start()
            w.sink.delay = 0.3
            for _ in range(150):
                assert (await w.send()).startswith("250")
            getattr(w.shim.control, what).fail(error)
            reply = await w.send()
            assert is_put_off(reply), reply
            # What is under way ends; nothing new begins.
            await asyncio.sleep(1)
            before = w.sink.accepted
            await asyncio.sleep(1.5)
            assert w.sink.accepted == before
            assert before < 150, "nothing was left to see"
            assert is_put_off(await w.send())
            w.sink.delay = 0
            getattr(w.shim.control, what).stop()
            await recovers(w)
            await w.settle()
            assert w.ledger.duplicates() == 0
            await w.end()

    asyncio.run(run())


async def fails_for_good(folder):
    """F37: the relay ends, for whoever watches over it to see, and for another
    to read anew what the disk has kept."""
    async with World(folder) as w:
        await w.start()
        w.sink.puts_off = True
        for _ in range(20):
            assert (await w.send()).startswith("250")
        w.shim.control.sync.fail(errno.EIO)
        assert is_put_off(await w.send())
        w.shim.control.steady_ms = 9 * 60_000
        await asyncio.sleep(1.5)
        assert w.relay.is_up() and is_put_off(await w.send())
        # The main thread may have heard of the failure behind the first jump.
        w.shim.control.steady_ms = 20 * 60_000
        assert await w.relay.ended(30) == 75, w.relay.tail()
        w.shim.control.sync.stop()
        w.shim.control.steady_ms = 0
        w.sink.puts_off = False
        await w.start()
        await w.settle()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_disk_that_fails_for_good_ends_the_relay(folder):
    asyncio.run(fails_for_good(folder))


async def killed_while_failing(folder):
    async with World(folder) as w:
        await w.start()
        w.sink.delay = 0.2
        for kinds in (["ok", "never"], ["later", "ok"], ["ok"]) * 15:
            assert (await w.send(kinds)).startswith("250")
        w.shim.control.sync.fail(errno.EIO)
        for _ in range(5):
            assert is_put_off(await w.send())
        await asyncio.sleep(0.5)
        await w.relay.kill()
        w.shim.control.sync.stop()
        w.sink.delay = 0
        await w.start()
        await w.end()


def test_a_kill_while_the_disk_fails_loses_nothing(folder):
    asyncio.run(killed_while_failing(folder))


MESSAGES = [(["ok", "later"], 200), (["never", "ok"], 200), (["ok"], 70000)]


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("what,last", [("sync", 10), ("write", 60)])
def test_a_failure_of_any_call_is_survived(folder, what, last, error):
    """The n-th call fails, n = 1, 2, ... to the end of three messages."""

    async def run():
        async with World(folder) as w:
            await w.start()
            fault = getattr(w.shim.control, what)
            n, hit = 0, 0
            while n < last:
                fault.fail(error, count=1, skip=n)
                for kinds, size in MESSAGES:
                    reply = await w.send(kinds, size)
                    assert reply.startswith("250") or is_put_off(reply), reply
                await w.settle()
                hit += fault.count == 0
                fault.stop()
                await recovers(w)
                n += 1 if n < 6 else 9
            # Each message is synced before its answer; what is settled behind
            # it may share a commit.
            assert hit >= len(MESSAGES)
            assert w.ledger.duplicates() == 0
            await w.end()

    asyncio.run(run())


# --- a disk that is slow ---


async def slow(folder):
    async with World(folder) as w:
        await w.start()
        w.shim.control.sync.delay_us = 300_000
        load = Load(w.relay, 3, clients=6)
        load.go_on()
        waits = []
        clients = [Client(w.relay.port) for _ in range(4)]  # of both workers
        for c in clients:
            await c.open()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            for c in clients:
                begin = time.monotonic()
                await c.say("NOOP", "250")
                waits.append(time.monotonic() - begin)
            await asyncio.sleep(0.06)
        for c in clients:
            c.close()
        await load.close()
        w.shim.control.sync.stop()
        waits.sort()
        # A session that stood behind the disk would wait for half a call.
        assert waits[len(waits) * 9 // 10] < 0.15, waits[-50:]
        assert len(w.ledger.acked()) > 20
        await w.settle()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_slow_disk_holds_up_no_session_but_the_one_that_waits(folder):
    asyncio.run(slow(folder))


async def stands_still(folder):
    async with World(folder) as w:
        await w.start()
        w.sink.delay = 1.5  # what is taken waits in memory
        client = Client(w.relay.port)
        await client.open()
        for _ in range(1500):
            message, body = w.message()
            await client.send(message, body)
            w.ledger.ack(message)
            if w.number % 50 == 0:
                client.close()
                await client.open()
        client.close()
        w.shim.control.sync.delay_us = 6_000_000
        w.sink.delay = 0
        before = w.sink.accepted
        await asyncio.sleep(4)
        accepted = w.sink.accepted - before
        w.shim.control.sync.delay_us = 0
        # 500 results, and the rest of the orders under way: 10 of 20 each.
        assert 100 < accepted < 500 + 200 + 50
        await w.settle(30)
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_disk_that_stands_still_bounds_what_is_in_doubt(folder):
    asyncio.run(stands_still(folder))


# --- the files themselves ---


async def taken_away(folder):
    async with World(folder) as w:
        await w.start()
        assert (await w.send()).startswith("250")
        await w.settle()
        os.rename(w.relay.state / "queue.db", w.relay.state / "elsewhere")
        assert is_put_off(await w.send())
        os.rename(w.relay.state / "elsewhere", w.relay.state / "queue.db")
        await recovers(w)
        await w.end()


def test_a_file_that_was_moved_takes_no_mail(folder):
    asyncio.run(taken_away(folder))


async def second(folder):
    async with World(folder) as w:
        await w.start()
        done = subprocess.run(
            [w.relay.program, "serve", "-c", w.relay.config],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0
        await w.end()


def test_a_second_relay_on_the_same_queue_does_not_start(folder):
    asyncio.run(second(folder))
