"""A power cut at any moment: what was answered with 250 is on the disk.

A relay works, is killed, starts again, and ends; all that it does to its files
is traced.  Then the power is cut at many moments of the trace: of what no sync
has followed by then, nothing, all, or some is on the disk, and the store opens
what is left.

SEALPOST_SEED cuts at other moments; SEALPOST_CUTS is how many."""

import asyncio
import collections
import dataclasses
import email
import functools
import hashlib
import multiprocessing
import os
import pathlib
import random
import shutil
import tempfile

import pytest

from rig.ledger import Ledger, number_of
from rig.life import all_of_it, first_days, live, until_refused
from rig.load import settle
from rig.platter import MODES, Platter, write_images
from rig.reader import Reader
from rig.relay import Relay, binary
from rig.sink import Sink
from rig.trace import Trace

SEED = int(os.environ.get("SEALPOST_SEED") or 48)
CUTS = int(os.environ.get("SEALPOST_CUTS") or 100)
CUTS_AGAIN = 8  # and at each of so many, so many
CONTROL_CUTS = 24
PROCESSORS = min(os.cpu_count() or 1, 4)
KEPT = "/tmp/sealpost-power"  # the files of a cut that went wrong
MEMORY = "/dev/shm"


def scratch():
    """In memory, whose syncs cost nothing, where there is enough of it."""
    room = shutil.disk_usage(MEMORY).free if os.path.isdir(MEMORY) else 0
    return tempfile.TemporaryDirectory(
        prefix="fault-", dir=MEMORY if room > PROCESSORS * 100e6 else None
    )


@pytest.fixture(scope="module")
def life():
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        yield asyncio.run(live(folder, all_of_it, SEED))


# --- where the power is cut, and what the disk says of its syncs ---


