"""Webhooks: a receiver that is there, away, slow or wrong is told in the end
what became of each message, and can tell that it was the relay who said so."""

import itertools
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from lab import net, npm
from lab.hooks import Receiver, is_signed, new_secret
from lab.patience import PATIENCE
from lab.send import submit, waiting
from test_metrics import numbers

LAB = pathlib.Path(__file__).parent / "lab"
BATCH_MAX = 100  # WEBHOOK_EVENT_COUNT_MAX


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    return new_secret(tmp_path_factory.mktemp("secret"))


@pytest.fixture(scope="module")
def place(world):
    """A name with a certificate, and the receiver there."""
    host = f"hooks.{world.name()}"
    r = Receiver(world.ca.good(host), net.address())
    world.dns.put(host, "A", r.ip)
    r.host = host
    r.url = f"https://{host}:{r.port}/mail?app=1"
    yield r
    r.close()


@pytest.fixture(scope="module")
def hooked(world, place, secret):
    """A relay with several webhooks, shared by the tests that leave it alone."""
    plain = Receiver()
    port = net.free_port()
    r = world.relay(
        {
            "http": {"address": f"127.0.0.1:{port}"},
            'webhook "tls"': {
                "url": place.url,
                "secret_file": str(secret),
                "ca": world.ca.path,
            },
            'webhook "plain"': {
                "url": f"http://localhost:{plain.port}",
                "secret_file": str(secret),
                "events": ["bounced"],
            },
        }
    )
    r.plain, r.metrics = plain, f"http://127.0.0.1:{port}/metrics"
    yield r
    r.close()
    plain.close()


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def one_hook(receiver, secret, **more):
    return {
        'webhook "app"': {
            "url": f"http://127.0.0.1:{receiver.port}/",
            "secret_file": str(secret),
            **more,
        }
    }


def backlog(relay, name="app"):
    hooks = json.loads(relay.cli("status", "--json").stdout)["webhooks"]
    return next(h for h in hooks if h["name"] == name)


# --- what is told ---


def test_what_was_sent_is_told_with_all_there_is_to_it(place, hooked, home, world):
    mid = submit(hooked, f"bob@{home}", sender=f"app@{home}")
    event = place.one("delivery.sent", mid=mid)
    logged = hooked.log.one("delivery.sent", mid=mid)
    assert re.fullmatch(mid + r"-\d+", event["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp"])
    data = event["data"]
    assert (data["from"], data["to"]) == (f"app@{home}", f"bob@{home}")
    assert data["reply"] == logged["reply"] and data["host"] == logged["mx"]
    assert data["tls_version"] == "TLSv1.3" and data["certificate"] == "verified"
    assert data["message_id"].startswith("<") and "accepted" in data
    request = next(r for r in place.requests if mid in r.body.decode())
    assert request.path == "/mail?app=1"
    assert request.headers["Host"] == f"{place.host}:{place.port}"
    assert request.headers["Content-Type"] == "application/json"


def test_the_receivers_own_library_believes_the_signature(place, hooked, home, secret):
    mid = submit(hooked, f"bob@{home}")
    place.one("delivery.sent", mid=mid)
    request = next(r for r in place.requests if mid in r.body.decode())
    assert is_signed(secret, request.headers, request.body)
    assert not is_signed(secret, request.headers, request.body + b" ")

    def judge(body):
        given = {
            "secret": secret.read_text().strip(),
            "headers": {k.lower(): v for k, v in request.headers.items()},
            "body": body,
        }
        done = subprocess.run(
            ["node", str(LAB / "verify_webhook.js")],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            env=npm.environment(),
            timeout=30,
        )
        return json.loads(done.stdout)

    assert judge(request.body.decode())["ok"]
    assert not judge(request.body.decode().replace("sent", "lost"))["ok"]


def test_put_off_and_given_up_are_told_each_in_its_time(world, place, hooked):
    domain = world.domain(world.nobody())
    mid = submit(hooked, f"bob@{domain}", sender=f"app@{domain}")
    event = place.one("delivery.deferred", mid=mid)
    assert event["data"]["next_attempt"] > event["timestamp"]
    assert "451" in event["data"]["reply"]
    hooked.cli("queue", "bounce", mid)
    bounced = place.one("delivery.bounced", mid=mid)
    assert bounced["id"] != event["id"]
    assert hooked.plain.one("delivery.bounced", mid=mid)["id"] == bounced["id"]
    assert not hooked.plain.find("delivery.deferred")


def test_the_relays_own_notices_are_not_told(world, place, hooked, home):
    domain = world.domain(world.nobody())
    mid = submit(hooked, f"bob@{domain}", sender=f"app@{home}")
    hooked.log.one("delivery.deferred", mid=mid)
    hooked.cli("queue", "bounce", mid)
    place.one("delivery.bounced", mid=mid)
    notice = hooked.log.one("delivery.sent", to=f"app@{home}")
    last = submit(hooked, f"bob@{home}")
    place.one("delivery.sent", mid=last)
    assert not place.find("delivery.sent", mid=notice["mid"])


