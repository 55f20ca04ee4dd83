"""Routes that authenticate with tokens: where they come from, how they are kept
and renewed, and what happens when there are none."""

import contextlib
import json
import sqlite3
import subprocess
import time

import pytest

from lab.relay import binary, environment
from lab.send import submit

from test_route_auth import LATER, account, deferred, route, secret  # noqa: F401

USER = "mailer@corp.test"
CLIENT = {"client_id": "0000-client", "client_secret": "secret-of-the-client"}


@pytest.fixture
def tokens(world):
    return world.tokens()


@pytest.fixture
def provider(world, tokens):
    p = world.provider()
    p.mechanisms = ["XOAUTH2"]
    p.tokens[USER] = tokens.given  # whatever was given is good
    return p


def by_token(world, provider, tokens, auth="auto", **oauth):
    return route(
        provider,
        user=USER,
        auth=auth,
        oauth={"token_url": tokens.url, "ca": world.ca.path, **CLIENT, **oauth},
    )


# --- getting one ---


def test_a_token_is_got_by_the_client_s_own_credentials(
    world, new_relay, provider, tokens
):
    relay = new_relay(
        {'route "out"': by_token(world, provider, tokens, scope="mail/.default")}
    )
    assert relay.log.one("oauth.token")["result"] == "ok"  # before there is mail
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is provider
    assert tokens.asked == [
        {
            "grant_type": "client_credentials",
            **CLIENT,
            "scope": "mail/.default",
        }
    ]
    assert tokens.heads[0].startswith("POST /tenant/oauth2/v2.0/token HTTP/1.1\r\n")
    assert provider.shown == [("XOAUTH2", USER, tokens.given[0])]
    found = account(relay)
    assert found["state"] == "good" and found["has_token"] and found["expires"]


@pytest.mark.parametrize(
    "offered, taken",
    [
        (["PLAIN", "XOAUTH2"], "XOAUTH2"),
        (["XOAUTH2", "OAUTHBEARER"], "OAUTHBEARER"),
        (["OAUTHBEARER"], "OAUTHBEARER"),
    ],
)
def test_the_best_mechanism_for_tokens_is_taken(
    world, new_relay, provider, tokens, offered, taken
):
    provider.mechanisms = offered
    relay = new_relay({'route "out"': by_token(world, provider, tokens)})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    assert [m for m, _, _ in provider.shown] == [taken]


def test_a_long_token_goes_behind_the_command(world, new_relay, provider, tokens):
    long = "t" * 3000
    tokens.answers = [
        tokens.answer(
            json.dumps(
                {"access_token": long, "token_type": "bearer", "expires_in": 60}
            )
        )
    ]
    provider.tokens[USER] = [long]
    relay = new_relay({'route "out"': by_token(world, provider, tokens)})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)


def test_a_refresh_token_is_used_and_its_successor_kept(
    world, new_relay, provider, tokens, secret, tmp_path
):
    tokens.rotates, tokens.life = True, 3
    relay = new_relay(
        {
            'route "out"': by_token(
                world,
                provider,
                tokens,
                refresh_token_file=secret("first-refresh-token\n"),
            )
        },
        folder=tmp_path,
    )
    relay.log.wait("oauth.token", 2, result="ok")
    relay.stop()
    used = [a["refresh_token"] for a in tokens.asked]
    assert used[:2] == ["first-refresh-token", "rotated-refresh-token-1"]
    assert all(a["grant_type"] == "refresh_token" for a in tokens.asked)
    count = len(tokens.asked)
    time.sleep(3)  # the access token is no good any more
    relay.start()
    relay.log.one("oauth.token", result="ok")
    last = tokens.asked[count]["refresh_token"]
    assert last == f"rotated-refresh-token-{count}"
    # Another first one means another authorization.
    secret("second-refresh-token")
    relay.log.one("route.secret", result="read anew")
    relay.log.wait("oauth.token", 2, result="ok")
    assert "second-refresh-token" in [a["refresh_token"] for a in tokens.asked]


# --- keeping it ---


def test_a_restart_asks_for_none_while_one_lives(
    world, new_relay, provider, tokens, tmp_path
):
    relay = new_relay(
        {'route "out"': by_token(world, provider, tokens)}, folder=tmp_path
    )
    relay.log.one("oauth.token")
    relay.stop()
    relay.start()
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    assert len(tokens.asked) == 1
    relay.stop()
    # It lies in the queue's file, which is nobody else's.
    file = tmp_path / "state" / "queue.db"
    assert file.stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(file)) as db:
        kept = db.execute("SELECT value FROM shelf WHERE shelf = 'oauth'").fetchall()
    assert tokens.given[0].encode() in kept[0][0]
    assert CLIENT["client_secret"].encode() not in kept[0][0]
    # With another client it is somebody else's.
    relay.config['route "out"']["oauth"]["client_id"] = "other"
    relay.start()
    relay.log.one("oauth.token", result="ok")
    assert tokens.asked[1]["client_id"] == "other"
    # And a route that is no more leaves none behind.
    relay.stop()
    del relay.config['route "out"']
    relay.start()
    relay.stop()
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert not db.execute("SELECT * FROM shelf WHERE shelf = 'oauth'").fetchall()


