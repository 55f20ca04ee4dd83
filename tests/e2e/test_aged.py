"""Mail behind a destination that can't be reached is probed by one message; the
senders of all of it hear of the delay, and of the end."""

import time

import pytest

from lab.patience import PATIENCE
from lab.send import submit


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def test_senders_of_mail_that_was_not_tried_are_warned_once(world, new_relay, home):
    relay = new_relay({"retry": {"schedule": ["1h"], "warn": "1s", "expire": "5d"}})
    dead = world.domain(world.nobody())
    probe = submit(relay, f"a@{dead}", sender=f"one@{home}")
    relay.log.one("delivery.deferred", mid=probe)
    waiting = submit(relay, f"b@{dead}", sender=f"two@{home}")
    for sender in ("one", "two"):
        report = world.ledger.one(f"{sender}@{home}").data.decode()
        assert "Action: delayed" in report, report
    assert not relay.log.find("delivery.attempt", mid=waiting)
    time.sleep(2.5)
    assert len(world.ledger.of(domain=home)) == 2


def test_mail_that_was_not_tried_expires_all_the_same(world, new_relay, home):
    relay = new_relay(
        {"retry": {"schedule": ["200ms"], "warn": "0", "expire": "3s"}}
    )
    dead = world.domain(world.nobody())
    mids = [
        submit(relay, f"r{i}@{dead}", sender=f"expired{i}@{home}") for i in range(20)
    ]
    for i, mid in enumerate(mids):
        relay.log.one("delivery.expired", mid=mid, timeout=30)
        report = world.ledger.one(f"expired{i}@{home}").data.decode()
        assert "Action: failed" in report, report


def test_looking_at_old_mail_makes_no_retry_late(world, new_relay, home):
    """What is looked at while the next due work is sought is not forgotten."""
    relay = new_relay({"retry": {"schedule": ["100ms"], "warn": "300ms"}})
    mids = []
    for _ in range(15):
        mx = world.peer()
        mx.replies["MAIL"] = [["451 4.3.2 busy"]]
        mids.append(
            submit(
                *(relay, f"bob@{world.domain(mx)}"),
                sender=f"app@{home}",
                rcpt_options=["NOTIFY=FAILURE"],
            )
        )
    for mid in mids:
        until = time.monotonic() + PATIENCE
        while relay.log.find("delivery.deferred", mid=mid)[-1]["delay_ms"] < 3000:
            assert time.monotonic() < until, "it is tried no more"
            time.sleep(0.1)