def test_numbers_and_status_tell_how_it_goes(place, hooked, home):
    before = numbers(hooked.metrics).get(
        'sealpost_webhook_deliveries_total{webhook="tls",result="ok"}', 0
    )
    mid = submit(hooked, f"bob@{home}")
    place.one("delivery.sent", mid=mid)
    end = time.monotonic() + PATIENCE
    while True:
        now = numbers(hooked.metrics)
        told = now.get('sealpost_webhook_deliveries_total{webhook="tls",result="ok"}', 0)
        if told > before and now['sealpost_webhook_backlog{webhook="tls"}'] == 0:
            break
        assert time.monotonic() < end, now
        time.sleep(0.05)
    assert "tls" in hooked.cli("status").stdout
    assert backlog(hooked, "tls")["state"] == "ok"


def test_only_what_a_webhook_asks_for(world, home, new_relay, secret):
    with_domain, receiver = world.domain(world.peer()), Receiver()
    relay = new_relay(
        one_hook(receiver, secret, **{"from": [f"@{home}"], "to": [f"bob@{home}"]})
    )
    for sender, to in itertools.product((home, with_domain), (home, with_domain)):
        submit(relay, f"bob@{to}", f"eve@{to}", sender=f"app@{sender}")
    relay.log.wait("delivery.sent", 8)
    receiver.one("delivery.sent", to=f"bob@{home}")
    last = submit(relay, f"bob@{home}", sender=f"app@{home}")
    receiver.one("delivery.sent", mid=last)
    told = {(e["data"]["from"], e["data"]["to"]) for e in receiver.events()}
    assert told == {(f"app@{home}", f"bob@{home}")}
    receiver.close()


# --- trouble ---


