"""Routes that want AUTH by a password, and what happens without."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from lab.patience import PATIENCE
from lab.relay import binary, config_text, environment
from lab.send import submit

USER, PASSWORD = "mailer@corp.test", "correct horse=battery,staple"
LATER = {"schedule": ["1h"], "expire": "5d"}  # nothing is tried again by itself


def via(provider):
    return f"{provider.host}:{provider.port}"


def route(*providers, **more):
    return {"to": ["*"], "via": [via(p) for p in providers], **more}


def by_password(*providers, **more):
    return route(*providers, **{"user": USER, "password": PASSWORD, **more})


@pytest.fixture
def provider(world):
    p = world.provider()
    p.passwords[USER] = PASSWORD
    return p


@pytest.fixture
def secret(tmp_path):
    """Writes a file that only we may read."""

    def write(text, name="secret"):
        file = tmp_path / name
        file.touch(0o600)
        file.write_text(text)
        return str(file)

    return write


def deferred(relay, mid, count=1):
    return relay.log.wait("delivery.deferred", count, mid=mid)[-1]["reply"]


def account(relay, name="out"):
    found = json.loads(relay.cli("status", "--json").stdout)["accounts"]
    return next(a for a in found if a["route"] == name)


def rows(relay, mid):
    return [r for r in relay.queue() if r["id"] == mid]


# --- mechanisms ---


@pytest.mark.parametrize(
    "offered, taken",
    [
        (["PLAIN", "LOGIN"], "PLAIN"),
        (["LOGIN"], "LOGIN"),
        (["XOAUTH2", "LOGIN", "PLAIN"], "PLAIN"),
    ],
)
def test_the_best_mechanism_that_is_offered_is_taken(
    world, new_relay, provider, offered, taken
):
    provider.mechanisms = offered
    relay = new_relay({'route "out"': by_password(provider)})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is provider
    assert provider.shown == [(taken, USER, PASSWORD)]
    assert account(relay)["state"] == "good"


def test_a_connection_authenticates_once_for_all_its_messages(
    world, new_relay, provider
):
    relay = new_relay({'route "out"': by_password(provider, connections=1)})
    d = world.name()
    for n in range(5):
        submit(relay, f"u{n}@{d}")
    sessions = {x.session for x in world.ledger.wait(domain=d, count=5)}
    assert len(provider.shown) == len(sessions) < 5


def test_implicit_tls_comes_before_auth_too(world, new_relay):
    p = world.provider(port=465, implicit=True)
    p.passwords[USER], p.mechanisms = PASSWORD, ["PLAIN"]
    p._options["auth_require_tls"] = False  # what aiosmtpd can't see
    relay = new_relay({'route "out"': by_password(p)})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).tls.version == "implicit"


def test_routes_with_other_accounts_do_not_share_connections(world, new_relay):
    """Two accounts at one host: each message goes out by its own."""
    p = world.provider()
    p.passwords.update(one="secret-one", two="secret-two")
    a, b = world.name(), world.name()
    relay = new_relay(
        {
            f'route "{user}"': {
                **route(p, user=user, password=f"secret-{user}"),
                "to": [f"@{d}"],
            }
            for user, d in (("one", a), ("two", b))
        }
    )
    for n in range(3):
        submit(relay, f"u{n}@{a}")
        submit(relay, f"u{n}@{b}")
    sessions = [
        {x.session for x in world.ledger.wait(domain=d, count=3)} for d in (a, b)
    ]
    assert not sessions[0] & sessions[1]
    assert sorted(set(p.users())) == ["one", "two"]


# --- a provider that does not let us in ---


def test_a_wrong_password_holds_the_route_and_bounces_nothing(
    world, new_relay, provider, secret
):
    file = secret("wrong-password\n")
    relay = new_relay(
        {
            'route "out"': route(provider, user=USER, password_file=file),
            "retry": {"schedule": ["200ms"], "warn": "0", "expire": "2s"},
        }
    )
    d = world.name()
    mids = [submit(relay, f"u{n}@{d}") for n in range(3)]
    said = deferred(relay, mids[0])
    assert said.startswith("454 4.7.0 ") and "535" in said and "not accepted" in said
    until = time.monotonic() + 5  # more than retry.expire, and several attempts
    while time.monotonic() < until:
        assert not relay.log.find("delivery.bounced")
        assert not relay.log.find("delivery.expired")
        time.sleep(0.1)
    assert len(provider.shown) > 3
    assert account(relay)["state"] == "held"
    assert "535" in account(relay)["why"]
    assert all(rows(relay, m)[0]["attempts"] == 0 for m in mids)
    said = relay.cli("queue", "explain", mids[0]).stdout
    assert "not accepted" in said, said
    assert "held" in relay.cli("status").stdout

    secret(PASSWORD)
    assert len(world.ledger.wait(domain=d, count=3)) == 3
    assert account(relay)["state"] == "good"


def test_a_new_password_in_the_file_is_tried_at_once(
    world, new_relay, provider, secret
):
    """By a rename, as whoever manages secrets does it; no reload, no retry."""
    file = secret("wrong-password")
    relay = new_relay(
        {'route "out"': route(provider, user=USER, password_file=file), "retry": LATER}
    )
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    deferred(relay, mid)
    os.rename(secret(f"{PASSWORD}\n", "new"), file)
    assert world.ledger.one(domain=d)
    assert relay.log.one("route.secret")["result"] == "read anew"


def test_a_file_that_is_gone_holds_the_route_with_its_reason(
    world, new_relay, provider, secret
):
    file = secret(PASSWORD)
    relay = new_relay(
        {'route "out"': route(provider, user=USER, password_file=file), "retry": LATER}
    )
    os.unlink(file)
    assert relay.log.one("route.secret")["result"] == "unreadable"
    d = world.name()
    mid = submit(relay, f"bob@{d}")
    assert "the route is held: no credentials: " in deferred(relay, mid)
    assert "can't be opened" in account(relay)["why"]
    secret(PASSWORD)
    assert world.ledger.one(domain=d)


def test_a_reload_tries_what_is_held_at_once(world, new_relay, provider):
    relay = new_relay(
        {'route "out"': by_password(provider, password="wrong"), "retry": LATER}
    )
    d = world.name()
    deferred(relay, submit(relay, f"bob@{d}"))
    relay.write_config({'route "out"': {"password": PASSWORD}})
    relay.signal(signal.SIGHUP)
    assert world.ledger.one(domain=d)


def test_a_reload_shows_the_old_password_to_no_new_host(world, new_relay, provider):
    """Not even for mail that was on its way, and waited for DNS."""
    gone = world.provider()
    relay = new_relay(
        {
            'route "out"': by_password(gone, password="old secret"),
            "resolver": {"timeout": "3s"},
        }
    )
    world.dns.behave(gone.host, "timeout")
    d = world.name()
    submit(relay, f"bob@{d}")
    until = time.monotonic() + PATIENCE
    while not world.dns.asked(gone.host):
        assert time.monotonic() < until
        time.sleep(0.02)
    relay.write_config(
        {'route "out"': {"via": [via(provider)], "password": PASSWORD}}
    )
    relay.signal(signal.SIGHUP)
    assert world.ledger.one(domain=d).peer is provider
    assert {secret for _, _, secret in provider.shown} == {PASSWORD}


def test_a_password_that_is_refused_is_shown_to_no_other_host(
    world, new_relay, provider
):
    """Each further try counts against the account."""
    first = world.provider()
    relay = new_relay({'route "out"': by_password(first, provider), "retry": LATER})
    deferred(relay, submit(relay, f"bob@{world.name()}"))
    assert len(first.shown) == 1 and not provider.commands


@pytest.mark.parametrize(
    "what",
    ["454 4.7.0 Temporary authentication failure", "not offered", "504 5.5.4 no such"],
)
def test_a_host_that_can_not_do_it_is_passed_over(world, new_relay, provider, what):
    first = world.provider()
    if what == "not offered":
        first.mechanisms = ["CRAM-MD5"]
    else:
        first.replies["AUTH"] = [what]
    relay = new_relay({'route "out"': by_password(first, provider), "retry": LATER})
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is provider


@pytest.mark.parametrize(
    "mechanisms, auth, why",
    [
        ([], "auto", "the server offers no AUTH"),
        (["CRAM-MD5"], "auto", "AUTH by unknown mechanisms, and the route needs one of"),
        (["PLAIN"], "scram-sha-256", "AUTH PLAIN, and the route needs one of SCRAM"),
    ],
)
def test_a_mechanism_that_is_not_offered_holds_the_route_with_a_clear_reason(
    world, new_relay, provider, mechanisms, auth, why
):
    provider.mechanisms = mechanisms
    relay = new_relay(
        {'route "out"': by_password(provider, auth=auth), "retry": LATER}
    )
    mid = submit(relay, f"bob@{world.name()}")
    assert why in deferred(relay, mid)
    assert not any(c.startswith("MAIL") for c in provider.commands)
    assert not provider.shown


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DOT"])
@pytest.mark.parametrize("code", ["530 5.7.0", "535 5.7.3", "538 5.7.11"])
def test_whoever_wants_auth_later_holds_the_route_too(world, new_relay, verb, code):
    p = world.provider()
    p.wants_auth = False
    d = world.name()
    reply = [f"{code} Authentication required"]
    p.replies[verb] = {f"bob@{d}": reply} if verb == "RCPT" else reply
    relay = new_relay({'route "out"': route(p), "retry": LATER})
    mid = submit(relay, f"bob@{d}")
    assert "Authentication required" in deferred(relay, mid)
    assert rows(relay, mid)[0]["attempts"] == 0
    relay.cli("queue", "retry", mid)
    relay.write_config({"retry": {"warn": "3h"}})
    relay.signal(signal.SIGHUP)  # tries what is blocked
    assert world.ledger.one(domain=d)
    assert not relay.log.find("delivery.bounced")


def test_mx_hosts_that_say_530_bounce_as_ever(world, relay):
    mx = world.peer()
    mx.replies["MAIL"] = [["530 5.7.0 Authentication required"]]
    mid = submit(relay, f"bob@{world.domain(mx)}", sender="")
    assert relay.log.one("delivery.bounced", mid=mid)


def test_senders_hear_of_the_delay(world, new_relay, provider):
    home = world.name()
    good = world.peer()
    relay = new_relay(
        {
            'route "home"': {
                "to": [f"@{home}"],
                "via": [via(good)],
            },
            'route "out"': by_password(provider, password="wrong"),
            "retry": {"schedule": ["1h"], "warn": "1s", "expire": "5d"},
        }
    )
    submit(relay, f"bob@{world.name()}", sender=f"alice@{home}")
    report = world.ledger.one(f"alice@{home}").data.decode()
    assert "Action: delayed" in report and "the route is held" in report


# --- certificates ---


def test_a_certificate_of_ours_is_shown_where_one_is_asked_for(world, new_relay):
    p = world.peer(client_ca=world.ca.path)
    mine = world.ca.client("relay.lab.test")
    d = world.name()
    without = new_relay({'route "out"': route(p), "retry": LATER})
    deferred(without, submit(without, f"bob@{d}"))
    with_one = new_relay(
        {'route "out"': route(p, certificate=mine.path, key=mine.path)}
    )
    submit(with_one, f"bob@{d}")
    assert len(world.ledger.wait(domain=d)) == 1


def test_a_pinned_certificate_alone_will_do(world, new_relay, provider):
    pem = pathlib.Path(provider.cert.path).read_text()
    good = fingerprint(pem)
    d = world.name()
    wrong = new_relay(
        {'route "out"': by_password(provider, fingerprint=["sha256:" + "00" * 32])}
    )
    assert "pinned" in deferred(wrong, submit(wrong, f"bob@{d}"))
    assert not provider.shown
    right = new_relay(
        {'route "out"': by_password(provider, fingerprint=[f"sha256:{good}"])}
    )
    submit(right, f"bob@{d}")
    assert world.ledger.one(domain=d)


def fingerprint(pem):
    done = subprocess.run(
        ["openssl", "x509", "-fingerprint", "-sha256", "-noout"],
        input=pem,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().partition("=")[2]


# --- secrets ---


def test_no_secret_is_ever_shown(world, new_relay, provider, secret):
    """Not even where the provider repeats what it was sent."""
    provider.echoes = True
    provider.mechanisms = ["LOGIN"]
    other = world.provider()
    other.echoes = True
    d, e = world.name(), world.name()
    relay = new_relay(
        {
            'route "a"': {
                **route(provider, user=USER, password="hunter2-hunter2"),
                "to": [f"@{d}"],
            },
            'route "b"': route(
                other, user=USER, password_file=secret("hunter3-hunter3")
            ),
            "log": {"level": "debug"},
            "retry": {"schedule": ["300ms"]},
        }
    )
    mids = [submit(relay, f"bob@{d}"), submit(relay, f"bob@{e}")]
    for mid in mids:
        assert "535" in deferred(relay, mid, 2)
    said = [str(relay.log.events), relay.stderr()]
    said += [
        relay.cli(*words).stdout
        for words in (
            ["status"],
            ["status", "--json"],
            ["queue", "list", "--json"],
            *(["trace", m] for m in mids),
            *(["trace", m, "--json"] for m in mids),
            *(["queue", "explain", m] for m in mids),
        )
    ]
    for arguments in (["check"], ["check", "--json"]):
        done = subprocess.run(
            [binary(), *arguments, "-c", str(relay.config_file)],
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert done.returncode == 0
        said += [done.stdout, done.stderr]
    with open(f"/proc/{relay.process.pid}/cmdline") as f:
        said.append(f.read())
    for text in said:
        for word in ("hunter2", "hunter3", "aHVudGVyMi", "aHVudGVyMy", "odW50ZXI"):
            assert word not in text, text


def test_the_environment_is_enough(world, new_relay, provider, secret):
    relay = new_relay(
        environ={
            "RELAYHOST": f"[{provider.host}]:{provider.port}",
            "RELAYHOST_USERNAME": USER,
            "RELAYHOST_PASSWORD_FILE": secret(PASSWORD),
        }
    )
    d = world.name()
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is provider
    assert provider.users() == [USER]


def test_auth_in_clear_does_not_start(world, new_relay, provider):
    relay = new_relay({'route "out"': by_password(provider, tls="none")}, start=False)
    relay.start(ready=False)
    assert relay.process.wait(15) == 78
    assert "route.out.tls: does not go with auth" in relay.stderr()
    relay.log.join()


# --- route test ---


def route_test(tmp_path, config, *arguments, **more):
    file = tmp_path / "sealpost.conf"
    file.write_text(config_text({"": {"hostname": "relay.lab.test"}, **config}))
    return subprocess.run(
        [binary(), "route", "test", *arguments, "-c", str(file)],
        capture_output=True,
        text=True,
        env=environment(**more),
    )


ROUTES = {
    'route "bounces"': {"from": ["<>"], "to": ["*"], "via": ["b.example"]},
    'route "inside"': {
        "from": ["@corp.example"],
        "to": ["@b\u00fccher.example", "boss@corp.example"],
        "via": ["[192.0.2.1]:25"],
        "tls": "opportunistic",
    },
    'route "out"': {
        "to": ["@partner.example"],
        "via": ["smtp.partner.example:587", "smtp.partner.example:465"],
        "user": "mailer",
        "password": "hunter2",
    },
}


@pytest.mark.parametrize(
    "sender, rcpt, taken, compared",
    [
        ("<>", "x@y.example", "bounces", 1),
        ("a@corp.example", "Boss@corp.example", "inside", 2),
        ("a@corp.example", "boss@CORP.example", "inside", 2),
        ("a@corp.example", "x@xn--bcher-kva.example", "inside", 2),
        ("a@corp.example", "x@b\u00fccher.example", "inside", 2),
        ("a@other.example", "boss@corp.example", None, 3),
        ("a@other.example", "x@partner.example", "out", 3),
        ("a@other.example", "x@sub.partner.example", None, 3),
    ],
)
def test_route_test_finds_the_first_that_takes_it(
    tmp_path, sender, rcpt, taken, compared
):
    done = route_test(tmp_path, ROUTES, sender, rcpt, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["route"] == taken
    assert len(found["compared"]) == compared
    assert [c["takes"] for c in found["compared"]] == [False] * (compared - 1) + [
        taken is not None
    ]
    assert "hunter2" not in done.stdout


def test_route_test_tells_people_why(tmp_path):
    done = route_test(tmp_path, ROUTES, "a@other.example", "x@partner.example")
    assert done.stdout == (
        "from a@other.example to x@partner.example\n"
        "  route bounces              no: the sender is none of its senders\n"
        "  route inside               no: the sender is none of its senders, nor"
        " the recipient of its recipients\n"
        "  route out                  yes: any sender, recipient is"
        " @partner.example\n"
        "goes by route out\n"
        "  hosts     smtp.partner.example:587\n"
        "            smtp.partner.example:465, TLS from the first octet\n"
        "  TLS       verified: needed, with a certificate for the host's name\n"
        "  auth      as mailer, by PLAIN or LOGIN or SCRAM-SHA-256\n"
    )
    done = route_test(tmp_path, ROUTES, "a@other.example", "x@y.example")
    assert "goes to the MX hosts of y.example\n" in done.stdout


def test_route_test_says_what_it_can_not_read(tmp_path):
    assert route_test(tmp_path, ROUTES, "a@b.example").returncode == 64
    assert route_test(tmp_path, ROUTES, "a b", "x@y.example").returncode == 65
    assert route_test(tmp_path, ROUTES, "<>", "nobody").returncode == 65
    bad = {'route "r"': {"to": ["*"]}}
    done = route_test(tmp_path, bad, "<>", "x@y.example")
    assert done.returncode == 78 and "route.r.via: is missing" in done.stderr


def test_route_test_follows_the_mode(tmp_path):
    config = {
        **ROUTES,
        "": {
            "hostname": "relay.lab.test",
            "mode": "redirect",
            "redirect_to": "stage@partner.example",
        },
    }
    done = route_test(tmp_path, config, "a@b.example", "x@y.example", "--json")
    found = json.loads(done.stdout)
    assert (found["to"], found["goes_to"], found["route"]) == (
        "x@y.example",
        "stage@partner.example",
        "out",
    )


def test_a_route_takes_mail_for_a_name_in_utf_8(world, new_relay):
    p = world.peer()
    d = f"b\u00fccher.{world.name()}"
    relay = new_relay({'route "out"': {"to": [f"@{d}"], "via": [via(p)]}})
    submit(relay, f"bob@{d}", mail_options=["SMTPUTF8"])
    assert world.ledger.wait(peer=p)
