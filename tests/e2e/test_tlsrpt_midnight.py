"""The daily round of TLS reports across a real midnight: the relay runs by a
clock that the test turns (lab/clock.py)."""

import calendar
import gzip
import json
import time

import pytest

from lab import net
from lab.clock import DAY, Clock
from lab.collector import Collector
from lab.patience import PATIENCE
from lab.send import submit
from test_tlsrpt import read_mail, wanted

MINUTE, HOUR = 60, 60 * 60
SPREAD = 4 * HOUR
KEPT = 28 * HOUR  # behind the end of the day


@pytest.fixture
def clock(tmp_path):
    """Ten minutes before midnight."""
    c = Clock(tmp_path)
    c.turn_to(c.midnight() - 10 * MINUTE)
    return c


@pytest.fixture
def relay(new_relay, clock):
    return new_relay({"retry": {"schedule": ["1s"]}}, environ=clock.env)


@pytest.fixture
def collector(world):
    host = f"tls.{world.name()}"
    c = Collector(world.loop, world.ca.good(host), net.address(), net.free_port())
    world.dns.put(host, "A", c.ip)
    c.url = f"https://{host}:{c.port}/"
    yield c
    c.close()


def listed(relay):
    return json.loads(relay.cli("report", "list", "--json").stdout)


def counted(world, relay, clock, *places):
    """A domain with one session of this day in the count, and the day."""
    d = wanted(world, world.domain(world.peer()), *places)
    day = clock.day()
    submit(relay, f"bob@{d}")
    until = time.monotonic() + PATIENCE
    while not [r for r in listed(relay) if r["domain"] == d and r["day"] == day]:
        assert time.monotonic() < until, listed(relay)
        time.sleep(0.1)
    return d, day


def unix(line):
    return calendar.timegm(time.strptime(line["ts"][:19], "%Y-%m-%dT%H:%M:%S"))


def pass_hours(relay, clock, hours, step=15 * MINUTE, until=lambda: False):
    """In steps, each of which the relay has time to see."""
    for _ in range(int(hours * HOUR / step)):
        clock.turn(step)
        relay.cli("healthcheck", check=False)
        time.sleep(0.1)
        if until():
            return


