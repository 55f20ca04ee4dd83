"""The events of the log as they happen: GET /v1/events by curl, and `sealpost
events` in a terminal."""

import json
import re
import signal
import subprocess
import time

import pytest

from lab.events import Curl, Slow
from lab.net import free_port
from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import submit

READERS_MAX = 16  # EVENT_HUB_READERS_MAX


@pytest.fixture
def follow(relay):
    made = []

    def start(query="", *options, kind=Curl, of=None, **more):
        made.append(kind(of or relay, query, *options, **more))
        return made[-1]

    yield start
    for reader in made:
        reader.close()


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def http(relay, path, *options):
    """(status, body) by curl."""
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", relay.config["control"]["socket"]]
        + [*options, "-w", "\n%{http_code}", "http://localhost" + path],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


# --- what comes ---


@pytest.mark.threads
def test_an_event_is_what_the_log_says(relay, home, follow):
    reader = follow()
    mid = submit(relay, f"bob@{home}")
    for name in "message.accepted", "delivery.sent":
        event = reader.one(name, mid=mid)
        assert event["data"] == relay.log.one(name, mid=mid)
        assert re.fullmatch(r"[0-9a-f]+-\d+", event["id"])
    numbers = [int(e["id"].split("-")[1]) for e in reader.events]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    "query",
    [
        "?event=delivery.sent",
        "?event=drain,delivery.*",
        "?domain={home}",
        "?to=bob@{home}&from=@{home}",
        "?id={mid}",
    ],
)
def test_a_filter_lets_through_what_it_names(world, relay, home, follow, query):
    first, other = follow(), world.domain(world.peer())
    mid = submit(relay, f"bob@{home}", sender=f"app@{home}")
    begin = first.one("message.accepted", mid=mid)["id"].split("-")[0]
    submit(relay, f"eve@{other}", sender=f"app@{other}")
    first.one("delivery.sent", to=f"eve@{other}")
    # All of it again, from memory.
    reader = follow(query.format(home=home, mid=mid), "-H", f"Last-Event-ID: {begin}-0")
    assert reader.one("delivery.sent", mid=mid)
    assert not reader.named("session.reject")
    for event in reader.events:
        assert "event" in query or other not in json.dumps(event)
        assert "event" not in query or event["event"].startswith("delivery.")