def moments(records, count):
    """How many records there are by then: around syncs, behind promises, in
    checkpoints, anywhere."""
    rng = random.Random(SEED)
    kinds = (
        [i + n for i, r in enumerate(records) if r.kind in "sd" for n in (0, 1)],
        [i + 1 for i, r in enumerate(records) if r.kind == "m"],
        [i for i, r in enumerate(records) if r.name == "queue.db"],
        range(len(records)),
    )
    chosen = set()
    for some in kinds:
        chosen.update(rng.sample(some, min(count // len(kinds), len(some))))
    return sorted(chosen)


def about_nothing(name):
    return False


def about_the_wal(name):
    """As SQLite does it itself with synchronous=NORMAL."""
    return name.endswith("-wal")


def about_names(name):
    return name == ""


def about_everything(name):
    return True


# --- what has to be there then ---


@functools.cache
def notice_of(body):
    """Whose failure it tells of; nobody's, if it is no whole notice."""
    notice = email.message_from_bytes(body)
    if notice.get_content_type() != "multipart/report" or notice.defects:
        return []
    status = notice.get_payload(1).get_payload()
    return [part["Final-Recipient"].split(";")[1].strip() for part in status[1:]]


def is_unchanged(message, body):
    content = body[len(body) - message.size :]
    return hashlib.sha1(content).digest() == message.sha


def waiting(ledger, found, problems):
    """The recipients whose message, or the notice of whose failure, is there
    whole."""
    there = set()
    for number, rcpt, sender in found.rcpts:
        body = found.bodies[number]
        if sender == "":
            failed = notice_of(body)
            if not failed:
                problems["changed"].append(rcpt)
            there.update(failed)
            continue
        message = ledger.messages.get(number_of(sender))
        if not message or rcpt not in message.rcpts:
            problems["from nowhere"].append(rcpt)
        elif not is_unchanged(message, body):
            problems["changed"].append(rcpt)
        else:
            there.add(rcpt)
    return there


def judge(life, found, position):
    """Kinds of problems, and who has them."""
    problems = collections.defaultdict(list)
    if found.verdict != "ok":
        problems["not sound"].append(found.verdict)
        return problems
    there = waiting(life.ledger, found, problems)
    lost = [rcpt for rcpt in life.ledger.due(position) if rcpt not in there]
    if lost:
        problems["lost"] = lost
    for _, rcpt, _ in found.rcpts:
        if life.recorded_at.get(rcpt, position + 1) <= position:
            problems["again"].append(rcpt)
    return problems


# --- cutting ---


@dataclasses.dataclass
class Cut:
    at: int
    mode: str
    problems: dict

    def __str__(self):
        return f"cut {self.at} {self.mode}: " + "; ".join(
            f"{len(who)} {kind}: {who[:3]}" for kind, who in self.problems.items()
        )


def position_of(records, k):
    return records[k - 1].end if k else 0


def after_cut(platter, k, mode):
    return platter.after_cut(mode, random.Random(f"{SEED} {k} {mode}"))


def platters(records, at, platter):
    """The platter at each of these moments."""
    fed = 0
    for k in at:
        for r in records[fed:k]:
            platter.feed(r)
        fed = k
        yield k, platter


def cut_some(records, at, platter, check):
    """Every kind of cut at each of the moments; `check` gets what is found."""
    cuts = []
    reader = Reader()
    with scratch() as folder:
        for k, p in platters(records, at, platter):
            for mode in MODES:
                write_images(after_cut(p, k, mode), folder)
                problems = check(k, reader.read(folder))
                cuts.append(Cut(k, mode, dict(problems)))
    reader.close()
    return cuts


def cut_life(at, lies_about):
    life = shared["life"]

    def check(k, found):
        return judge(life, found, position_of(life.records, k))

    return cut_some(life.records, at, Platter(lies_about=lies_about), check)


shared = {}  # what a process knows from before its fork


def on_all_processors(life, function, at, *more):
    """Each has its own part of the moments."""
    size = -(-len(at) // PROCESSORS)
    tasks = [(at[i : i + size], *more) for i in range(0, len(at), size)]
    shared["life"] = life
    with multiprocessing.get_context("fork").Pool(PROCESSORS) as pool:
        cuts = sum(pool.starmap(function, tasks), [])
    bad = [c for c in cuts if c.problems]
    print(f"seed {SEED}, {len(life.records)} records: {len(cuts)} cuts,", end=" ")
    print(f"{len(bad)} with problems")
    return cuts, bad


def test_the_trace_has_everything_that_was_done(life):
    platter, ends = Platter(), dict(life.ends)
    compared = 0
    for r in life.records:
        platter.feed(r)
        if r.end in ends:
            images = platter.after_cut("keep", random.Random(0))
            assert sorted(images) == sorted(ends[r.end])
            for name, octets in ends[r.end].items():
                assert images[name].is_same(octets), f"{name} at {r.end}"
            compared += 1
    assert compared == len(life.ends) == 4


def keep(life, cut):
    for _, platter in platters(life.records, [cut.at], Platter()):
        write_images(after_cut(platter, cut.at, cut.mode), KEPT)


def test_a_power_cut_at_any_moment_loses_nothing(life):
    at = moments(life.records, CUTS)
    _, bad = on_all_processors(life, cut_life, at, about_nothing)
    if bad:
        keep(life, bad[0])
    assert not bad, "\n".join(map(str, bad[:10])) + f"\nsee {KEPT}"


# --- cutting again, while the store recovers ---


def recover(images, folder):
    """What the store does to them when it opens, and ends."""
    directory = pathlib.Path(folder) / "state"
    trace = Trace(pathlib.Path(folder) / "trace", directory)
    write_images(images, directory)
    reader = Reader(trace.env())
    assert reader.read(directory).verdict == "ok"
    reader.close()
    return trace.read()


def cut_again(at):
    life, cuts = shared["life"], []
    for n, (k, platter) in enumerate(platters(life.records, at, Platter())):
        position = position_of(life.records, k)
        images = after_cut(platter, k, MODES[n % len(MODES)])
        with scratch() as folder:
            records = recover(images, folder)
        cuts += cut_some(
            records,
            moments(records, CUTS_AGAIN),
            Platter(images),
            lambda _, found, position=position: judge(life, found, position),
        )
    return cuts


def test_a_second_cut_while_the_store_recovers_loses_nothing(life):
    at = moments(life.records, CUTS_AGAIN)
    cuts, bad = on_all_processors(life, cut_again, at)
    assert cuts and not bad, "\n".join(map(str, bad[:10]))


# --- cutting in a start after a sync that failed ---


def first_writes(records, count):
    """To the file, behind each sync that failed."""
    chosen = []
    for i in (i for i, r in enumerate(records) if r.kind == "f"):
        rest = range(i, len(records))
        writes = [k for k in rest if records[k].kind + records[k].name == "wqueue.db"]
        some = writes[: 4 * count]
        chosen += random.Random(SEED).sample(some, min(count, len(some)))
    return sorted(set(chosen))


def test_a_cut_in_a_start_after_a_failed_sync_loses_nothing(folder):
    life = asyncio.run(live(folder, until_refused, SEED))
    at = first_writes(life.records, 10)
    cuts, bad = on_all_processors(life, cut_life, at, about_nothing)
    assert cuts and not bad, "\n".join(map(str, bad[:10]))


# --- the relay itself ---


async def deliver_rest(life, k, images, folder):
    """Who is due then gets everything from a relay that starts on this."""
    ledger = Ledger()
    ledger.messages = life.ledger.messages
    due = life.ledger.due(position_of(life.records, k))
    ledger.pending.update(due)
    sink = await Sink(ledger).start()
    relay = Relay(folder, ledger, sink.port)
    write_images(images, relay.state)
    try:
        await relay.start()
        assert await settle(ledger, 15), f"{ledger.pending}\n{relay.tail()}"
        await relay.stop()
        ledger.check_unchanged()
        ledger.check_one_end()
    finally:
        relay.close()
        sink.close()
    return len(due)


def test_a_relay_delivers_everything_after_a_cut(life, folder):
    promises = [i + 1 for i, r in enumerate(life.records) if r.kind == "m"]
    at = sorted(random.Random(SEED).sample(promises, 3))
    due = 0
    for k, platter in platters(life.records, at, Platter()):
        images = after_cut(platter, k, "torn")
        own = os.path.join(folder, str(k))
        due += asyncio.run(deliver_rest(life, k, images, own))
    assert due > 3


# --- what has to be found out, or nothing of this proves anything ---


def with_problem(cuts, kind, mode=None):
    return [c for c in cuts if kind in c.problems and mode in (None, c.mode)]


@pytest.mark.parametrize("lies_about", [about_the_wal, about_names, about_everything])
def test_a_disk_that_lies_about_its_syncs_is_found_out(life, lies_about):
    at = moments(life.records, CONTROL_CUTS)
    cuts, _ = on_all_processors(life, cut_life, at, lies_about)
    assert with_problem(cuts, "lost")
    assert with_problem(cuts, "not sound")
    # Where all that was written is there, a sync makes no difference.
    assert not [c for c in cuts if c.problems and c.mode == "keep"]


@pytest.mark.skipif(
    not os.environ.get("SEALPOST_EARLY_BIN"), reason="SEALPOST_EARLY_BIN is not set"
)
def test_a_relay_that_answers_before_the_sync_is_found_out(folder):
    program = binary("SEALPOST_EARLY_BIN")
    life = asyncio.run(live(folder, first_days, SEED, program))
    promises = [i + 1 for i, r in enumerate(life.records) if r.kind == "m"]
    at = promises[:: -(-len(promises) // CONTROL_CUTS)]
    cuts, _ = on_all_processors(life, cut_life, at, about_nothing)
    assert with_problem(cuts, "lost", "drop") and with_problem(cuts, "lost", "keep")
