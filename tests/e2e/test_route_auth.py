"""Routes that want AUTH: passwords, tokens, and what happens without."""

import base64
import json
import re
import signal
import time

import pytest

from lab.send import submit

FINAL = ("delivery.sent", "delivery.deferred", "delivery.bounced")
USER, PASSWORD = "mailer@corp.test", "correct horse=battery,staple"


def route(provider, **more):
    return {"to": ["*"], "via": [f"{provider.host}:{provider.port}"], **more}


def by_password(provider, **more):
    return route(provider, user=USER, password=PASSWORD, **more)


def held(relay, mid):
    return relay.log.one("delivery.deferred", mid=mid)


# --- passwords ---


@pytest.mark.parametrize("offered, taken", [
    (["PLAIN", "LOGIN"], "PLAIN"),
    (["LOGIN"], "LOGIN"),
    (["XOAUTH2", "LOGIN", "PLAIN"], "PLAIN"),
])
def test_the_best_mechanism_that_is_offered_is_taken(
    world, new_relay, offered, taken
):
    p = world.provider()
    p.passwords[USER], p.mechanisms = PASSWORD, offered
    relay = new_relay({'route "out"': by_password(p)})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is p
    assert p.shown == [(taken, USER, PASSWORD)]
