"""What a service manager hears: the test is systemd, with its socket."""

import signal
import socket

import pytest

from lab.patience import PATIENCE


class Manager:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE)
        self.path = str(path)
        self.heard = []

    def next(self):
        words = self.socket.recv(4096).decode()
        self.heard.append(words)
        return dict(line.split("=", 1) for line in words.splitlines())

    def until(self, *keys):
        while True:
            got = self.next()
            if all(k in got for k in keys):
                return got


@pytest.fixture
def manager(tmp_path):
    m = Manager(tmp_path / "notify")
    yield m
    m.socket.close()


def test_ready_reloading_and_stopping_are_told(new_relay, manager):
    relay = new_relay(environ={"NOTIFY_SOCKET": manager.path})
    got = manager.next()
    assert got["READY"] == "1" and got["STATUS"].startswith("running"), got
    relay.signal(signal.SIGHUP)
    got = manager.until("RELOADING")
    assert int(got["MONOTONIC_USEC"]) > 0
    assert manager.until("READY")
    relay.stop()
    assert manager.until("STOPPING")["STATUS"].startswith("draining")


def test_a_reload_that_fails_ends_all_the_same(new_relay, manager):
    relay = new_relay(environ={"NOTIFY_SOCKET": manager.path})
    manager.until("READY")
    relay.config_file.write_text("nonsense = 1\n")
    relay.signal(signal.SIGHUP)
    manager.until("RELOADING")
    manager.until("READY")
    relay.write_config()


def test_the_watchdog_is_fed_twice_in_its_time(new_relay, manager):
    new_relay(
        environ={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    )
    for _ in range(3):
        assert manager.until("WATCHDOG")["WATCHDOG"] == "1"


def test_a_watchdog_of_another_process_is_not_ours(new_relay, manager):
    relay = new_relay(
        environ={
            "NOTIFY_SOCKET": manager.path,
            "WATCHDOG_USEC": "100000",
            "WATCHDOG_PID": "1",
        }
    )
    manager.until("READY")
    relay.stop()
    with pytest.raises(BlockingIOError):
        manager.socket.setblocking(False)
        while True:
            manager.next()
    assert not any("WATCHDOG" in words for words in manager.heard)


def test_a_loop_that_stands_still_feeds_no_watchdog(new_relay, manager):
    relay = new_relay(
        environ={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"}
    )
    manager.until("WATCHDOG")
    relay.signal(signal.SIGSTOP)
    try:
        manager.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                manager.next()
    finally:
        relay.signal(signal.SIGCONT)


def test_without_a_manager_nothing_is_missed(new_relay):
    new_relay(environ={"NOTIFY_SOCKET": "/nowhere/at/all"}).stop()
