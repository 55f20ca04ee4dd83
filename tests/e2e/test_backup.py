"""The queue as a file: copied under load, and put back."""

import os
import shutil
import stat
import threading

import pytest

from lab.send import submit
from test_cli import Shell, eventually

LATER = {"retry": {"schedule": ["1h"]}}


def state_of(relay):
    return relay.folder / "state"


def wipe(relay):
    shutil.rmtree(state_of(relay))
    state_of(relay).mkdir()


@pytest.fixture
def queue(world, new_relay):
    """A relay with mail that waits for a host that is not there yet."""
    relay = new_relay(LATER)
    domain = world.domain(world.nobody())
    to = [f"u{n}@{domain}" for n in range(30)]
    for address in to:
        submit(relay, address)
    return relay, Shell(relay), domain, to


def appear(world, domain):
    world.dns.put(domain, "MX", f"10 {world.peer().host}.")


def arrived(world, domain):
    return {rcpt for d in world.ledger.of(domain=domain) for rcpt in d.rcpts}


def test_what_waited_is_delivered_after_a_restore(world, queue, tmp_path):
    relay, sh, domain, to = queue
    file = tmp_path / "copy"
    over = threading.Event()
    also = []

    def load():
        while not over.is_set():
            address = f"v{len(also)}@{domain}"
            submit(relay, address, data=b"Subject: x\r\n\r\n" + b"x" * 60 * 998)
            also.append(address)

    sender = threading.Thread(target=load)
    sender.start()
    eventually(lambda: len(also) > 20)
    before = list(also)  # the relay has said 250 to these
    sh.ok("backup", str(file))
    over.set()
    sender.join()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["copy"]
    assert not list(state_of(relay).glob("queue.backup*"))
    relay.log.one("queue.backup")
    relay.stop()
    wipe(relay)
    assert "start the relay" in sh.ok("restore", str(file))
    assert stat.S_IMODE((state_of(relay) / "queue.db").stat().st_mode) == 0o600
    appear(world, domain)
    relay.start()
    sh.ok("queue", "retry", "--all", "--yes")
    eventually(lambda: set(to + before) <= arrived(world, domain))
    eventually(lambda: sh.rows("--domain", domain) == [])


def test_without_a_relay_the_state_directory_is_copied(world, queue, tmp_path):
    relay, sh, domain, to = queue
    relay.stop()
    sh.ok("backup", str(tmp_path / "copy"))
    wipe(relay)
    sh.ok("restore", str(tmp_path / "copy"))
    relay.start()
    assert {r["to"] for r in sh.rows("--domain", domain)} == set(to)


def test_a_copy_of_a_relay_that_was_killed(world, queue, tmp_path):
    relay, sh, domain, to = queue
    relay.kill()
    sh.ok("backup", str(tmp_path / "copy"))
    wipe(relay)
    sh.ok("restore", str(tmp_path / "copy"))
    relay.start()
    assert {r["to"] for r in sh.rows("--domain", domain)} == set(to)


def test_a_restore_wants_no_relay_and_no_queue(world, queue, tmp_path):
    relay, sh, domain, to = queue
    file = str(tmp_path / "copy")
    sh.ok("backup", file)
    done = sh("restore", file)
    assert done.returncode == 69 and "in use by pid" in done.stderr
    done = sh("restore", file, "--force")
    assert done.returncode == 69
    submit(relay, f"new@{domain}")
    relay.stop()
    done = sh("restore", file)
    assert done.returncode == 73 and "--force" in done.stderr
    sh.ok("restore", file, "--force")
    assert (state_of(relay) / "queue.db.before").exists()
    relay.start()
    assert {r["to"] for r in sh.rows("--domain", domain)} == set(to)
    relay.stop()


def test_what_is_no_copy_changes_nothing(world, queue, tmp_path):
    relay, sh, domain, to = queue
    relay.stop()
    bad = tmp_path / "bad"
    bad.write_bytes(b"no queue" * 1000)
    done = sh("restore", str(bad), "--force")
    assert done.returncode in (65, 73) and str(bad) in done.stderr
    assert sh("restore", str(tmp_path / "none"), "--force").returncode == 66
    relay.start()
    assert {r["to"] for r in sh.rows("--domain", domain)} == set(to)


def test_a_kill_in_the_middle_leaves_the_queue_as_it_was(world, queue, tmp_path):
    relay, sh, domain, to = queue
    for _ in range(10):
        submit(relay, f"big@{domain}", data=b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 990)
    asked = threading.Thread(target=lambda: sh("backup", str(tmp_path / "copy")))
    asked.start()
    eventually(
        lambda: (state_of(relay) / "queue.backup").exists()
        or (tmp_path / "copy").exists()
    )
    relay.kill()
    asked.join()
    (tmp_path / "copy").unlink(missing_ok=True)
    relay.start()
    assert not (state_of(relay) / "queue.backup").exists()
    assert len(sh.rows("--domain", domain)) == len(to) + 10
    sh.ok("backup", str(tmp_path / "copy"))


def test_a_file_that_is_there_is_not_written_over(queue, tmp_path):
    _, sh, _, _ = queue
    file = tmp_path / "copy"
    file.write_text("mine")
    assert sh("backup", str(file)).returncode == 73 and file.read_text() == "mine"
    assert sh("backup", str(tmp_path / "no" / "copy")).returncode == 73
    assert sh("backup").returncode == 64 and sh("restore").returncode == 64