@pytest.mark.threads
def test_what_happened_while_nobody_listened_comes_later(
    world, home, new_relay, secret
):
    """The receiver is down, the relay is killed, started, the receiver comes."""
    receiver = Receiver()
    relay = new_relay(one_hook(receiver, secret))
    receiver.stop()
    to = [f"u{i}@{home}" for i in range(250)]
    first = submit(relay, *to)
    relay.log.wait("delivery.sent", len(to), mid=first)
    relay.log.one("webhook.delivery", result="failed")
    relay.kill()
    relay.start()
    second = submit(relay, f"bob@{home}")
    relay.log.one("delivery.sent", mid=second)
    relay.log.one("webhook.delivery", result="failed")
    assert backlog(relay)["backlog"] == len(to) + 1
    assert "failing" in relay.cli("status").stdout
    receiver.start()
    receiver.one("delivery.sent", mid=second)
    told = [e["data"]["to"] for e in receiver.find("delivery.sent", mid=first)]
    assert sorted(told) == sorted(to), "each, once"
    assert [e["data"]["mid"] for e in receiver.events()][-1] == second, "in order"
    assert max(len(json.loads(r.body)) for r in receiver.requests) == BATCH_MAX
    assert relay.log.one("webhook.delivery", result="ok")
    end = time.monotonic() + PATIENCE
    while backlog(relay)["backlog"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    receiver.close()


def test_a_kill_behind_the_answer_tells_at_most_once_more(home, new_relay, secret):
    receiver = Receiver()
    relay = new_relay(one_hook(receiver, secret))
    mids = []
    for _ in range(3):
        mids.append(submit(relay, f"bob@{home}"))
        receiver.one("delivery.sent", mid=mids[-1])
        relay.kill()
        relay.start()
    mids.append(submit(relay, f"bob@{home}"))
    receiver.one("delivery.sent", mid=mids[-1])
    ids = {e["id"] for e in receiver.events()}
    assert len(ids) == len(mids)
    receiver.close()


def test_a_refused_body_comes_again_under_its_id(home, new_relay, secret):
    receiver = Receiver()
    relay = new_relay(one_hook(receiver, secret))
    receiver.status = 500
    mid = submit(relay, f"bob@{home}")
    receiver.until(lambda: receiver.requests)
    other = submit(relay, f"carol@{home}")
    relay.log.one("delivery.sent", mid=other)
    receiver.until(lambda: len(receiver.requests) >= 2)
    receiver.status = 204
    receiver.one("delivery.sent", mid=other)
    tries = [r for r in receiver.requests if mid in r.body.decode()]
    assert len({r.headers["webhook-id"] for r in tries}) == 1
    assert len({r.body for r in tries}) == 1
    assert all(is_signed(secret, r.headers, r.body) for r in tries)
    assert tries[1].time - tries[0].time >= 0.7, "it waits in between"
    why = relay.log.one("webhook.delivery", result="failed")
    assert "500" in why["reason"]
    receiver.close()


def test_a_slow_receiver_holds_up_no_mail(home, new_relay, secret):
    receiver = Receiver()
    receiver.hold()
    relay = new_relay(one_hook(receiver, secret))
    for _ in range(20):
        mid = submit(relay, f"bob@{home}")
    relay.log.one("delivery.sent", mid=mid)
    assert not receiver.requests
    receiver.release()
    receiver.one("delivery.sent", mid=mid)
    assert len(receiver.requests) <= 2, "what comes meanwhile goes together"
    receiver.close()


@pytest.mark.parametrize("which", ["stranger", "expired", "other name"])
def test_nothing_is_told_to_whom_a_certificate_does_not_prove(
    world, home, new_relay, secret, which
):
    host = f"hooks.{world.name()}"
    cert = {
        "stranger": lambda: world.stranger.good(host),
        "expired": lambda: world.ca.expired(host),
        "other name": lambda: world.ca.good(f"x{host}"),
    }[which]()
    receiver = Receiver(cert, net.address())
    world.dns.put(host, "A", receiver.ip)
    relay = new_relay(
        one_hook(
            receiver,
            secret,
            url=f"https://{host}:{receiver.port}/",
            ca=world.ca.path,
        )
    )
    submit(relay, f"bob@{home}")
    relay.log.one("webhook.delivery", result="failed")
    assert not receiver.requests
    # The mend needs no restart.
    receiver.stop()
    receiver.cert = world.ca.good(host)
    receiver.start()
    relay.write_config()
    relay.signal(signal.SIGHUP)
    receiver.one("delivery.sent")
    receiver.close()


def test_a_reload_brings_and_takes_webhooks(home, new_relay, secret):
    receiver = Receiver()
    relay = new_relay()
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{home}"))
    relay.write_config(one_hook(receiver, secret))
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    mid = submit(relay, f"bob@{home}")
    receiver.one("delivery.sent", mid=mid)
    assert len(receiver.events()) == 1, "it is told of what happens from now on"
    receiver.stop()
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{home}"))
    del relay.config['webhook "app"']
    relay.write_config()
    relay.signal(signal.SIGHUP)
    relay.log.wait("config.reload", 2, result="ok")
    assert json.loads(relay.cli("status", "--json").stdout)["webhooks"] == []
    receiver.start()
    relay.write_config(one_hook(receiver, secret))
    relay.signal(signal.SIGHUP)
    relay.log.wait("config.reload", 3, result="ok")
    last = submit(relay, f"bob@{home}")
    receiver.one("delivery.sent", mid=last)
    assert len(receiver.events()) == 2, "what waited for it was dropped with it"
    receiver.close()


def test_what_is_older_than_a_day_is_given_up_aloud(home, new_relay, secret):
    receiver = Receiver()
    relay = new_relay(one_hook(receiver, secret))
    receiver.stop()
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{home}"))
    relay.log.one("webhook.delivery", result="failed")
    relay.stop()
    age(relay, 25 * 3600)
    relay.start()
    dropped = relay.log.one("webhook.delivery", result="dropped")
    assert dropped["events"] == 1 and dropped["level"] == "error"
    receiver.start()
    mid = submit(relay, f"bob@{home}")
    receiver.one("delivery.sent", mid=mid)
    assert len(receiver.events()) == 1
    receiver.close()


def age(relay, seconds):
    db = sqlite3.connect(relay.folder / "state" / "queue.db")
    with db:
        assert db.execute("UPDATE feed SET at_ms = at_ms - ?", (seconds * 1000,)).rowcount
    db.close()


# --- the configuration ---


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"url": ""}, "is missing"),
        ({"url": "ftp://x.test/"}, "https://"),
        ({"url": "http://app.example.com/"}, "goes in clear"),
        ({"url": "http://192.0.2.1/"}, "goes in clear"),
        ({"url": "https://192.0.2.1/"}, "IP address"),
        ({"url": "https://u:p@x.test/"}, "webhook.app.url"),
        ({"url": "https://x.test/#x"}, "#"),
        ({"url": "https://x.test:0/"}, "port"),
        ({"secret_file": ""}, "is missing"),
        ({"secret_file": "short"}, "whsec_"),
        ({"events": ["opened"]}, "sent, deferred, bounced"),
        ({"events": []}, "is empty"),
    ],
)
def test_a_webhook_that_makes_no_sense_stops_the_start(
    world, new_relay, secret, tmp_path, changes, why
):
    if changes.get("secret_file") == "short":
        changes = {"secret_file": str(new_secret(tmp_path, key=b"too short"))}
    hook = {"url": "https://x.test/", "secret_file": str(secret), **changes}
    relay = new_relay({'webhook "app"': hook}, start=False)
    relay.write_config()
    done = relay.cli("check", "-c", str(relay.config_file), check=False)
    assert done.returncode == 78 and why in done.stderr, done.stderr
    assert "webhook.app." in done.stderr


def test_no_secret_is_ever_shown(place, hooked, home, secret):
    submit(hooked, f"bob@{home}")
    text = secret.read_text().strip()
    shown = [
        hooked.cli("check", "-c", str(hooked.config_file)).stdout,
        hooked.cli("status", "--json").stdout,
        json.dumps(hooked.log.events),
        hooked.stderr(),
    ]
    assert all(text not in s and text[6:] not in s for s in shown)
