"""`check --schema`: a JSON Schema of what `check --json` prints."""

import copy
import json
import pathlib
import re
import subprocess

import jsonschema
import pytest

from lab.patience import PATIENCE
from lab.relay import binary, environment

SAMPLE = pathlib.Path(__file__).parents[2] / "etc" / "sealpost.conf"
TITLED = ("listener", "sni", "domain", "route", "oauth", "dkim", "webhook")


def ask(*words, **environ):
    done = subprocess.run(
        [binary(), "check", *words], capture_output=True, text=True,
        timeout=PATIENCE, env=environment(**environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def schema():
    return ask("--schema")


@pytest.fixture(scope="module")
def check(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def keys():
    return ask("--keys", "--json")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """One block of each kind, and values of each type."""
    folder = tmp_path_factory.mktemp("schema")
    secret = folder / "secret"
    secret.write_text("not-told-to-anybody\n")
    secret.chmod(0o600)
    config = folder / "sealpost.conf"
    config.write_text(
        f"""
        hostname = "relay.example.com"
        workers = 010
        history {{ keep = "1d12h" rows_max = 5 }}
        listener "a.b" {{
          address = "unix:/run/x.sock" socket_mode = "0600"
          networks = {{"192.0.2.0/24"}} rate = "5/90s" message_size_max = "64K"
        }}
        access {{ networks = {{}} sender_domains = {{"example.com"}} }}
        policy {{ dane = "required" tls = "verified" }}
        domain "lab.example" {{ dane = no reason = "test" until = "2099-01-31" }}
        route "p.q" {{
          to = {{"*"}} via = {{"smtp.example.com:587"}} auth = "xoauth2" user = "x"
          oauth {{ token_url = "https://x.example/t" client_id = "y"
                  client_secret_file = "{secret}" }}
        }}
        route "with.password" {{
          to = {{"@b.example"}} via = {{"mx:b.example"}} user = "x" password = "not-told"
        }}
        retry {{ schedule = {{"1m", "1h30m"}} warn = "0" }}
        delivery {{ rate = "100/1h" bind = {{"192.0.2.1"}} ipv6 = off }}
        """
    )
    config.chmod(0o600)
    return ask("--json", "-c", str(config))


def value(document, key):
    return document[key]["value"]


def test_what_is_printed_fits(check, full):
    check.validate(full)
    check.validate(ask("--json", "-c", str(SAMPLE)))
    check.validate(ask("--json", "-c", str(SAMPLE), SEALPOST_MODE="sink"))
    assert value(full, "workers") == 10
    assert value(full, "policy.dane") == "required"
    assert value(full, "domain.lab.example.dane") is False
    assert value(full, "route.with.password.password") == "***"
    assert "route.p.q.oauth.client_id" in full and "listener.a.b.rate" in full


WRONG = [
    ("hostnam", {"value": "x", "origin": "default"}),
    ("policy.sts.x", {"value": True, "origin": "default"}),
    ("route.via", {"value": [], "origin": "default"}),
    ("route.p.q.vai", {"value": [], "origin": "default"}),
    ("listener.x.tls", {"value": "starttls"}),
    ("hostname", {"value": "x", "origin": "default", "more": 1}),
    ("hostname", {"value": "x", "origin": ""}),
    ("hostname", "x"),
    *[
        (key, {"value": value, "origin": "default"})
        for key, value in {
            "hostname": 1,
            "mode": "dead",
            "workers": "2",
            "delivery.port": 0,
            "delivery.connections": 100001,
            "history.rows_max": -1,
            "delivery.ipv6": "on",
            "policy.dane": "off",
            "domain.x.tls": "none",
            "retry.expire": "5",
            "retry.warn": "1m1h",
            "history.keep": "",
            "access.message_size_max": "50MB",
            "access.rate": "5",
            "delivery.rate": "5/",
            "listener.app.socket_mode": "rw",
            "domain.x.until": "tomorrow",
            "retry.schedule": ["1m", "soon"],
            "access.networks": "127.0.0.0/8",
            "access.sender_domains": [1],
            "resolver.servers": ["127.0.0.1"] * 17,
            "route.p.q.password": "told",
            "route.p.q.oauth.client_secret": "told",
            "webhook.w.events": ["a", "b", "c", "d"],
        }.items()
    ],
]


@pytest.mark.parametrize("key, said", WRONG, ids=lambda x: x if isinstance(x, str) else "")
def test_what_could_not_be_printed_does_not(check, full, key, said):
    document = copy.deepcopy(full)
    document[key] = said
    errors = list(check.iter_errors(document))
    assert len(errors) == 1 and key in errors[0].message + str(list(errors[0].path))


def test_all_keys_that_are_always_printed_must_be(check, full):
    for key in [k for k in full if k.split(".")[0] not in TITLED]:
        less = {k: v for k, v in full.items() if k != key}
        assert not check.is_valid(less), key


def entry(schema, key):
    """What the schema says of a key of `check --keys`."""
    if key["section"] not in TITLED:
        return schema["properties"][key["key"]]
    fit = [p for p in schema["patternProperties"] if re.search(p, key["key"])]
    inner = [p for p in fit if "oauth" in p]
    return schema["patternProperties"][inner[0] if inner else fit[0]]


def plain(value):
    """A default of the schema, as the table has it."""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, (bool, int)) else value


def test_it_says_of_each_key_what_the_program_says_of_it(schema, keys):
    told = len(schema["properties"]) + len(schema["patternProperties"])
    assert told == len(keys) > 100
    for key in keys:
        said = entry(schema, key)
        of_value = said["properties"]["value"]
        assert said["description"] == f"{key['help']} ({key['type']})"
        assert plain(of_value.get("default")) == key["default"], key
        words = [w for w in of_value.get("enum", []) if isinstance(w, str)]
        assert words == key["words"], key
        # each default is a value that the schema lets pass
        if key["default"] is not None:
            jsonschema.validate(of_value["default"], of_value)
        number = re.fullmatch(r"Number, (\d+) to (\d+)", key["type"])
        if number:
            bounds = of_value["minimum"], of_value["maximum"]
            assert bounds == tuple(map(int, number.groups())), key
        most = re.search(r"^\w+, up to (\d+)$", key["type"])
        if most:
            assert of_value["maxItems"] == int(most[1]), key
