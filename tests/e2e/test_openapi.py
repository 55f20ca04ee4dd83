"""GET /v1/openapi.json: valid, whole, and true of what the relay answers."""

import json
import pathlib
import re
import subprocess
import time

import jsonschema
import pytest
from test_http_api import MESSAGE, ask, letter, post, send, waiting, with_api

from lab import npm
from lab.net import address

ROUTES = pathlib.Path(__file__).parents[2] / "relay" / "admin" / "api.c"


@pytest.fixture(scope="module")
def api(world):
    ip = address()
    relay = world.relay({"http": {"address": f"{ip}:8025"}})
    relay.http_ip = ip
    yield relay
    relay.close()


@pytest.fixture(scope="module")
def described(api):
    status, headers, document = ask(api, "GET", "/v1/openapi.json")
    assert status == 200
    again = ask(
        api, "GET", "/v1/openapi.json", headers={"If-None-Match": headers["ETag"]}
    )
    assert again[0] == 304 and again[2] == b""
    return document


def test_it_is_openapi_by_its_own_schema(described):
    check = """
    const {Validator} = require('@seriousme/openapi-schema-validator');
    new Validator().validate(JSON.parse(require('fs').readFileSync(0)))
      .then(r => console.log(JSON.stringify(r)));
    """
    done = subprocess.run(
        ["node", "-e", check],
        input=json.dumps(described),
        capture_output=True,
        text=True,
        env=npm.environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"], done.stdout
    assert described["openapi"].startswith("3.1.")


def test_each_of_its_schemas_is_one(described):
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for ref in re.findall(r'"\$ref": "#/([^"]*)"', json.dumps(described)):
        at = described
        for part in ref.split("/"):
            at = at[part]


def test_it_has_every_path_that_is_served(described):
    table = re.search(r"\} routes\[\] = \{(.*?)\n\};", ROUTES.read_text(), re.S)[1]
    served = {
        (method, path.replace("*", "{}"))
        for method, path in re.findall(r'\{"([A-Z]+)", "([^"]+)"', table)
    }
    told = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in described["paths"].items()
        for method in methods
    }
    assert told == served and len(served) > 20


def test_every_parameter_of_a_path_is_described(described):
    for path, methods in described["paths"].items():
        for method in methods.values():
            named = {
                p["name"] for p in method.get("parameters", []) if p["in"] == "path"
            }
            assert named == set(re.findall(r"\{(\w+)\}", path)), path


class Client:
    """Asks, and holds each answer against its description."""

    def __init__(self, relay, described):
        self.relay = relay
        self.described = described

    def _response(self, template, method, status):
        responses = self.described["paths"][template][method.lower()]["responses"]
        found = responses.get(str(status)) or responses["default"]
        if "$ref" in found:
            name = found["$ref"].removeprefix("#/components/responses/")
            found = self.described["components"]["responses"][name]
        return found

    def __call__(self, template, method="GET", body=None, query="", **parts):
        path = template
        for name, value in parts.items():
            path = path.replace("{" + name + "}", value)
        headers = {"Content-Type": "application/json"} if body else {}
        body = json.dumps(body).encode() if body else None
        status, headers, got = ask(self.relay, method, path + query, body, headers)
        return self.check(template, method, status, headers, got)

    def check(self, template, method, status, headers, got):
        response = self._response(template, method, status)
        kind = headers.get_content_type()
        assert kind in response["content"], (template, status, kind)
        if kind == "application/json":
            schema = {
                **response["content"][kind]["schema"],
                "components": self.described["components"],
            }
            jsonschema.Draft202012Validator(schema).validate(got)
        return status, got


def test_what_is_answered_is_what_is_described(world, api, described):
    client = Client(api, described)
    peer = world.peer()
    d, w = world.domain(peer), waiting(world)
    world.sts(d, mx=[peer])
    done = client.check("/v1/messages", "POST", *post(api, f"a@{d}"))[1]["id"]
    waits = client.check("/v1/messages", "POST", *send(api, letter(f"a@{w}")))[1]["id"]
    api.log.one("delivery.sent", mid=done)
    api.log.wait("delivery.deferred", mid=waits)
    ok = [
        *[client(path) for path in described["paths"] if "{" not in path
          and "get" in described["paths"][path] and path != "/v1/events"],
        *[client("/v1/messages/{id}", id=i) for i in (done, waits)],
        *[client("/v1/messages/{id}/trace", id=i) for i in (done, waits)],
        client("/v1/messages/{id}/body", query="?piece=0", id=waits),
        client("/v1/messages", query=f"?address={d}"),
        client("/v1/queue", query=f"?domain={w}&state=any"),
        client("/v1/queue/{verb}", "POST", {"domain": w, "dry": True}, verb="hold"),
        client("/v1/queue/{verb}", "POST", {"ids": [waits]}, verb="retry"),
        client("/v1/policies/{domain}", domain=d),
        client("/v1/policies/{domain}/refresh", "POST", domain=d),
        *[client("/v1/plan/{domain}", domain=x) for x in (d, w, "nowhere.test")],
        *[client("/v1/probe/{domain}", domain=x) for x in (d, w)],
        client("/v1/policies/{domain}/forget", "POST", domain=d),
        client("/v1/reports/{day}/send", "POST", day=time.strftime("%Y-%m-%d")),
        client("/v1/reload", "POST"),
        client("/v1/backup", "POST"),
    ]  # fmt: skip
    assert {status for status, _ in ok} <= {200}, ok
    wrong = [
        client("/v1/messages/{id}", id="0000000000"),
        client("/v1/messages/{id}/trace", id="x"),
        client("/v1/messages/{id}/body", id=waits),
        client("/v1/queue", query="?state=lost"),
        client("/v1/queue/{verb}", "POST", {"domain": w}, verb="shred"),
        client("/v1/queue/{verb}", "POST", {"none": w}, verb="hold"),
        client("/v1/policies/{domain}", domain="nowhere.test"),
        client("/v1/plan/{domain}", domain="a..b"),
        client("/v1/reports/{day}", query="?domain=a.test", day="2020-01-01"),
        client.check("/v1/messages", "POST", *post(api, "a b")),
        client.check("/v1/messages", "POST", *send(api, b"{")),
        client.check("/v1/messages", "POST", *send(api, {"from": 1})),
    ]
    assert all(400 <= status < 500 for status, _ in wrong), wrong


def test_a_letter_that_is_taken_is_one_by_its_schema(described):
    schema = {
        "$ref": "#/components/schemas/Draft",
        "components": described["components"],
    }
    check = jsonschema.Draft202012Validator(schema)
    check.validate(
        letter("Ann <a@b.test>", {"name": "B", "address": "b@b.test"}, html="x",
               cc="c@b.test", attachments=[{"content": "QQ==", "type": "a/b"}],
               headers={"X-A": "b"}, require_tls=True, envelope={"to": "a@b.test"})
    )  # fmt: skip
    for wrong in ({"body": ""}, {"to": 1}, {"attachments": [{}]}, {"subject": None}):
        assert not check.is_valid(letter("a@b.test", **wrong))


def test_draining_is_described_too(new_relay, described):
    relay = with_api(new_relay)
    client = Client(relay, described)
    assert client("/v1/drain", "POST")[0] == 200
    answer = post(relay, "a@x.test", body=MESSAGE)
    assert client.check("/v1/messages", "POST", *answer)[0] == 503
    assert client("/readyz")[0] == 503
