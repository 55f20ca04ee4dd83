"""The API over HTTP: mail by POST /v1/messages, and who may ask."""

import hashlib
import http.client
import json
import os
import socket
import threading
import time

import pytest

from lab.net import address

PORT = 8025
MESSAGE = b"From: app@sender.test\nSubject: hello\n\nHello.\n"


def ask(relay, method, path, body=None, headers=None, timeout=20):
    """(status, headers, document or octets)"""
    c = http.client.HTTPConnection(relay.http_ip, PORT, timeout=timeout)
    c.request(method, path, body=body, headers=headers or {})
    r = c.getresponse()
    octets = r.read()
    c.close()
    is_json = r.headers.get_content_type() == "application/json"
    return r.status, r.headers, json.loads(octets) if is_json and octets else octets


def envelope(*to, sender="app@sender.test", **more):
    return {
        "Content-Type": "message/rfc822",
        "X-Envelope-From": sender,
        "X-Envelope-To": ", ".join(to),
        **{k.replace("_", "-"): v for k, v in more.items()},
    }


def post(relay, *to, body=MESSAGE, **more):
    return ask(relay, "POST", "/v1/messages", body, envelope(*to, **more))


def raw(relay, octets, timeout=15):
    """All that is answered to these octets, until the relay closes."""
    with socket.create_connection((relay.http_ip, PORT), timeout) as s:
        s.settimeout(timeout)
        s.sendall(octets)
        got = b""
        while True:
            try:
                part = s.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return got
            got += part


def with_api(new_relay, config=None, **options):
    ip = address()
    config = {"": {}, "http": {}, **(config or {})}
    config["http"]["address"] = f"{ip}:{PORT}"
    relay = new_relay(config, **options)
    relay.http_ip = ip
    return relay


@pytest.fixture(scope="module")
def api(world):
    ip = address()
    relay = world.relay({"http": {"address": f"{ip}:{PORT}"}})
    relay.http_ip = ip
    yield relay
    relay.close()


def waiting(world):
    """A domain whose host nobody reaches: its mail stays in the queue."""
    host = f"mx.{world.name()}"
    world.dns.add(host, "A", address())
    return world.domain(host)


def listed(relay, domain):
    rows = json.loads(relay.cli("queue", "list", "--json", "--domain", domain).stdout)
    return sorted({r["id"] for r in rows})


# --- raw messages ---


def test_a_message_goes_out_as_if_it_had_come_by_smtp(world, api):
    peer = world.peer()
    d = world.domain(peer)
    body = MESSAGE.replace(b"Subject", b"Bcc: secret@x.test\nSubject")
    status, _, answer = post(api, f"a@{d}", f"<b@{d}>", body=body)
    assert status == 202 and list(answer) == ["id"]
    world.ledger.wait(domain=d, count=1)
    (got,) = world.ledger.of(domain=d)
    assert sorted(got.rcpts) == [f"a@{d}", f"b@{d}"]
    assert got.mail == "app@sender.test"
    text = got.data.decode()
    assert "\r\nHello.\r\n" in text and "Bcc" not in text
    assert "Date: " in text and f"<{answer['id']}@" in text
    status, _, trace = ask(api, "GET", f"/v1/messages/{answer['id']}/trace")
    assert status == 200 and trace["from"] == "app@sender.test"


REFUSED = {
    "no type": ({"Content-Type": None}, MESSAGE, 415),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, MESSAGE, 415),
    "no sender": ({"X-Envelope-From": None}, MESSAGE, 422),
    "a sender that is none": ({"X-Envelope-From": "a b"}, MESSAGE, 422),
    "no recipient": ({"X-Envelope-To": None}, MESSAGE, 422),
    "nobody": ({"X-Envelope-To": " , "}, MESSAGE, 422),
    "a recipient that is none": ({"X-Envelope-To": "a@b@c"}, MESSAGE, 422),
    "a NUL": ({}, b"a: b\n\n\0\n", 422),
    "a bare CR": ({}, b"a: b\n\nx\ry\n", 422),
    "a line too long": ({}, b"a: b\n\n" + 66000 * b"x" + b"\n", 422),
    "a key that is none": ({"Idempotency-Key": '"a'}, MESSAGE, 400),
    "a key too long": ({"Idempotency-Key": 256 * "k"}, MESSAGE, 400),
    "loops": ({}, 60 * b"Received: by x.test; now\n" + MESSAGE, 422),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_message_is_refused_in_words(api, case):
    changes, body, expected = REFUSED[case]
    headers = {**envelope("a@nowhere.test"), **changes}
    headers = {k: v for k, v in headers.items() if v is not None}
    status, _, answer = ask(api, "POST", "/v1/messages", body, headers)
    assert status == expected, answer
    assert answer["error"]


