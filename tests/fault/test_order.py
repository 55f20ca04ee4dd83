"""What happens in which order: the disk has a message before its sender is
told, and a kill between any two steps loses nothing."""

import asyncio
import os
import re
import time

import pytest

from rig.relay import binary
from rig.world import World

CALLS = "recvfrom,sendto,read,write,pwrite64,fdatasync,fsync"
LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*)")


def calls(trace):
    """(name, text) of each call when it ended; a call that was interrupted by
    another thread's is put together."""
    begun = {}
    for line in trace.splitlines():
        m = LINE.match(line)
        if not m:
            continue
        thread, name, how, text = m.groups()
        if how == "(":
            begun[thread] = text
        else:
            begun[thread] = begun.get(thread, "") + text
        if not line.endswith("<unfinished ...>"):
            yield name, begun.pop(thread)


def order_of_one(trace, port):
    """Which steps lie between the last octets of the body and the 250."""
    steps = None
    for name, text in calls(trace):
        ours = f":{port}->" in text.split(",")[0]
        if name == "recvfrom" and ours and r"\r\n.\r\n" in text:
            steps = []
        elif steps is not None and "queue.db-wal" in text.split(",")[0]:
            steps.append((name, text.rsplit("=", 1)[1].strip()))
        elif name == "sendto" and ours and '"250 2.0.0 queued' in text:
            return steps
    raise AssertionError("no message in the trace")


async def traced(folder, program):
    path = os.path.join(folder, "trace")
    async with World(folder, program, shim=False) as w:
        strace = ["strace", "-f", "-yy", "-s", "70000", "-o", path, "-e", CALLS]
        await w.start(strace, timeout=60)
        assert (await w.send(["ok", "never"])).startswith("250")
        await w.settle()
        pid = int(open(f"{w.relay.state}/queue.lock").read())
        os.kill(pid, 15)
        await w.relay.ended()
        with open(path, errors="replace") as f:
            return order_of_one(f.read(), w.relay.port)


def is_synced(steps):
    """Written, then synced with success, and nothing written behind."""
    names = [name for name, _ in steps]
    return (
        "pwrite64" in names
        and names[-1] in ("fdatasync", "fsync")
        and steps[-1][1] == "0"
    )


def test_the_disk_has_it_before_the_sender_is_told(folder):
    steps = asyncio.run(traced(folder, binary()))
    assert is_synced(steps), steps


@pytest.mark.skipif(
    not os.environ.get("SEALPOST_EARLY_BIN"), reason="SEALPOST_EARLY_BIN is not set"
)
def test_a_relay_that_answers_too_early_is_found_out(folder):
    steps = asyncio.run(traced(folder, binary("SEALPOST_EARLY_BIN")))
    assert not is_synced(steps), steps


# --- a kill before each step ---

MESSAGES = [(["ok", "later"], 200), (["never", "ok"], 200), (["ok"], 70000)]


async def scenario(w):
    """False: the relay died on the way."""
    for kinds, size in MESSAGES:
        if not (await w.send(kinds, size)).startswith("250"):
            return False
    until = time.monotonic() + 60
    while w.ledger.pending and w.relay.is_up():
        assert time.monotonic() < until, w.relay.tail()
        await asyncio.sleep(0.01)
    return w.relay.is_up()


async def survives(w):
    """From now on it is not killed; it may have been a moment ago."""
    w.shim.let_live()
    await asyncio.sleep(0.02)
    if w.shim.has_killed():
        await w.relay.ended()
    return w.relay.is_up()


async def sweep_steps(folder):
    async with World(folder) as w:
        await w.start()
        k = killed = 0
        survived = 0
        while survived < 3:  # three in a row had fewer steps than k
            k += 1
            w.shim.kill_in(k)
            await scenario(w)
            await asyncio.sleep(0.02)
            if await survives(w):
                survived += 1
            else:
                survived = 0
                killed += 1
                await w.restart()
            await w.settle()
        print(f"{killed} kills; {w.ledger}")
        assert killed > 40
        await w.end()


def test_a_kill_before_any_step_of_a_message_loses_nothing(folder):
    asyncio.run(sweep_steps(folder))


async def sweep_start(folder):
    async with World(folder) as w:
        await w.start()
        k = killed = 0
        while killed == k:
            # Something to recover, and something half received.
            for kinds, size in MESSAGES:
                await w.send(kinds, size)
            await w.relay.kill()
            k += 1
            w.shim.kill_in(k)
            w.relay.launch(env=w.shim.env)
            while w.relay.is_up() and not w.relay.find("relay.ready"):
                await asyncio.sleep(0.005)
            if not await survives(w):
                killed += 1
                await w.restart()
            await w.settle()
        print(f"{killed} kills; {w.ledger}")
        assert killed > 5
        await w.end()


def test_a_kill_during_any_step_of_a_start_loses_nothing(folder):
    asyncio.run(sweep_start(folder))


# --- a kill around the final dot ---


async def kill_at_dot(folder):
    async with World(folder) as w:
        await w.start()

        def on_dot(session):
            w.sink.on_dot = None
            w.relay.process.kill()
            return False

        w.sink.on_dot = on_dot
        assert (await w.send()).startswith("250")
        await w.relay.ended()
        await w.restart()
        await w.settle()
        assert w.ledger.duplicates() == 0
        await w.end()


def test_a_kill_before_the_reply_to_the_dot_delivers_again(folder):
    asyncio.run(kill_at_dot(folder))


async def kill_after(folder, kill):
    async with World(folder) as w:
        await w.start()

        def on_accepted(session):
            w.sink.on_accepted = None
            kill(w)

        w.sink.on_accepted = on_accepted
        assert (await w.send()).startswith("250")
        await w.relay.ended()
        await w.restart()
        await w.quiet()
        await w.settle()
        assert w.ledger.duplicates() == 1
        await w.end()


def test_a_kill_before_the_reply_is_read_delivers_twice_at_most(folder):
    asyncio.run(kill_after(folder, lambda w: w.relay.process.kill()))


def test_a_kill_before_the_reply_is_recorded_delivers_twice_at_most(folder):
    asyncio.run(kill_after(folder, lambda w: w.shim.kill_in(1)))
