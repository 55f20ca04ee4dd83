"""What scripts read: no name that --json shows may go, or become something
else.  The names are in json_names.json; after an addition:

    SEALPOST_NAMES=write /usr/bin/python3 -m pytest tests/e2e/test_json.py
"""

import datetime
import json
import os
import pathlib

import pytest

from lab.logins import user, users_file
from lab.send import submit
from test_cli import Shell, eventually
from test_tlsrpt import counted, wanted

KEPT = pathlib.Path(__file__).with_name("json_names.json")

KINDS = {bool: "boolean", int: "number", float: "number", str: "text"}


def names(value, path=""):
    """{path: kind}: members behind a dot, elements behind [].  What depends on
    a configuration or a list of names stands for itself."""
    if isinstance(value, dict):
        found = {path or ".": "object"}
        for key, inner in value.items():
            found |= names(inner, f"{path}.{key}")
        return found
    if isinstance(value, list):
        found = {path or ".": "list"}
        for inner in value:
            found |= names(inner, f"{path}[]")
        return found
    return {} if value is None else {path: KINDS[type(value)]}


@pytest.fixture(scope="module")
def documents(world):
    """Of a relay with something of each kind."""
    relay = world.relay(
        {
            "retry": {"schedule": ["1h"]},
            'route "out"': {"to": ["@route.test"], "via": [f"{world.nobody()}:1"]},
        },
        start=False,
    )
    relay.config["users"] = {"file": str(users_file(relay))}
    user(relay, "add", "app", "--senders", "@app.example")
    relay.start()
    sh = Shell(relay)
    mx = world.peer()
    good = wanted(world, world.sts(world.domain(mx), mx=[mx]))
    bad = world.domain(world.peer(cert=world.ca.good("elsewhere.test")))
    world.sts(bad, mx=world.hosts_of[bad])
    sent = submit(relay, f"bob@{good}")
    relay.log.one("delivery.sent", mid=sent)
    mid = submit(relay, f"bob@{bad}")
    relay.log.one("delivery.deferred", mid=mid)
    eventually(lambda: sh.rows(mid)[0]["state"] == "deferred")
    counted(relay, good, 1, 0)
    day = datetime.datetime.utcnow().strftime("%Y-%m-%d")

    def told(*words, codes=(0,)):
        done = sh(*words, "--json")
        assert done.returncode in codes, done
        return json.loads(done.stdout)

    found = {
        "queue list": told("queue", "list"),
        "queue show": told("queue", "show", mid),
        "queue explain": told("queue", "explain", mid),
        "trace": [told("trace", mid), told("trace", sent)],
        "policy list": told("policy", "list"),
        "policy show": told("policy", "show", good),
        "report list": told("report", "list"),
        "report show": told("report", "show", day, good),
        "probe": told("probe", good),
        "route test": told("route", "test", "a@b.test", "c@route.test"),
        "status": told("status"),
        "doctor": told("doctor", "--to", good, codes=(0, 1, 2)),
        "version": json.loads(sh.ok("version", "--json", config=False)),
        "user list": json.loads(
            user(relay, "list", "--json").stdout
        ),
        "check": told("check"),
    }
    yield found
    relay.close()


def kept():
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


@pytest.fixture(scope="module")
def seen(documents):
    found = {name: names(d) for name, d in documents.items()}
    found["check"] = of_check(documents["check"])
    if os.environ.get("SEALPOST_NAMES") == "write":
        KEPT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def of_check(document):
    """Keys of the configuration are the manual's; what is said of each is
    ours."""
    return {
        path.replace(f".{key}.", ".KEY."): kind
        for key in ("hostname", "retry.expire")
        for path, kind in names({key: document[key]}).items()
    }


@pytest.mark.parametrize("name", sorted(kept()) or ["nothing"])
def test_no_name_goes_and_none_becomes_something_else(seen, name):
    missing = {
        path: kind
        for path, kind in kept()[name].items()
        if seen[name].get(path) != kind
    }
    assert not missing, f"{name} --json no longer has {missing}"