@pytest.mark.parametrize(
    "query, why",
    [
        ("?event=DROP%20TABLE", "no list of events"),
        ("?domain=..", "domain"),
        ("?to=nobody", "to"),
        ("?from=a%40b%40c", "from"),
        ("?id=123", "no queue id"),
        ("?level=debug", "info, warning or error"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(relay, query, why):
    status, body = http(relay, "/v1/events" + query)
    assert status == 400 and why in json.loads(body)["error"]


def test_head_has_an_end(relay):
    assert http(relay, "/v1/events", "-I", "--max-time", "5")[0] == 200


# --- hidden addresses, text, levels; tokens ---


def test_format_and_level_of_the_log_are_its_own(world, home, new_relay, follow):
    port = free_port()
    relay = new_relay(
        {
            "log": {"format": "json", "level": "warning", "addresses": "hash"},
            "http": {"address": f"127.0.0.1:{port}", "token_file": ""},
        },
        start=False,
    )
    relay.start(ready=False)
    end = time.monotonic() + PATIENCE
    while not (relay.folder / "control.sock").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    reader = follow(url=f"http://127.0.0.1:{port}", of=relay)
    mid = submit(relay, f"bob@{home}", sender=f"app@{home}")
    sent = reader.one("delivery.sent", mid=mid)["data"]
    assert re.fullmatch(r"[0-9a-f]{8}@" + re.escape(home), sent["to"])
    assert "bob@" not in json.dumps(reader.events)
    assert not relay.log.find("delivery.sent")
    again = follow(f"?to={sent['to']}&event=message.accepted", of=relay)
    mid = submit(relay, f"bob@{home}")
    assert again.one("message.accepted", mid=mid)


# --- who reads slowly, or comes again ---


def test_who_comes_again_has_missed_nothing(relay, home, follow):
    first = follow()
    mid = submit(relay, f"bob@{home}")
    last = first.one("delivery.sent", mid=mid)["id"]
    first.close()
    mid = submit(relay, f"carol@{home}")
    relay.log.one("delivery.sent", mid=mid)
    second = follow("", "-H", f"Last-Event-ID: {last}")
    assert second.one("message.accepted", mid=mid)
    assert second.one("delivery.sent", mid=mid)
    assert not second.named("missed")


def test_who_comes_from_another_life_is_told(relay, follow):
    reader = follow("", "-H", "Last-Event-ID: 18c0ffee-12")
    assert reader.one("missed")["data"]["count"] is None


@pytest.mark.threads
def test_who_is_slow_is_told_how_many_it_missed(world, home, new_relay, follow):
    relay = new_relay()
    quick, slow = follow(of=relay), follow(kind=Slow, of=relay)
    to = [f"{'x' * 50}{i}@{home}" for i in range(600)]
    for _ in range(6):
        mid = submit(relay, *to)
        relay.log.wait("delivery.sent", len(to), mid=mid)
    quick.until(lambda: len(quick.named("delivery.sent", mid=mid)) == len(to))
    mark = submit(relay, f"mark@{home}")
    text = slow.read(f'"delivery.sent","mid":"{mark}"')
    missed = [int(n) for n in re.findall(r'"missed","count":(\d+)', text)]
    seen = text.count("\nevent: ") - len(missed)
    assert missed and not quick.named("missed")
    quick.until(lambda: quick.named("delivery.sent", mid=mark))
    assert sum(missed) + seen >= len(quick.events), "each is shown or counted"
    assert len(quick.events) + 5 > sum(missed) + seen


def test_there_is_room_for_so_many_readers(new_relay, follow):
    relay = new_relay()
    readers = [follow(kind=Slow, of=relay) for _ in range(READERS_MAX)]
    for reader in readers:
        reader.read("retry:")
    status, body = http(relay, "/v1/events")
    assert status == 503 and "too many" in json.loads(body)["error"]
    readers[0].close()
    end = time.monotonic() + PATIENCE
    while http(relay, "/v1/events", "--max-time", "0.2")[0] == 503:
        assert time.monotonic() < end
    assert http(relay, "/v1/status")[0] == 200


def test_the_stream_ends_with_the_relay(home, new_relay, follow):
    relay = new_relay()
    reader = follow(of=relay)
    mid = submit(relay, f"bob@{home}")
    reader.one("delivery.sent", mid=mid)
    relay.signal(signal.SIGTERM)
    assert reader.process.wait(10) == 0, "the last chunk has come"
    assert relay.wait() == 0
    assert reader.named("drain", state="begun")


# --- the command ---


class Terminal:
    def __init__(self, relay, *options):
        self.process = subprocess.Popen(
            [binary(), "events", "--socket", relay.config["control"]["socket"], *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        end = time.monotonic() + PATIENCE
        while json.loads(http(relay, "/v1/status")[1])["event_readers"] == 0:
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.02)

    def line_with(self, text):
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(self.process.stderr.read())

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(10)


def test_the_command_follows_until_ctrl_c(relay, home):
    shell = Terminal(relay, "--event", "delivery.*")
    submit(relay, f"bob@{home}")
    line = shell.line_with("delivery.sent")
    assert re.match(r"\d\d:\d\d:\d\d delivery\.sent mid=\w+ from=\S+ to=bob@", line)
    assert shell.end() == 0
    assert shell.process.stderr.read() == ""


def test_the_command_for_programs(relay, home):
    shell = Terminal(relay, "--json", "--domain", home)
    submit(relay, f"bob@{home}")
    event = json.loads(shell.line_with("delivery.sent"))
    assert event["to"] == f"bob@{home}"
    assert shell.end() == 0


def test_the_command_ends_with_the_relay_and_without_one(new_relay):
    relay = new_relay()
    shell = Terminal(relay)
    relay.stop()
    assert shell.process.wait(10) == 69
    assert "the relay has ended" in shell.process.stderr.read()
    done = relay.cli("events", check=False)
    assert done.returncode == 69 and "no relay is running" in done.stderr
    assert relay.cli("events", "--level", "loud", check=False).returncode == 69
