"""The store under failing and dying file calls: no promise is ever broken.

Calls of one kind are made to fail one after the other, until a run meets none
any more; then the store is opened without faults and compared with what it
had promised.  FAULT_ALL=1 tries every single call.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

RUN = os.environ["STORE_RUN"]
SHIM = os.environ["FAULTFS"]


def run(mode, directory, **faults):
    env = dict(os.environ)
    if faults:
        env["LD_PRELOAD"] = SHIM
        # The shim stands in front of the sanitizer's own library.
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0"
        env.update({"FAULTFS_" + k.upper(): str(v) for k, v in faults.items()})
    done = subprocess.run([RUN, mode, directory], env=env, text=True,
                          capture_output=True, timeout=60, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    said = {}
    for word, number in lines:
        said.setdefault(word, set()).add(int(number))
    said["code"] = done.returncode
    said["stderr"] = done.stderr
    assert done.returncode in (0, 1, 2, -signal.SIGKILL), done.stderr
    return said


def compare(directory, said, what):
    """What was refused may have been done all the same, but nothing else."""
    found = run("check", directory)
    assert found["code"] == 0, (what, found)
    accepted = said.get("accepted", set())
    delivered = said.get("delivered", set())
    pending = found.get("pending", set())
    in_doubt = said.get("delivering", set()) - delivered
    lost = accepted - delivered - pending - in_doubt
    assert not lost, (what, "lost", lost)
    again = pending & delivered
    assert not again, (what, "delivered and still pending", again)
    unknown = pending - said.get("accepting", set())
    assert not unknown, (what, "from nowhere", unknown)


def calls_to_try(every):
    """The first calls are the most different ones."""
    at = 1
    while at < 1000:
        yield at
        at += 1 if every or at < 30 or os.environ.get("FAULT_ALL") else 13


def sweep(name, expect=None, every=False, **faults):
    """Returns how many calls a run has, about."""
    for at in calls_to_try(every):
        directory = tempfile.mkdtemp(prefix="sealpost-fault-")
        counts = os.path.join(directory, "counts")
        try:
            said = run("live", directory, at=at, counts=counts, **faults)
            what = (name, at, said)
            if not faults.get("kill") and int(open(counts).read()) < at:
                return at - 1
            if faults.get("kill") and said["code"] == 0:
                return at - 1
            if expect:
                expect(said, what)
            compare(directory, said, what)
        finally:
            shutil.rmtree(directory)
    return at


def kinds(said):
    return said.get("refused", set())


SYSTEM, SPACE = 4, 5  # enum err_kind


def test_a_sync_of_the_wal_that_fails_is_never_a_promise():
    def expect(said, what):
        assert kinds(said) <= {SYSTEM}, what
        assert kinds(said) or said["code"] == 0, what

    calls = sweep("sync wal", expect, every=True, file="*/queue.db-wal",
                  call="sync", errno=errno.EIO)
    assert calls > 10


def test_syncs_that_fail_for_ever_promise_nothing():
    directory = tempfile.mkdtemp(prefix="sealpost-fault-")
    try:
        said = run("live", directory, file="*/queue.db-wal", call="sync", at=10,
                   count=0)
        first = len(said["accepted"])
        assert first < 10
        assert len(said["accepted"] | said.get("delivered", set())) == first
        compare(directory, said, "for ever")
    finally:
        shutil.rmtree(directory)


def test_a_sync_of_the_file_that_fails_is_told_by_the_checkpoint():
    told = []

    def expect(said, what):
        told.append(bool(kinds(said)))
        # The WAL keeps everything: nothing else is refused.
        if "opened" in said:
            assert len(said["accepted"]) == 8, what

    calls = sweep("sync file", expect, every=True, file="*/queue.db",
                  call="sync", errno=errno.EIO)
    assert calls > 5, calls
    assert sum(told) >= len(told) - 2, told  # the close has no voice


def test_a_full_disk_in_any_write_is_told_as_such():
    def expect(said, what):
        assert kinds(said) <= {SPACE}, what

    calls = sweep("write ENOSPC", expect, file="*/queue.db-wal", call="write",
                  errno=errno.ENOSPC)
    assert calls > 5, calls0


def test_writes_cut_short_with_eio_lose_nothing():
    calls = sweep("write EIO", None, file="*/queue.db*", call="write",
                  errno=errno.EIO, short=1)
    assert calls > 5, calls0


def test_reads_that_fail_lose_nothing():
    sweep("read EIO", None, file="*/queue.db*", call="read", errno=errno.EIO)


def test_a_kill_before_any_call_loses_nothing():
    calls = sweep("kill", None, file="*/queue.db*", call="any", kill=1)
    assert calls > 100


if __name__ == "__main__":
    failed = 0
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            try:
                begun = time.monotonic()
                test()
                print("ok", name, f"{time.monotonic() - begun:.1f} s",
                      flush=True)
            except AssertionError as e:
                failed += 1
                print("not ok", name, e, flush=True)
    sys.exit(failed != 0)