def eventually(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def sent(relay, domain, result="ok"):
    return [
        e for e in relay.log.find("tlsrpt.sent", domain=domain) if e["result"] == result
    ]


def reported(post):
    doc = json.loads(gzip.decompress(post.body))
    return doc["policies"][0]["policy"]["policy-domain"], doc["date-range"][
        "start-datetime"
    ]


def test_each_day_s_reports_go_out_once_within_four_hours_of_midnight(
    world, relay, clock, collector
):
    home = world.domain(world.peer())
    by_mail, day = counted(world, relay, clock, f"mailto:tls@{home}")
    by_post, _ = counted(world, relay, clock, collector.url)
    midnight = clock.midnight()
    clock.turn_to(midnight - 5)
    time.sleep(1)
    assert not relay.log.find("tlsrpt.sent")
    clock.turn_to(midnight)
    # What happens from now on is of the next day.
    later, next_day = counted(world, relay, clock, collector.url)
    assert next_day > day
    pass_hours(relay, clock, 5)
    for d in (by_mail, by_post):
        relay.log.one("tlsrpt.sent", domain=d)
        [line] = sent(relay, d)
        assert midnight <= unix(line) <= midnight + SPREAD + 15 * MINUTE, line
        assert line["day"] == day
    doc = read_mail(world.ledger.one(domain=home), by_mail)
    assert doc["date-range"]["start-datetime"] == f"{day}T00:00:00Z"
    [post] = collector.posts
    assert reported(post) == (by_post, f"{day}T00:00:00Z")
    assert [(r["domain"], r["day"]) for r in listed(relay)] == [(later, next_day)]
    pass_hours(relay, clock, 18)
    assert not sent(relay, later) and len(collector.posts) == 1
    clock.turn_to(clock.midnight())
    pass_hours(relay, clock, 5)
    eventually(lambda: len(collector.posts) > 1)
    assert reported(collector.posts[1]) == (later, f"{next_day}T00:00:00Z")
    eventually(lambda: listed(relay) == [])
    assert len(collector.posts) == 2 and len(world.ledger.of(domain=home)) == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_behind_midnight_sends_nothing_twice_and_forgets_nothing(
    world, relay, clock, collector, how
):
    d, day = counted(world, relay, clock, collector.url)
    clock.turn_to(clock.midnight() + 1)
    getattr(relay, how)()
    relay.start()
    pass_hours(relay, clock, 5, until=lambda: collector.posts)
    eventually(lambda: listed(relay) == [])
    assert [reported(p) for p in collector.posts] == [(d, f"{day}T00:00:00Z")]
    getattr(relay, how)()
    relay.start()
    pass_hours(relay, clock, 5)
    assert len(collector.posts) == 1 and listed(relay) == []


def test_a_relay_that_was_down_over_midnight_reports_once_it_is_back(
    world, relay, clock, collector
):
    d, day = counted(world, relay, clock, collector.url)
    relay.stop()
    clock.turn_to(clock.midnight() + 9 * HOUR)
    relay.start()
    began = clock.now()
    pass_hours(relay, clock, 1, step=MINUTE, until=lambda: collector.posts)
    eventually(lambda: sent(relay, d))
    assert [reported(p) for p in collector.posts] == [(d, f"{day}T00:00:00Z")]
    assert unix(sent(relay, d)[0]) <= began + 7 * MINUTE
    pass_hours(relay, clock, 5)
    assert len(collector.posts) == 1


def test_a_report_that_nobody_takes_is_tried_again_and_then_sent_once(
    world, relay, clock, collector
):
    collector.status = 500
    d, day = counted(world, relay, clock, collector.url)
    clock.turn_to(clock.midnight())
    pass_hours(relay, clock, 9)
    tries = [unix(e) for e in sent(relay, d, "failed")]
    gaps = [b - a for a, b in zip(tries, tries[1:])]
    assert len(tries) >= 4 and gaps == sorted(gaps), gaps
    assert [r["domain"] for r in listed(relay)] == [d]
    collector.status = 201
    pass_hours(relay, clock, 12, until=lambda: listed(relay) == [])
    eventually(lambda: listed(relay) == [])
    assert len(sent(relay, d)) == 1
    assert [reported(p) for p in collector.posts][-1] == (d, f"{day}T00:00:00Z")


def test_a_report_that_nobody_takes_for_a_day_is_dropped(
    world, relay, clock, collector
):
    collector.status = 500
    d, day = counted(world, relay, clock, collector.url)
    midnight = clock.midnight()
    clock.turn_to(midnight)
    pass_hours(relay, clock, 36, step=HOUR)
    eventually(lambda: listed(relay) == [])
    last = max(unix(e) for e in sent(relay, d, "failed"))
    assert midnight + KEPT <= last <= midnight + KEPT + 6 * HOUR
    tries = len(collector.posts)
    pass_hours(relay, clock, 24, step=HOUR)
    assert len(collector.posts) == tries


def test_a_mailed_report_that_is_always_put_off_is_given_up_after_a_day(
    world, relay, clock
):
    """RFC 8460 section 5.5; other mail waits for five days."""
    peer = world.peer()
    home = world.domain(peer)
    peer.replies["RCPT"] = {f"tls@{home}": [["450 4.2.1 later"]]}
    d, _ = counted(world, relay, clock, f"mailto:tls@{home}")
    clock.turn_to(clock.midnight())
    pass_hours(relay, clock, 5)
    eventually(lambda: sent(relay, d))
    written = unix(sent(relay, d)[0])
    pass_hours(
        relay, clock, 30, step=HOUR, until=lambda: relay.log.find("delivery.expired")
    )
    line = relay.log.one("delivery.expired", to=f"tls@{home}")
    assert 22 * HOUR <= unix(line) - written <= 25 * HOUR, line
    assert len(relay.log.find("delivery.deferred", to=f"tls@{home}")) > 5
    time.sleep(1)
    assert not relay.log.find("bounce.dropped")
