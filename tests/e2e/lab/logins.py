"""Relays that clients log in to, and their users file."""

import base64
import json
import subprocess

from .leaks import keep
from .relay import binary, environment

PASSWORD = keep("correct=horse,battery staple")
WRONG = keep("tr0ub4dor & three")


def user(relay, *words, password=PASSWORD, check=True):
    """`sealpost user ...` on the users file of a relay."""
    verb, *rest = words
    keep(password)
    done = subprocess.run(
        [binary(), "user", verb, *rest, "--file", str(users_file(relay))],
        input=password + "\n",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert not check or done.returncode == 0, done
    return done


def users_file(relay):
    return relay.folder / "users"


def with_logins(new_relay, config=None, users=(("app", "@app.example"),), **more):
    """A relay where nobody may relay but who logs in; "app" is in clear."""
    base = {
        'listener "app"': {"auth": "optional", "auth_in_clear": True},
        'listener "tls"': {"auth": "required"},
        'listener "smtps"': {"auth": "required"},
        "access": {"networks": []},
        "": {"mode": "sink"},
    }
    for name, keys in (config or {}).items():
        base.setdefault(name, {}).update(keys)
    relay = new_relay(base, start=False, **more)
    relay.config["users"] = {"file": str(users_file(relay))}
    for name, senders in users:
        user(relay, "add", name, "--senders", senders)
    relay.start()
    return relay


def plain(name, password=PASSWORD):
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


def expect_no_secret(relay, *passwords):
    """Nothing of a password is in the log, however it was sent."""
    text = "\n".join(json.dumps(e, ensure_ascii=False) for e in relay.log.events)
    text += relay.stderr()
    for password in passwords:
        for form in (password, base64.b64encode(password.encode()).decode()):
            assert form not in text
        # in the middle of a PLAIN response, whatever stands in front
        for shift in range(3):
            coded = base64.b64encode(b"x" * shift + password.encode()).decode()
            assert coded[4:-4] not in text