def test_who_may_send_what_is_as_by_smtp(new_relay):
    relay = with_api(
        new_relay,
        {
            "access": {
                "sender_domains": ["ours.test"],
                "recipients_max": 2,
                "rate": "2/1h",
                "message_size_max": "64K",
            }
        },
    )
    ours = {"sender": "a@ours.test"}
    assert post(relay, "a@x.test")[0] == 403
    assert post(relay, "a@x.test", "b@x.test", "c@x.test", **ours)[0] == 422
    assert post(relay, "a@x.test", body=70000 * b"x\n", **ours)[0] == 413
    assert post(relay, "a@x.test", body=b"a: b\n\n\0", **ours)[0] == 422
    assert post(relay, "a@x.test", **ours)[0] == 202
    assert post(relay, "a@x.test", **ours)[0] == 202
    status, headers, answer = post(relay, "a@x.test", **ours)
    assert status == 429 and int(headers["Retry-After"]) > 0, answer
    relay.cli("drain")
    status, headers, answer = post(relay, "a@x.test", **ours)
    assert status == 503 and int(headers["Retry-After"]) > 0, answer
    assert relay.log.find("session.reject", code=450)


def test_whom_the_networks_leave_out_needs_the_token(new_relay, tmp_path):
    relay = with_api(new_relay, {"access": {"networks": ["192.0.2.0/24"]}})
    assert post(relay, "a@x.test")[0] == 403
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(0o600)
    relay = with_api(
        new_relay,
        {
            "access": {"networks": ["192.0.2.0/24"]},
            "http": {"token_file": str(token)},
        },
    )
    assert post(relay, "a@x.test", Authorization="Bearer 0123456789abcdef")[0] == 202
    status, headers, _ = post(relay, "a@x.test", Authorization="Bearer no")
    assert status == 401 and headers["WWW-Authenticate"] == "Bearer"


