"""Hosts that want less at a time: how the relay finds that out, keeps to it,
and comes back."""

import json
import threading
import time

import pytest

from lab.send import submit

TOO_MUCH = {
    "421": "421 4.7.0 too many messages, slow down",
    "450-4.7.1": "450 4.7.1 rate limit exceeded",
    "451-4.3.2": "451 4.3.2 temporary server error, try later",
    "454": "454 throttling failure: maximum sending rate exceeded",
}


class Budget:
    """So many messages in each span of time, and the same words beyond."""

    def __init__(self, count, per_s, words):
        self.count, self.per_s, self.words = count, per_s, words
        self.lock = threading.Lock()
        self.taken = []
        self.refused = 0

    def __call__(self, _):
        with self.lock:
            now = time.monotonic()
            self.taken = [t for t in self.taken if t > now - self.per_s]
            if len(self.taken) < self.count:
                self.taken.append(now)
                return None
            self.refused += 1
            return self.words


def destination(relay, name):
    status = json.loads(relay.cli("status", "--json").stdout)
    rows = [d for d in status["destinations"]["top"] if d["name"] == name]
    return rows[0] if rows else None


@pytest.mark.parametrize("words", TOO_MUCH)
def test_a_host_that_gets_too_much_is_given_less_until_all_is_delivered(
    world, new_relay, words
):
    count = 60
    peer = world.peer()
    peer.replies["MAIL"] = budget = Budget(20, 1.0, TOO_MUCH[words])
    relay = new_relay({"retry": {"schedule": ["1s"]}})
    d = world.domain(peer)
    for i in range(count):
        submit(relay, f"u{i}@{d}")
    relay.log.wait("delivery.sent", count=count, timeout=60)
    assert relay.log.find("delivery.throttled", destination=d)
    # Without that every message would be refused again each second: three
    # seconds at twenty a second, a hundred and less that come too early each
    # time.
    assert budget.refused < 2 * count, budget.refused
    assert len(world.ledger.of(domain=d)) == count


def test_status_tells_that_a_destination_is_slowed_and_why(world, new_relay):
    peer = world.peer()
    relay = new_relay({"retry": {"schedule": ["5s"]}})
    d = world.domain(peer)
    submit(relay, f"first@{d}")
    relay.log.one("delivery.sent")
    peer.replies["MAIL"] = [["421 4.7.0 slow down, please"]]
    submit(relay, f"second@{d}")
    relay.log.one("delivery.throttled", destination=d)
    row = destination(relay, d)
    assert row["eased"] > 0 and "slow down, please" in row["why"]
    text = relay.cli("status").stdout
    assert "slowed to" in text and "slow down, please" in text


def test_a_refusal_of_one_recipient_slows_nobody(world, new_relay):
    peer = world.peer()
    peer.replies["RCPT"] = lambda a: "452 4.2.2 full" if a.startswith("full") else None
    relay = new_relay()
    d = world.domain(peer)
    submit(relay, f"full@{d}")
    relay.log.one("delivery.deferred")
    submit(relay, f"bob@{d}")
    assert world.ledger.one(f"bob@{d}")
    assert not relay.log.find("delivery.throttled")


def test_others_do_not_wait_for_the_one_that_is_slowed(world, new_relay):
    slow, quick = world.peer(), world.peer()
    slow.replies["MAIL"] = Budget(1, 60, TOO_MUCH["421"])
    relay = new_relay()
    a, b = world.domain(slow), world.domain(quick)
    for i in range(20):
        submit(relay, f"u{i}@{a}")
    began = time.monotonic()
    for i in range(20):
        submit(relay, f"u{i}@{b}")
    world.ledger.wait(domain=b, count=20)
    assert time.monotonic() - began < 30