def test_it_is_renewed_at_four_fifths_of_its_life(world, new_relay, provider, tokens):
    tokens.life = 5
    relay = new_relay({'route "out"': by_token(world, provider, tokens)})
    relay.log.wait("oauth.token", 3, result="ok")
    gaps = [b - a for a, b in zip(tokens.times, tokens.times[1:])]
    assert all(3.8 < gap < 4.8 for gap in gaps), gaps
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    assert provider.shown[-1][2] in tokens.given[2:]


def test_a_renewal_that_fails_leaves_the_old_one_in_force(
    world, new_relay, provider, tokens
):
    tokens.life = 10
    relay = new_relay({'route "out"': by_token(world, provider, tokens)})
    relay.log.one("oauth.token", result="ok")
    tokens.answers = [tokens.answer("{}", "503 Busy")] * 20
    relay.log.one("oauth.token", result="failed")
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    found = account(relay)
    assert found["state"] == "good" and "503" in found["why"]


# --- having none ---


def test_mail_waits_for_the_first_token(world, new_relay, provider, tokens):
    """Nothing is put off for it."""
    tokens.answers = [None]  # never
    relay = new_relay(
        {'route "out"': by_token(world, provider, tokens), "retry": LATER}
    )
    mid = submit(relay, f"bob@{world.name()}")
    time.sleep(1)
    assert account(relay)["state"] == "waiting"
    assert not relay.log.find("delivery.deferred", mid=mid)
    begin = time.monotonic()
    relay.stop()  # and does not keep the relay from ending
    assert time.monotonic() - begin < 20


BROKEN = [
    ("revoked", None, 'invalid_grant: AADSTS70043: "expired" or revoked'),
    ("500", None, "500"),
    ("not json", "{access", "no JSON object"),
    ("list", "[]", "no JSON object"),
    ("no type", '{"access_token": "x"}', "no token of type Bearer"),
    ("no token", '{"token_type": "Bearer"}', "no access_token"),
    (
        "bad token",
        '{"token_type": "Bearer", "access_token": "a\\u0001b"}',
        "characters that no token has",
    ),
    (
        "life",
        '{"token_type": "Bearer", "access_token": "x", "expires_in": -1}',
        "expires_in",
    ),
    ("huge", '{"x": "' + "x" * 100000 + '"}', "65536"),
    ("deep", "[" * 60000, "no JSON object"),
    ("html", None, "status 200"),
]


@pytest.mark.parametrize("kind, body, why", BROKEN, ids=[b[0] for b in BROKEN])
def test_an_answer_without_a_token_holds_the_route_with_its_reason(
    world, new_relay, provider, tokens, kind, body, why
):
    if kind == "revoked":
        tokens.answers = [
            tokens.refusal("invalid_grant", 'AADSTS70043: "expired" or revoked')
        ]
    elif kind == "500":
        tokens.answers = [tokens.answer("oops", "500 Oops", "text/html")]
    elif kind == "html":
        tokens.answers = [tokens.answer("<html>", media_type="text/html")]
        why = "Content-Type"
    else:
        tokens.answers = [tokens.answer(body)]
    relay = new_relay(
        {
            'route "out"': by_token(world, provider, tokens),
            "retry": {"schedule": ["1h"], "expire": "5d"},
        }
    )
    said = relay.log.one("oauth.token", result="failed")["reason"]
    assert why in said, said
    d = world.name()
    mid = submit(relay, f"bob@{d}")  # asks again, as some time has passed
    final = relay.log.one(("delivery.sent", "delivery.deferred"), mid=mid)
    if final["event"] == "delivery.deferred":
        assert "no access token" in final["reply"] and why in final["reply"]
    assert not relay.log.find("delivery.bounced")


def test_a_refusal_that_comes_late_is_not_asked_for_again_at_once(
    world, new_relay, provider, tokens
):
    """Mail that waits for it hears of it, and the endpoint has its rest."""
    tokens.delay = 1.2
    tokens.answers = [tokens.refusal("invalid_client", "wrong")] * 50
    relay = new_relay(
        {'route "out"': by_token(world, provider, tokens), "retry": LATER}
    )
    mid = submit(relay, f"bob@{world.name()}")
    assert "invalid_client: wrong" in deferred(relay, mid)
    assert account(relay)["state"] == "held"
    assert len(tokens.asked) <= 2  # the start, and this mail