def peak(relay, what="VmHWM"):
    with open(f"/proc/{relay.process.pid}/status") as f:
        (line,) = [x for x in f if x.startswith(what + ":")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("way", ["length", "chunked"])
def test_a_message_of_50_mb_is_never_in_memory(world, new_relay, way):
    relay = with_api(
        new_relay,
        {"": {"mode": "sink", "workers": 1}},
        environ={"ASAN_OPTIONS": "quarantine_size_mb=1"},
    )
    line = os.urandom(400).hex().encode() + b"\n"
    count = 50_000_000 // len(line)
    post(relay, "a@x.test")
    before = peak(relay)

    def pieces():
        yield b"Subject: large\n\n"
        for _ in range(count // 100):
            yield 100 * line

    headers = envelope("a@x.test")
    if way == "length":
        size = len(b"Subject: large\n\n") + count // 100 * 100 * len(line)
        headers["Content-Length"] = str(size)
    status, _, answer = ask(relay, "POST", "/v1/messages", pieces(), headers)
    assert status == 202, answer
    assert relay.log.one("delivery.sent", mid=answer["id"])
    assert peak(relay) - before < 24_000_000


def test_what_is_announced_as_too_large_is_refused_at_once(api):
    head = "".join(f"{k}: {v}\r\n" for k, v in envelope("a@x.test").items())
    for length in ("52428801", "18446744073709551615", "99999999999999999999"):
        got = raw(
            api,
            f"POST /v1/messages HTTP/1.1\r\nHost: {api.http_ip}\r\n{head}"
            f"Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode(),
        )
        assert got.startswith(b"HTTP/1.1 413 "), got


# --- Idempotency-Key ---


def test_the_same_request_once_more_is_one_message(world, api):
    d = waiting(world)
    first = post(api, f"a@{d}", Idempotency_Key='"one more"')
    again = post(api, f"a@{d}", Idempotency_Key='"one more"')
    assert first[0] == again[0] == 202 and first[2] == again[2]
    assert len(listed(api, d)) == 1
    for change in (
        {"body": MESSAGE + b"\n"},
        {"sender": "other@sender.test"},
    ):
        assert post(api, f"a@{d}", Idempotency_Key='"one more"', **change)[0] == 422
    assert post(api, f"a@{d}", f"b@{d}", Idempotency_Key='"one more"')[0] == 422
    assert len(listed(api, d)) == 1
    assert post(api, f"a@{d}", Idempotency_Key='"One more"')[0] == 202
    assert len(listed(api, d)) == 2


def test_what_was_refused_leaves_its_key_free(api):
    assert post(api, "a b", Idempotency_Key="k-refused")[0] == 422
    bad = post(api, "a@x.test", body=b"\0", Idempotency_Key="k-refused")
    assert bad[0] == 422
    assert post(api, "a@x.test", Idempotency_Key="k-refused")[0] == 202


def begin(relay, *to, length, **more):
    """A connection on which the head of a request has gone."""
    head = "".join(f"{k}: {v}\r\n" for k, v in envelope(*to, **more).items())
    s = socket.create_connection((relay.http_ip, PORT), 15)
    s.sendall(
        f"POST /v1/messages HTTP/1.1\r\nHost: {relay.http_ip}\r\n{head}"
        f"Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    assert s.recv(100).startswith(b"HTTP/1.1 100 ")
    return s


def test_while_one_is_under_way_its_key_is_taken(world, api):
    d = waiting(world)
    with begin(api, f"a@{d}", length=len(MESSAGE), Idempotency_Key="busy") as s:
        status, headers, _ = post(api, f"a@{d}", Idempotency_Key="busy")
        assert status == 409 and int(headers["Retry-After"]) > 0
        assert post(api, f"a@{d}", Idempotency_Key="idle")[0] == 202
        s.sendall(MESSAGE)
        assert b" 202 " in s.recv(1000)
    assert post(api, f"a@{d}", Idempotency_Key="busy")[0] == 202
    assert len(listed(api, d)) == 2


def test_a_client_that_leaves_in_the_middle_leaves_nothing(world, api):
    d = waiting(world)
    with begin(api, f"a@{d}", length=1000000, Idempotency_Key="left") as s:
        s.sendall(MESSAGE + 200000 * b"x\n")
    until = time.monotonic() + 10
    while True:
        status = post(api, f"a@{d}", Idempotency_Key="left")[0]
        if status != 409 or time.monotonic() > until:
            break
        time.sleep(0.02)
    assert status == 202
    assert len(listed(api, d)) == 1


@pytest.mark.parametrize("size", [100, 300000])
def test_after_a_crash_before_the_answer_there_is_one_message(world, new_relay, size):
    relay = with_api(new_relay)
    d = waiting(world)
    body = MESSAGE + size // 50 * (49 * b"x" + b"\n")
    with begin(relay, f"a@{d}", length=len(body), Idempotency_Key="crash") as s:
        s.sendall(body)
        first = relay.log.one("message.accepted", to=f"a@{d}")
        relay.kill()
    relay.start()
    for _ in range(2):
        status, _, answer = post(relay, f"a@{d}", body=body, Idempotency_Key="crash")
        assert (status, answer["id"]) == (202, first["mid"])
    assert listed(relay, d) == [first["mid"]]


def test_many_at_once_by_one_key_are_one_message(world, api):
    d = waiting(world)
    answers = []

    def one():
        answers.append(post(api, f"a@{d}", Idempotency_Key="race"))

    threads = [threading.Thread(target=one) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a[0] for a in answers} <= {202, 409}
    assert len({a[2]["id"] for a in answers if a[0] == 202}) == 1
    assert len(listed(api, d)) == 1
