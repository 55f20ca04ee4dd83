"""The API over HTTP: mail by POST /v1/messages, and who may ask."""

import base64
import email
import email.header
import email.policy
import email.utils
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from lab import leaks, npm
from lab.net import address
from lab.patience import PATIENCE

PORT = 8025
MESSAGE = b"From: app@sender.test\nSubject: hello\n\nHello.\n"


def ask(relay, method, path, body=None, headers=None, timeout=PATIENCE, ip=None):
    """(status, headers, document or octets); `ip` is where it comes from."""
    c = http.client.HTTPConnection(
        relay.http_ip, PORT, timeout=timeout, source_address=ip and (ip, 0)
    )
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


def raw(relay, octets, timeout=PATIENCE):
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


def test_the_trace_of_a_request_is_in_the_log(world, api):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    parent = f"00-{trace}-00f067aa0ba902b7-01"
    for to, header, found in (
        ("good", {"traceparent": parent}, trace),
        ("none", {}, None),
        ("bad", {"traceparent": parent.upper()}, None),
    ):
        to = f"{to}@{world.name()}"
        assert post(api, to, **header)[0] == 202
        line = api.log.one("message.accepted", to=to)
        assert line.get("trace_id") == found and "sid" not in line


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


@pytest.mark.threads
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
    until = time.monotonic() + PATIENCE
    while True:
        status = post(api, f"a@{d}", Idempotency_Key="left")[0]
        if status != 409 or time.monotonic() > until:
            break
        time.sleep(0.02)
    assert status == 202
    assert len(listed(api, d)) == 1


@pytest.mark.threads
def test_the_relay_ends_in_the_middle_of_messages(world, new_relay):
    """Of a raw one, of JSON, and of one that has just become whole."""
    relay = with_api(new_relay)
    d = waiting(world)
    held = [
        begin(relay, f"a@{d}", length=1000000, Idempotency_Key="one"),
        begin(relay, f"a@{d}", length=1000000),
        begin(relay, f"a@{d}", length=1000000, Content_Type="application/json"),
        begin(relay, f"b@{d}", length=len(MESSAGE), Idempotency_Key="whole"),
    ]
    for s in held[:2]:
        s.sendall(MESSAGE + 300000 * b"x\n")
    held[3].sendall(MESSAGE)
    relay.signal(signal.SIGTERM)
    relay.log.one("drain")
    relay.stop()  # asked twice it waits for nobody
    for s in held:
        s.close()
    relay.start()
    assert len(listed(relay, d)) <= 1
    assert post(relay, f"b@{d}", Idempotency_Key="whole")[0] == 202
    assert len(listed(relay, d)) == 1


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


@pytest.mark.threads
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


# --- messages as JSON ---


def send(relay, document, **headers):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    headers = {"Content-Type": "application/json; charset=utf-8", **headers}
    return ask(relay, "POST", "/v1/messages", body, headers)


def letter(*to, **more):
    return {"from": "app@sender.test", "to": list(to), "text": "Hello.\n", **more}


def arrive(world, relay, document):
    """The message as a host has got it."""
    status, _, answer = send(relay, document)
    assert status == 202, answer
    relay.log.one(("delivery.sent", "delivery.bounced"), mid=answer["id"])
    (got,) = [d for d in world.ledger.deliveries if answer["id"].encode() in d.data]
    return got


@pytest.fixture(scope="module")
def inbox(world):
    return world.domain(world.peer())


FILE = bytes(range(256)) * 40
KEIN_UMLAUT = "x" * 3000
SUBJECTS = [
    "hello",
    "",
    "Grüße aus Köln – mit einer Zeile, die länger ist als achtundsiebzig Zeichen 🎉🎉🎉",
    "お知らせ" * 20,
    "plain and long " * 12 + "end",
    " blanks around ",
    "looks =?utf-8?q?encoded?= already",
    'quotes " and \\ and <angles> and (comments), all of it',
    "x" * 950,
    "\u202e\u200b hidden",
]
TEXTS = [
    "",
    "one line",
    "one line\n",
    "two\r\nlines\rand\n\nmore\n\n",
    ".\n..\nFrom here\n.",
    "blanks at the end  \n\tand before\n",
    "ä" * 2000 + "\n",
    "mostly plain, but one ü\nnext = line  \n",
    "日本語の本文\n" * 30,
    "x" * 3000 + "\nshort",
]
NAMES = [
    "Ann Example",
    "Doe, John (he/him)",
    'the "boss" \\ of all',
    "Jürgen Müßig",
    "株式会社" * 10,
    "=?utf-8?q?x?=",
    "",
]
FILE_NAMES = [
    "report.pdf",
    "with space; and \"quotes\" and \\.txt",
    "Rechnung für März – endgültig.pdf",
    "とても長い名前の添付ファイルですのでたくさんの行になるでしょう.docx",
    "x" * 200 + ".txt",
    "it's 100% fine*.txt",
    None,
]