def test_the_route_goes_on_once_there_is_a_token(
    world, new_relay, provider, tokens, secret
):
    """And a new secret is used at once."""
    tokens.answers = [tokens.refusal("invalid_client", "wrong")] * 2
    oauth = {
        "client_secret_file": secret("wrong-client-secret"),
        "client_id": "c",
    }
    r = by_token(world, provider, tokens)
    del r["oauth"]["client_secret"]
    r["oauth"].update(oauth)
    relay = new_relay({'route "out"': r, "retry": LATER})
    relay.log.one("oauth.token", result="failed")
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    assert "invalid_client: wrong" in deferred(relay, mid)
    assert account(relay)["state"] == "held"
    tokens.answers = []
    secret("right-client-secret")
    assert world.ledger.one(domain=d)
    assert tokens.asked[-1]["client_secret"] == "right-client-secret"


def test_an_endpoint_that_is_not_who_it_says_gets_no_secret(
    world, new_relay, provider, tokens
):
    r = by_token(world, provider, tokens)
    r["oauth"]["ca"] = world.stranger.path
    relay = new_relay({'route "out"': r, "retry": LATER})
    assert "TLS" in relay.log.one("oauth.token", result="failed")["reason"]
    assert not tokens.asked


# --- a provider that does not take it ---


def test_a_token_that_is_refused_is_replaced_at_once(
    world, new_relay, provider, tokens
):
    provider.tokens[USER] = []
    relay = new_relay(
        {'route "out"': by_token(world, provider, tokens), "retry": LATER}
    )
    relay.log.one("oauth.token", result="ok")
    provider.tokens[USER] = lambda_list(tokens, from_number=2)
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    assert len(tokens.given) == 2
    assert len(provider.shown) == 2


class lambda_list:
    """The tokens from one on."""

    def __init__(self, tokens, from_number):
        self.tokens, self.first = tokens, from_number

    def __contains__(self, token):
        return token in self.tokens.given[self.first - 1 :]


def test_the_second_refusal_in_a_row_holds_the_route(
    world, new_relay, provider, tokens
):
    provider.tokens[USER] = []
    relay = new_relay(
        {'route "out"': by_token(world, provider, tokens), "retry": LATER}
    )
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    said = deferred(relay, mid, 2)
    assert "not accepted" in said and "status 401" in said
    time.sleep(2)
    assert len(tokens.given) == 2 and len(provider.shown) == 2
    assert account(relay)["state"] == "held"
    provider.tokens[USER] = tokens.given
    relay.cli("reload")
    assert world.ledger.one(domain=d)


# --- secrets ---


def test_no_secret_of_tokens_is_ever_shown(world, new_relay, provider, tokens, secret):
    """Endpoint and provider repeat what they were sent."""
    provider.echoes = True
    provider.tokens[USER] = []
    tokens.life = 3
    tokens.answers = [
        tokens.refusal("invalid_client", f"no: {CLIENT['client_secret']} is wrong")
    ]
    relay = new_relay(
        {
            'route "out"': by_token(
                world, provider, tokens, refresh_token="first-refresh-token"
            ),
            "log": {"level": "debug"},
            "retry": {"schedule": ["500ms"]},
        }
    )
    mid = submit(relay, f"bob@{world.name()}")
    deferred(relay, mid, 3)
    assert tokens.given
    said = [str(relay.log.events), relay.stderr()]
    said += [
        relay.cli(*words).stdout
        for words in (
            ["status"],
            ["status", "--json"],
            ["trace", mid],
            ["queue", "explain", mid],
        )
    ]
    for arguments in (["check"], ["check", "--json"]):
        done = subprocess.run(
            [binary(), *arguments, "-c", str(relay.config_file)],
            capture_output=True,
            text=True,
            env=environment(),
        )
        said += [done.stdout, done.stderr]
    for text in said:
        for word in (CLIENT["client_secret"], "first-refresh", *tokens.given):
            assert word not in text, text
        assert "secret-access-token" not in text, text


def test_the_numbers_tell_of_tokens(world, new_relay, provider, tokens):
    relay = new_relay({'route "out"': by_token(world, provider, tokens)})
    relay.log.one("oauth.token", result="ok")
    page = subprocess.run(
        ["curl", "-s", "--unix-socket", relay.config["control"]["socket"]]
        + ["http://x/metrics"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    numbers = dict(
        line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#")
    )
    assert numbers['sealpost_oauth_refresh_total{route="out",result="ok"}'] == "1"
    assert numbers['sealpost_route_suspended{route="out",reason="auth"}'] == "0"
    expiry = float(numbers['sealpost_oauth_token_expiry_timestamp_seconds{route="out"}'])
    assert 3500 < expiry - time.time() < 3700
