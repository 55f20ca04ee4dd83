"""That secrets are found where they would be shown: every relay of these tests
is looked through for its own when it ends (lab/leaks.py)."""

import base64
import pathlib
import urllib.parse

import pytest

from lab import leaks
from lab.logins import PASSWORD, plain, users_file, with_logins
from lab.send import Wire, submit

SECRET = "a secret/that leaks+away"


@pytest.fixture
def relay(world):
    """With a secret that nothing but its route knows."""
    r = world.relay(
        {
            'route "out"': {
                "to": ["@nowhere.test"],
                "via": [f"{world.nobody()}:{world.mx_port}"],
                "user": "us",
                "password": SECRET,
            }
        }
    )
    yield r
    r.discard()


def places(relay):
    relay.look()
    return {place for _, place, _ in relay.leaks()}


def test_what_is_well_kept_is_not_found(relay):
    submit(relay, "bob@nowhere.test")
    relay.log.one("delivery.deferred")
    assert places(relay) == set()
    shown = {place for place, _ in relay.shown}
    assert {"/metrics", "/v1/status", "check", "check --json", "arguments"} <= shown
    assert any(place.endswith("/trace") for place in shown), shown


def forms():
    raw = SECRET.encode()
    yield "hex", raw.hex()
    yield "percent", urllib.parse.quote(SECRET, safe="")
    for n in range(3):
        coded = base64.b64encode(b"\0us"[: n + 1] + raw).decode()
        yield f"base64-{n}", coded.rstrip("=")


@pytest.mark.parametrize("text", [pytest.param(t, id=n) for n, t in forms()])
def test_a_leak_is_found_in_the_log_and_in_documents(world, relay, text):
    """As an address, which both may show."""
    rcpt = f'"{text}"@{world.domain(world.nobody())}'
    mid = submit(relay, rcpt)
    relay.log.one("delivery.deferred", mid=mid)
    assert {"log", "/v1/queue", f"/v1/messages/{mid}/trace"} <= places(relay)


def test_a_leak_fails_the_test_it_belongs_to(relay):
    relay.complaints.append(f"sealpost: password={SECRET}\n")
    with pytest.raises(AssertionError, match="secrets are shown"):
        relay.close()


def test_keys_hashes_and_words_of_clients_are_known(new_relay):
    relay = with_logins(new_relay)
    with Wire(relay.ip, relay.port) as c:
        c.ready().say("AUTH PLAIN " + plain("app"), 235)
    known = leaks.of(relay)
    assert PASSWORD in known
    assert any(isinstance(s, bytes) for s in known), "the login key"
    words = {s for s in known if isinstance(s, str)}
    for file in (users_file(relay), pathlib.Path(relay.config["tls"]["key"])):
        text = file.read_text()
        assert any(s in text for s in words), file