def addresses(octets):
    """By the older functions: the newer parser of Python 3.11 keeps the space
    between two encoded words of a name."""
    raw = email.message_from_bytes(octets)
    return [
        (str(email.header.make_header(email.header.decode_header(name))), address)
        for name, address in email.utils.getaddresses(raw.get_all("To"))
    ]


def seen(octets):
    """What Python's parser makes of it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert not message.defects
    parts = [p for p in message.walk() if not p.is_multipart()]
    return {
        "subject": message["Subject"],
        "to": addresses(octets),
        "text": [
            p.get_content() for p in parts if p.get_content_type() == "text/plain"
            and not p.get_content_disposition()
        ],
        "html": [
            p.get_content() for p in parts if p.get_content_type() == "text/html"
        ],
        "files": [
            (p.get_filename(), p.get_payload(decode=True), p.get_content_type())
            for p in parts
            if p.get_content_disposition()
        ],
    }


def with_lf(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def documents(domain):
    content = base64.b64encode(FILE).decode()
    many = max(len(SUBJECTS), len(TEXTS), len(NAMES), len(FILE_NAMES))
    for i in range(many):
        files = [
            {"filename": n, "type": "application/pdf", "content": content}
            for n in [FILE_NAMES[i % len(FILE_NAMES)]]
        ]
        if files[0]["filename"] is None:
            files = [{"content": ""}]
        document = letter(
            {"name": NAMES[i % len(NAMES)], "address": f"u{i}@{domain}"},
            f"v{i}@{domain}",
            subject=SUBJECTS[i % len(SUBJECTS)],
            text=TEXTS[i % len(TEXTS)],
        )
        if i % 2:
            document["html"] = f"<p>{TEXTS[(i + 3) % len(TEXTS)]}</p>"
        if i % 3:
            document["attachments"] = files
        yield document


def test_a_message_is_made_that_others_read_as_it_was_meant(world, api, inbox):
    node = """
    const {simpleParser} = require('mailparser');
    const all = JSON.parse(require('fs').readFileSync(0));
    Promise.all(all.map(m => simpleParser(Buffer.from(m, 'base64')))).then(list =>
      console.log(JSON.stringify(list.map(m => ({
        subject: m.subject || '', text: m.text, names: m.to.value,
        files: m.attachments.map(a => [a.filename || null,
                                       a.content.toString('base64')])})))));
    """
    sent = list(documents(inbox))
    ids = []
    for document in sent:
        status, _, answer = send(api, document)
        assert status == 202, answer
        ids.append(answer["id"])
    got = []
    for mid in ids:
        api.log.wait("delivery.sent", count=2, mid=mid)
        found = [d for d in world.ledger.of(domain=inbox) if mid.encode() in d.data]
        got.append(found[0].data)
    done = subprocess.run(
        ["node", "-e", node],
        input=json.dumps([base64.b64encode(m).decode() for m in got]),
        capture_output=True, text=True, env=npm.environment(), timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for document, octets, js in zip(sent, got, json.loads(done.stdout)):
        head, _, _ = octets.partition(b"\r\n\r\n")
        assert octets.isascii()
        assert max(len(line) for line in octets.split(b"\r\n")) <= 998
        assert b"\n" not in octets.replace(b"\r\n", b"")
        for name in (b"Date:", b"Message-ID:", b"From:", b"MIME-Version:"):
            assert (b"\r\n" + head).count(b"\r\n" + name) == 1
        read = seen(octets)
        assert read["subject"] == document["subject"] == js["subject"]
        name = document["to"][0]["name"]
        assert read["to"][0][0] == name == js["names"][0]["name"]
        assert [a[1] for a in read["to"]] == [
            document["to"][0]["address"],
            document["to"][1],
        ]
        (text,) = read["text"]
        expected = with_lf(document["text"])
        assert with_lf(text) in (expected, expected + "\n")
        assert [with_lf(x).rstrip("\n") for x in read["html"]] == (
            [with_lf(document["html"])] if "html" in document else []
        )
        files = [
            (f.get("filename"), base64.b64decode(f["content"]))
            for f in document.get("attachments", [])
        ]
        assert [(f[0], f[1]) for f in read["files"]] == files
        assert [(f[0], base64.b64decode(f[1])) for f in js["files"]] == files


def test_images_stand_beside_the_html_that_shows_them(world, api, inbox):
    picture = {
        "filename": "logo.png",
        "type": "image/png",
        "content": "iVBORw0K",
        "content_id": "logo@sender.test",
    }
    notes = {"filename": "notes.txt", "type": "text/plain", "content": "bm90ZXM="}
    document = letter(
        f"a@{inbox}",
        html='<img src="cid:logo@sender.test">',
        attachments=[picture, notes],
    )
    message = email.message_from_bytes(
        arrive(world, api, document).data, policy=email.policy.default
    )
    assert [p.get_content_type() for p in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/plain",
    ]
    assert not message.defects
    shown = [p for p in message.walk() if p["Content-ID"]]
    assert [p["Content-ID"] for p in shown] == ["<logo@sender.test>"]
    assert message.get_body(("html",)).get_content_type() == "text/html"


def test_the_envelope_is_made_of_all_who_are_named(world, api, inbox):
    document = letter(
        f"Ann <a@{inbox}>",
        f"a@{inbox}",
        cc=f"c@{inbox}",
        bcc=[f"b@{inbox}"],
        reply_to="Help <help@sender.test>",
        headers={"X-Tag": "Grün", "List-Id": "<list.sender.test>"},
    )
    got = arrive(world, api, document)
    assert sorted(got.rcpts) == [f"{x}@{inbox}" for x in "abc"]
    message = email.message_from_bytes(got.data, policy=email.policy.default)
    assert f"b@{inbox}" not in got.data.decode()
    assert message["Reply-To"] == "Help <help@sender.test>"
    assert (message["X-Tag"], message["List-Id"]) == ("Grün", "<list.sender.test>")
    document["envelope"] = {"from": "", "to": [f"other@{inbox}"]}
    got = arrive(world, api, document)
    assert (got.mail, got.rcpts) == ("<>", [f"other@{inbox}"])
    document["envelope"] = {"from": "bounces@sender.test"}
    assert arrive(world, api, document).mail == "bounces@sender.test"


def test_require_tls_is_asked_for_and_kept(world, api):
    d = world.domain(world.peer(tls=False))
    status, _, answer = send(api, letter(f"a@{d}", require_tls=True))
    assert status == 202
    assert api.log.one(
        ("delivery.deferred", "delivery.bounced"), mid=answer["id"]
    )
    assert not world.ledger.of(domain=d)


def test_json_has_receipts_too(world, api):
    d = waiting(world)
    first = send(api, letter(f"a@{d}"), Idempotency_Key="json")
    assert first[0] == 202
    assert send(api, letter(f"a@{d}"), Idempotency_Key="json")[2] == first[2]
    assert send(api, letter(f"b@{d}"), Idempotency_Key="json")[0] == 422
    assert post(api, f"a@{d}", Idempotency_Key="json")[0] == 422
    assert len(listed(api, d)) == 1


DEEP = b'{"from":' + 100000 * b"["
BAD_JSON = {
    "empty": (b" ", 400, "JSON"),
    "no object": (b"[]", 400, "object"),
    "cut": (b'{"from": "a@b.test"', 400, "JSON"),
    "something behind": (b"{} {}", 400, "JSON"),
    "twice": (b'{"text": "", "text": ""}', 400, "duplicate"),
    "a NUL": (b'{"text": "\\u0000"}', 400, "JSON"),
    "half a character": (b'{"text": "\\ud800"}', 400, "JSON"),
    "no UTF-8": (b'{"text": "\xff"}', 400, "JSON"),
    "a number too great": (b'{"text": 1e999}', 400, "JSON"),
    "too deep": (DEEP, 400, "deeper"),
    "no sender": ({"from": None}, 422, "from: "),
    "two senders": ({"from": ["a@b.test", "c@d.test"]}, 422, "from: "),
    "a sender that is none": ({"from": "a b"}, 422, "from: "),
    "nobody": ({"to": []}, 422, "to: "),
    "a number": ({"to": 1}, 422, "to: "),
    "one of many": ({"to": ["a@b.test", "a@b@c"]}, 422, "to: [1]: "),
    "many in one": ({"to": "a@b.test, c@d.test"}, 422, "to: "),
    "an odd object": ({"cc": {"email": "a@b.test"}}, 422, "cc: "),
    "a name with a line end": (
        {"to": {"name": "a\r\nBcc: x@y.test", "address": "a@b.test"}},
        422,
        "to: name: ",
    ),
    "a subject with a line end": ({"subject": "a\nBcc: x@y.test"}, 422, "subject: "),
    "a list as subject": ({"subject": ["a"]}, 422, "subject: "),
    "nothing to say": ({"text": None}, 422, "text: "),
    "a key that is none": ({"body": "x"}, 422, "body: "),
    "a field with a line end": ({"headers": {"X-A": "b\r\nX-C: d"}}, 422, "headers: X-A"),
    "a field's name with a colon": ({"headers": {"X-A: b\r\nX": ""}}, 422, "headers: "),
    "a field of ours": ({"headers": {"from": "x"}}, 422, "headers: "),
    "another type": ({"headers": {"Content-Type": "x/y"}}, 422, "headers: "),
    "a signature": ({"headers": {"DKIM-Signature": "v=1"}}, 422, "headers: "),
    "a field twice": ({"headers": {"X-A": "b", "x-a": "c"}}, 422, "headers: \"x-a\" is there twice"),
    "a file of text": ({"attachments": ["x"]}, 422, "attachments: [0]: "),
    "a file without content": (
        {"attachments": [{"filename": "x"}]},
        422,
        "attachments: [0]: content",
    ),
    "no base64": (
        {"attachments": [{"content": "QQ=="}, {"content": "QQ="}]},
        422,
        "attachments: [1]: content",
    ),
    "a type that is none": (
        {"attachments": [{"content": "", "type": "text"}]},
        422,
        "attachments: [0]: type",
    ),
    "a type with a line end": (
        {"attachments": [{"content": "", "type": "a/b\r\nX: y"}]},
        422,
        "attachments: [0]: type",
    ),
    "a multipart": (
        {"attachments": [{"content": "", "type": "multipart/mixed"}]},
        422,
        "attachments: [0]: type",
    ),
    "a content id with brackets": (
        {"attachments": [{"content": "", "content_id": "<a@b>"}]},
        422,
        "attachments: [0]: content_id",
    ),
    "require_tls as text": ({"require_tls": "yes"}, 422, "require_tls: "),
    "an envelope with more": ({"envelope": {"rcpt": "x"}}, 422, "envelope: "),
    "an envelope to nobody": ({"envelope": {"to": "a b"}}, 422, "envelope: to: "),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_what_is_no_letter_is_refused_by_the_name_of_its_field(api, case):
    change, expected, words = BAD_JSON[case]
    document = change
    if not isinstance(change, bytes):
        document = {**letter("a@x.test"), **change}
        document = {k: v for k, v in document.items() if v is not None}
        if isinstance(document.get("headers"), set):
            document["headers"] = {k: "" for k in document["headers"]}
    status, _, answer = send(api, document)
    assert status == expected, answer
    assert words in answer["error"], answer


def test_large_letters_have_their_limit_and_their_share(world, new_relay):
    relay = with_api(new_relay, {"": {"mode": "sink", "workers": 1}})
    content = base64.b64encode(bytes(9_000_000)).decode()
    big = json.dumps(letter("a@x.test", attachments=[{"content": content}])).encode()
    answer = raw(
        relay,
        f"POST /v1/messages HTTP/1.1\r\nHost: {relay.http_ip}\r\n"
        "Content-Type: application/json\r\nContent-Length: 16777217\r\n\r\n".encode(),
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    held = []
    head = f"POST /v1/messages HTTP/1.1\r\nHost: {relay.http_ip}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(big)}\r\n\r\n"
    for _ in range(3):
        s = socket.create_connection((relay.http_ip, PORT), 15)
        held.append(s)
        try:
            s.sendall(head.encode() + big[:-1])
        except OSError:  # the one too many was answered and closed
            break
    answers = [s.recv(1000) for s in held[2:]]
    assert answers == [] or answers[0].startswith(b"HTTP/1.1 503 ")
    for s in held[:2]:
        s.sendall(big[-1:])
        assert s.recv(1000).startswith(b"HTTP/1.1 202 ")
    assert send(relay, big)[0] == 202
    for s in held:
        s.close()


# --- who asks, and how ---


def line(relay, text, *fields):
    host = f"Host: {relay.http_ip}:{PORT}"
    return "\r\n".join([text, host, *fields, "", ""]).encode("latin-1")


# By the numbers of a catalogue of attacks (FAULTS 5.6): what is sent, and the
# status that it gets.
ATTACKS = {
    "G1: lines of LF": (lambda r: line(r, "GET /livez HTTP/1.1").replace(b"\r", b""), 400),
    "G2: a bare CR": (
        lambda r: line(r, "GET /livez HTTP/1.1", "Dummy: x\rContent-Length: 23"),
        400,
    ),
    "G3: a coding behind a CR": (
        lambda r: line(r, "POST /v1/reload HTTP/1.1", "x:\rTransfer-Encoding: chunked"),
        400,
    ),
    "G4: a request behind a CR": (
        lambda r: line(r, "GET /livez HTTP/1.1").replace(b"\r\n\r\n", b"\r\n\rXGET / HTTP"),
        400,
    ),
    "G6: a length of 2^64 - 1": (
        lambda r: line(
            r,
            "POST /v1/reload HTTP/1.1",
            "Content-Type: application/json",
            "Content-Length: 18446744073709551615",
        ),
        413,
    ),
    "G7: no Host": (lambda r: b"GET /livez HTTP/1.1\r\n\r\n", 400),
    "G7: two Hosts": (lambda r: line(r, "GET /livez HTTP/1.1", "Host: b"), 400),
    "G7: a foreign Host": (lambda r: b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    "G8: too many fields": (
        lambda r: line(r, "GET /livez HTTP/1.1", *["X: y"] * 200),
        431,
    ),
    "G8: too long a field": (lambda r: line(r, "GET /livez HTTP/1.1", "X: " + 20000 * "y"), 431),
    "G8: too long a target": (lambda r: line(r, f"GET /{5000 * 'x'} HTTP/1.1"), 414),
    "G8: an odd octet": (lambda r: line(r, "GET /\xff HTTP/1.1"), 400),
    "G10: HTTP/2": (lambda r: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501),
    "G10: Upgrade": (
        lambda r: line(r, "GET /livez HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"),
        501,
    ),
    "G10: CONNECT": (lambda r: line(r, "CONNECT a:25 HTTP/1.1"), 501),
    "G10: TRACE": (lambda r: line(r, "TRACE / HTTP/1.1"), 501),
    "G10: a whole URL": (lambda r: line(r, "GET http://a/livez HTTP/1.1"), 400),
    "G10: TLS": (lambda r: b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(80), 400),
    "G11: up and away": (lambda r: line(r, "GET /../../etc/passwd HTTP/1.1"), 404),
    "G11: the same encoded": (lambda r: line(r, "GET /%2e%2e/ HTTP/1.1"), 404),
    "G11: a NUL": (lambda r: line(r, "GET /%00 HTTP/1.1"), 400),
    "G11: two slashes": (lambda r: line(r, "GET //metrics HTTP/1.1"), 404),
    "G11: one behind": (lambda r: line(r, "GET /metrics/ HTTP/1.1"), 404),
    "G15: an id that is SQL": (
        lambda r: line(r, "GET /v1/queue?id=1;DROP%20TABLE%20m HTTP/1.1"),
        400,
    ),
    "G15: a domain that is SQL": (
        lambda r: line(r, "GET /v1/queue?domain=%27%20OR%201=1 HTTP/1.1"),
        400,
    ),
    "G20: what nobody expects": (
        lambda r: line(r, "POST /v1/reload HTTP/1.1", "Expect: a-miracle"),
        417,
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_no_request_of_ours_is_refused(api, attack):
    make, expected = ATTACKS[attack]
    with socket.create_connection((api.http_ip, PORT), 15) as s:
        s.settimeout(PATIENCE)
        s.sendall(make(api))
        s.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: s.recv(65536), b""))
    assert got.split(b" ")[1] == str(expected).encode(), got
    head = got.partition(b"\r\n\r\n")[0].lower()
    assert b"x-content-type-options: nosniff" in head
    assert b"content-security-policy: " in head
    assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]


FOREIGN = {
    "a page of another site": ({"Origin": "https://evil.example"}, 403),
    "one without a site": ({"Origin": "null"}, 403),
    "one of another port": ({"Origin": "http://127.0.0.1:1"}, 403),
    "a form of another site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "text": ({"Content-Type": "text/plain"}, 415),
    "no type": ({}, 415),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_nobody_is_made_to_ask_by_a_page(api, case):
    headers, expected = FOREIGN[case]
    headers = {"Content-Type": "application/json", **headers} if expected == 403 else headers
    status, _, answer = ask(api, "POST", "/v1/queue/hold", b'{"all": true}', headers)
    assert status == expected, answer


def test_a_change_by_json_or_without_a_body_is_taken(api):
    headers = {
        "Content-Type": "application/json",
        "Origin": f"http://{api.http_ip}:{PORT}",
        "Sec-Fetch-Site": "same-origin",
    }
    status, _, answer = ask(
        api, "POST", "/v1/queue/hold", b'{"domain": "x.test"}', headers
    )
    assert (status, answer) == (200, {"count": 0, "dry": False})
    assert ask(api, "POST", "/v1/reload")[0] == 200


def test_nobody_is_made_to_look_by_a_page(api):
    """An image of its own would do; only the dashboard may be linked to."""
    for site in ("cross-site", "same-site"):
        foreign = {"Sec-Fetch-Site": site}
        for path in ("/v1/probe/x.test", "/v1/plan/x.test", "/v1/queue", "/metrics"):
            assert ask(api, "GET", path, headers=foreign)[0] == 403, path
        for path in ("/", "/livez"):
            assert ask(api, "GET", path, headers=foreign)[0] == 200, path
    assert ask(api, "GET", "/v1/queue", headers={"Sec-Fetch-Site": "none"})[0] == 200


@pytest.mark.parametrize("path", ["/v1/queue", "/v1/messages", "/v1/reload", "/livez"])
def test_another_method_is_told_which_there_are(api, path):
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = ask(api, method, path)
        assert status == 405
        allowed = headers["Allow"].split(", ")
        assert method not in allowed and allowed
        assert ("HEAD" in allowed) == ("GET" in allowed)


def test_head_is_get_without_its_body(api):
    for path in ("/livez", "/v1/queue", "/metrics", "/v1/nothing"):
        get, head = ask(api, "GET", path), ask(api, "HEAD", path)
        assert head[0] == get[0] and head[2] in (b"", None)
        assert head[1].get_content_type() == get[1].get_content_type()


def test_a_body_is_read_and_passed_over_where_none_is_wanted(api):
    got = raw(
        api,
        line(api, "GET /livez HTTP/1.1", "Content-Length: 5")
        + b"hello"
        + line(api, "GET /v1/status HTTP/1.1", "Connection: close"),
    )
    assert got.count(b"HTTP/1.1 200 ") == 2


def test_what_is_changed_twice_is_changed_once(world, api):
    """G16: while it is tried, again, and when it is gone."""
    d = waiting(world)
    mid = post(api, f"a@{d}")[2]["id"]
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"ids": [mid]}).encode()
    for verb, count in [
        ("retry", 1),
        ("hold", 1),
        ("hold", None),
        ("release", 1),
        ("delete", 1),
        ("delete", 0),
        ("retry", 0),
    ]:
        answer = ask(api, "POST", f"/v1/queue/{verb}", body, headers)
        assert answer[0] == 200
        assert count is None or answer[2]["count"] == count, (verb, answer)
    assert listed(api, d) == []


def test_pipelined_requests_are_answered_in_order(api):
    got = raw(
        api,
        line(api, "GET /livez HTTP/1.1")
        + line(api, "GET /v1/nothing HTTP/1.1")
        + line(api, "GET /readyz HTTP/1.1", "Connection: close")
        + line(api, "GET /livez HTTP/1.1"),
    )
    assert [x[:3] for x in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


def test_the_commands_get_in_while_the_port_is_full(api):
    held = [socket.create_connection((api.http_ip, PORT), 15) for _ in range(64)]
    until = time.monotonic() + PATIENCE
    while not raw(api, b"").startswith(b"HTTP/1.1 503 "):
        assert time.monotonic() < until
    assert api.cli("status").returncode == 0
    for s in held:
        s.close()


def test_wrong_tokens_are_all_the_same(new_relay, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(0o600)
    relay = with_api(new_relay, {"http": {"token_file": str(token)}})
    for field in (
        None,
        "Bearer",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdeg",
        "Bearer " + 9000 * "x",
        "Basic MDEyMzQ1Njc4OWFiY2RlZgo=",
    ):
        headers = {"Authorization": field} if field else {}
        got = ask(relay, "GET", "/v1/status?token=0123456789abcdef", headers=headers)
        assert got[0] == 401 and got[1]["WWW-Authenticate"] == "Bearer"
        assert got[2] == {"error": "a bearer token is needed"}
    assert ask(relay, "GET", "/livez")[0] == 200
    headers = {"Authorization": "bearer 0123456789abcdef"}
    assert ask(relay, "GET", "/v1/status", headers=headers)[0] == 200
    upload = raw(
        relay,
        line(
            relay,
            "POST /v1/messages HTTP/1.1",
            "Content-Type: message/rfc822",
            "Expect: 100-continue",
            "Content-Length: 50000000",
        ),
    )
    assert upload.startswith(b"HTTP/1.1 401 ") and b"100 Continue" not in upload


def test_g12_wrong_tokens_are_not_looked_at_for_ever(new_relay, tmp_path):
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    file.chmod(0o600)
    relay = with_api(new_relay, {"http": {"token_file": str(file)}})
    known, guesser, stranger = address(), address(), address()

    def status(ip, token, path="/v1/status"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return ask(relay, "GET", path, headers=headers, ip=ip)[0]

    right, wrong = "0123456789abcdef", "a-guess-of-a-token"
    leaks.keep(wrong)
    assert status(known, right) == 200
    assert [status(guesser, wrong) for _ in range(10)] == 10 * [401]
    curl = ["curl", "-s", "--interface", guesser, "-w", "\n%{http_code} %header{retry-after}"]
    for token in (right, wrong):
        done = subprocess.run(
            [*curl, "-H", f"Authorization: Bearer {token}",
             f"http://{relay.http_ip}:{PORT}/v1/status"],
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        document, _, line = done.stdout.rpartition("\n")
        code, after = line.split()
        assert code == "429" and 0 < int(after) <= 60
        assert json.loads(document) == {"error": "too many wrong tokens, try again later"}
    # a name in Host is no way to find out either
    assert ask(relay, "GET", "/", ip=guesser,
               headers={"Host": "x.test", "Authorization": f"Bearer {right}"})[0] == 429  # fmt: skip
    # who brings none guesses nothing
    assert status(guesser, None) == 401
    assert status(guesser, None, "/") == status(guesser, wrong, "/livez") == 200
    # others are not stopped, least of all on this machine
    assert status(stranger, right) == 200
    assert {status(None, wrong) for _ in range(40)} == {401}
    assert status(None, right) == 200
    assert relay.cli("status").returncode == 0
    # and who is known not by what a neighbour does, but by what he does himself
    assert [status(known, wrong) for _ in range(10)] == 10 * [401]
    assert status(known, right) == 429
    said = relay.log.wait("session.auth", 60, listener="http", ok=False)
    mine = [e["reason"] for e in said if e["client_ip"] == guesser]
    assert mine == 9 * ["wrong token"] + ["wrong token, and too many of them"]
    assert len(said) == 60 and all(e["mechanism"] == "bearer" for e in said)
    numbers = ask(relay, "GET", "/metrics", headers={"Authorization": f"Bearer {right}"})
    assert b'sealpost_auth_failures_total{listener="http"} 64\n' in numbers[2]


# --- where it listens ---


def test_a_port_that_is_taken_stops_the_start_and_names_the_mend(api, new_relay):
    relay = new_relay({"http": {"address": f"{api.http_ip}:{PORT}"}}, start=False)
    relay.start(ready=False)
    assert relay.wait() == 75
    said = relay.stderr()
    assert f"http.address: {api.http_ip}:{PORT}: " in said
    assert 'http.address = ""' in said
    assert relay.log.find("relay.ready") == []


def test_the_log_says_where_the_page_is(api):
    (ready,) = api.log.find("relay.ready")
    assert ready["dashboard"] == f"http://{api.http_ip}:{PORT}/"
