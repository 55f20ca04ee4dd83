"""Mail goes through whole: from every kind of client, to every kind of MX."""

import base64
import hashlib
import pathlib
import re
import socket
import subprocess
import time

import pytest

from lab import npm
from lab.patience import PATIENCE
from lab.sink import SmtpSink
from lab.send import SENDER, Wire, message, submit


def prepended(delivery, data):
    """The fields in front of `data`, which must be there octet by octet."""
    assert delivery.data.endswith(data), "the message was changed"
    return delivery.data[: len(delivery.data) - len(data)].decode()


@pytest.mark.threads
def test_a_message_arrives_unchanged_behind_one_received_field(world, relay):
    mx = world.peer()
    rcpt = f"bob@{world.domain(mx)}"
    data = message(body="Hello.\r\n\r\nBye.\r\n")
    mid = submit(relay, rcpt, data=data)
    got = world.ledger.one(rcpt)
    trace = prepended(got, data)
    assert re.fullmatch(r"Received: [^\r\n]*\r\n([ \t][^\r\n]*\r\n)*", trace)
    assert "by relay.lab.test" in trace and mid in trace and "127." in trace
    assert got.mail == SENDER and got.rcpts == [rcpt]
    assert got.tls.version == "TLSv1.3" and got.tls.sni == mx.host


def test_the_id_of_the_reply_is_that_of_the_log(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    mid = submit(relay, rcpt)
    accepted = relay.log.one("message.accepted", mid=mid)
    sent = relay.log.one("delivery.sent", mid=mid)
    assert accepted["from"] == SENDER and sent["to"] == rcpt
    assert sent["reply"].startswith("250 2.0.0")
    assert sent["tls_version"] == "TLSv1.3" and sent["mx_ip"].startswith("127.")


BODIES = {
    "dots": b".\r\n..\r\n...\r\n.x\r\nx.\r\n.\r\n",
    "from-line": b"From me to you\r\n>From\r\n",
    "no-text": b"",
    "8-bit": "Grüße, žlutý kůň\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n",
    "long-line": b"x" * 998 + b"\r\n",
    "control": b"tab\tbell\x07 escape\x1b[0m\r\n",
    "blank-lines": b"\r\n" * 50,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_arrives_octet_by_octet(world, relay, name):
    rcpt = f"bob@{world.domain(world.peer())}"
    data = message(body=BODIES[name])
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
        c.expect(250)
    prepended(world.ledger.one(rcpt), data)


def test_missing_date_and_message_id_are_added_and_nothing_else(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    data = b"From: a@sender.lab.test\r\nSubject: x\r\n\r\nhi\r\n"
    mid = submit(relay, rcpt, data=data)
    trace = prepended(world.ledger.one(rcpt), data)
    assert re.search(r"(?m)^Date: ", trace)
    assert f"Message-ID: <{mid}@relay.lab.test>" in trace


def test_the_log_follows_a_message_from_its_listener_to_its_end(world, relay):
    mx = world.peer()
    mx.replies["DOT"] = ["451 4.3.0 not now"]
    domain = world.domain(mx)
    mid = submit(relay, f"bob@{domain}", data=b"Message-ID: <4711@app.test>\r\n\r\nhi\r\n")
    came = relay.log.one("message.accepted", mid=mid)
    late = relay.log.one("delivery.deferred", mid=mid)
    sent = relay.log.one("delivery.sent", mid=mid)
    assert came["listener"] in relay.config_file.read_text()
    assert came["msgid"] == late["msgid"] == sent["msgid"] == "<4711@app.test>"
    assert late["destination"] == sent["destination"] == domain
    assert (late["attempt"], sent["attempt"]) == (1, 2)
    assert late["next_in_s"] > 0 and "next_in_s" not in sent


def test_the_log_names_session_recipient_reply_and_times(world, relay):
    mx = world.peer()
    domain = world.domain(mx)
    one, two = f"one@{domain}", f"two@{domain}"
    mx.replies["RCPT"] = {two: ["450 4.2.1 later", "250 2.1.5 ok"]}
    mx.replies["DOT"] = lambda _: "250 2.0.0 Ok: queued as 4XyZ0pBq12z3f"
    with Wire(relay.ip, relay.port) as w:
        w.data(one, two)
        w.send(message() + b".\r\n")
        mid = re.search(r"queued as (\S+)", w.expect(250)[0]).group(1)
    first = relay.log.one("delivery.sent", mid=mid, to=one)
    late = relay.log.one("delivery.deferred", mid=mid, to=two)
    second = relay.log.one("delivery.sent", mid=mid, to=two)
    assert first["rid"] == f"{mid}.0" and late["rid"] == second["rid"] == f"{mid}.1"
    assert (first["code"], first["dsn"]) == (250, "2.0.0")
    assert (late["code"], late["dsn"]) == (450, "4.2.1")
    assert first["remote_id"] == second["remote_id"] == "4XyZ0pBq12z3f"
    assert "remote_id" not in late
    for line in (first, late, second):
        assert list(line["delays"]) == ["queue", "dns", "connect", "data"]
        assert all(ms >= 0 for ms in line["delays"].values())
        assert sum(line["delays"].values()) <= line["delay_ms"]
    # What it waited for its next time is in the queue's part.
    assert second["delays"]["queue"] >= first["delays"]["queue"]


def test_sessions_differ_and_a_message_of_the_same_one_has_its_sid(world, relay):
    domain = world.domain(world.peer())
    with Wire(relay.ip, relay.port) as w:
        w.ready()
        mids = []
        for _ in range(2):
            w.envelope(f"bob@{domain}").say("DATA", 354)
            w.send(message() + b".\r\n")
            mids.append(re.search(r"queued as (\S+)", w.expect(250)[0]).group(1))
    mids.append(submit(relay, f"bob@{domain}"))
    a, b, c = (relay.log.one("message.accepted", mid=m)["sid"] for m in mids)
    assert a == b != c and a not in mids


def test_the_trace_that_a_message_names_is_in_the_log(world, relay):
    domain = world.domain(world.peer())
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    good = f"Traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\nhi\r\n".encode()
    mid = submit(relay, f"bob@{domain}", data=good)
    assert relay.log.one("message.accepted", mid=mid)["trace_id"] == trace
    bad = good.replace(b"-01", b"-0x")
    mid = submit(relay, f"bob@{domain}", data=bad)
    assert "trace_id" not in relay.log.one("message.accepted", mid=mid)


def test_utf8_addresses_need_smtputf8_on_the_way_out(world, relay):
    mx = world.peer()
    domain = world.domain(mx)
    rcpt = f"žofie@{domain}"
    with Wire(relay.ip, relay.port) as c:
        c.ready().say("MAIL FROM:<jörg@sender.lab.test> SMTPUTF8", 250)
        c.say(f"RCPT TO:<{rcpt}>", 250)
        c.say("DATA", 354)
        c.send("Subject: Grüße\r\n\r\nhi\r\n.\r\n".encode())
        c.expect(250)
    got = world.ledger.one(rcpt)
    assert got.mail == "jörg@sender.lab.test"
    assert any("SMTPUTF8" in x for x in mx.commands if x.startswith("MAIL"))


def test_A95_utf8_mail_bounces_where_the_mx_lacks_smtputf8(world, relay):
    mx, home = world.peer(utf8=False), world.domain(world.peer())
    domain = world.domain(mx)
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<app@{home}> SMTPUTF8", 250)
        c.say(f"RCPT TO:<žofie@{domain}>", 250)
        c.say("DATA", 354)
        c.send(b"Subject: x\r\n\r\nhi\r\n.\r\n")
        c.expect(250)
    assert b"5.6.7" in world.ledger.one(f"app@{home}").data
    assert not world.ledger.of(domain=domain)


def test_bdat_is_taken_in_any_pieces(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    data = message(body=".dot\r\nplain\r\n")
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope(rcpt)
        for piece in (data[:1], data[1:200], b""):
            c.send(b"BDAT %d\r\n" % len(piece) + piece)
            c.expect(250)
        rest = data[200:]
        c.send(b"BDAT %d LAST\r\n" % len(rest) + rest)
        c.expect(250, "queued as")
        c.say("QUIT", 221)
    prepended(world.ledger.one(rcpt), data)


def test_a_pipelined_client_gets_each_reply_in_turn(world, relay):
    domain = world.domain(world.peer())
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(
            f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<a@{domain}>\r\n"
            f"RCPT TO:<b@{domain}>\r\nDATA\r\n".encode()
        )
        for code in (250, 250, 250, 354):
            c.expect(code)
        c.send(message() + b".\r\nRSET\r\nQUIT\r\n")
        for code in (250, 250, 221):
            c.expect(code)
    got = world.ledger.one(domain=domain)
    assert got.rcpts == [f"a@{domain}", f"b@{domain}"]


def test_a_client_that_hangs_up_early_still_gets_its_replies(world, relay):
    """All is said, then its side is closed, as scripts around `nc` do."""
    d = world.domain(world.peer())
    text = b"Subject: x\r\n\r\nx\r\n"
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@{d}>\r\n".encode()
    with Wire(relay.ip, relay.port) as c:
        c.data(f"bob@{d}").send(text + b".\r\n")
        c.send((envelope + b"BDAT %d LAST\r\n%b" % (len(text), text)) * 2)
        c.send(b"NOOP\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        for _ in range(8):
            c.expect(250)
        c.expect_end()
    assert len(world.ledger.wait(domain=d, count=3)) == 3


def test_half_a_message_and_the_end_is_no_message(world, relay):
    d = world.domain(world.peer())
    with Wire(relay.ip, relay.port) as c:
        c.data(f"bob@{d}").send(b"Subject: x\r\n\r\nx\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        c.expect_end()
    assert not world.ledger.of(domain=d)


@pytest.mark.parametrize("megabytes", [5, 50])
def test_a_large_message_arrives_whole(world, new_relay, tmp_path, megabytes):
    relay = new_relay({"access": {"message_size_max": "60M"}})
    ip = world.address()
    world.dns.put("mx." + (domain := world.name()), "A", ip)
    world.domain("mx." + domain, name=domain)
    line = b"%07d " + b"x" * 1990 + b"\r\n"
    lines = megabytes * 1024 * 1024 // 2000
    data = message(body=b"".join(line % i for i in range(lines)))
    with SmtpSink(ip, world.mx_port, tmp_path) as sink:
        with Wire(relay.ip, relay.port) as c:
            c.data(f"bob@{domain}")
            c.send(data + b".\r\n")
            c.sock.settimeout(60)
            c.expect(250)
        relay.log.one("delivery.sent", 60, to=f"bob@{domain}")
        got = sink.messages()[0].replace(b"\n", b"\r\n")
    body = got[got.index(b"From: ") :].rstrip(b"\r\n")
    want = data.rstrip(b"\r\n")
    assert hashlib.sha256(body).digest() == hashlib.sha256(want).digest()


def test_memory_does_not_grow_with_the_size_of_a_message(world, new_relay):
    relay = new_relay(
        {"access": {"message_size_max": "60M"}},
        environ={"ASAN_OPTIONS": "quarantine_size_mb=1"},
    )
    rcpt = f"bob@{world.domain(world.nobody())}"

    def resident():
        status = pathlib.Path(f"/proc/{relay.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    submit(relay, rcpt)
    before, most = resident(), 0
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        for _ in range(40):
            c.send((b"x" * 1022 + b"\r\n") * 1024)
            most = max(most, resident())
        c.send(b".\r\n")
        c.expect(250)
    assert most - before < 24 * 1024, f"{most - before} KiB more"


def test_A57_a_thousand_recipients_all_get_it_and_one_more_is_put_off(world, relay):
    domain = world.domain(world.peer())
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)
        rcpts = (f"RCPT TO:<u{i}@{domain}>\r\n" for i in range(1000))
        c.send("".join(rcpts).encode())
        for _ in range(1000):
            c.expect(250)
        c.say(f"RCPT TO:<more@{domain}>", 452, "4.5.3")
        c.say("DATA", 354)
        c.send(message() + b".\r\n")
        c.expect(250)
    until = time.monotonic() + PATIENCE
    got = set()
    while len(got) < 1000 and time.monotonic() < until:
        deliveries = world.ledger.of(domain=domain)
        got = {r for d in deliveries for r in d.rcpts}
        time.sleep(0.05)
    assert len(got) == 1000
    assert sum(len(d.rcpts) for d in deliveries) == 1000, "somebody got it twice"


def test_recipients_of_several_domains_each_get_it_once(world, relay):
    domains = [world.domain(world.peer()) for _ in range(5)]
    submit(relay, *(f"bob@{d}" for d in domains))
    for d in domains:
        assert world.ledger.one(domain=d).rcpts == [f"bob@{d}"]


def test_dsn_parameters_are_passed_on(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    submit(
        relay,
        rcpt,
        mail_options=["RET=HDRS", "ENVID=QQ+2B314"],
        rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Bob+2Bx@a.test"],
    )
    got = world.ledger.one(rcpt)
    assert sorted(got.mail_args) == ["ENVID=QQ+2B314", "RET=HDRS"]
    assert sorted(got.rcpt_args[0]) == [
        "NOTIFY=SUCCESS,DELAY",
        "ORCPT=rfc822;Bob+2Bx@a.test",
    ]


def test_without_dsn_parameters_none_are_made_up(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    submit(relay, rcpt)
    got = world.ledger.one(rcpt)
    assert got.mail_args == [] and got.rcpt_args == [[]]


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_clients_may_come_in_over_tls(world, relay, way):
    rcpt = f"bob@{world.domain(world.peer())}"
    port = relay.tls_port if way == "starttls" else relay.smtps_port
    with Wire(relay.ip, port, greeting=220 if way == "starttls" else None) as c:
        if way == "starttls":
            c.ready().say("STARTTLS", 220)
            c.start_tls()
        else:
            c.start_tls().expect(220)
        c.data(rcpt)
        c.send(message() + b".\r\n")
        c.expect(250)
    assert b"with ESMTPS" in world.ledger.one(rcpt).data


# --- other people's clients and servers ---


def run(*command, **options):
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=60, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_swaks_sends(world, relay, tls):
    rcpt = f"bob@{world.domain(world.peer())}"
    port = relay.tls_port if tls else relay.port
    run(
        *("swaks", "--server", relay.ip, "--port", port, "--from", SENDER),
        *("--to", rcpt, "--body", "from swaks", "--header", "Subject: swaks"),
        *(["--tls"] if tls else []),
    )
    got = world.ledger.one(rcpt)
    assert b"from swaks" in got.data and b"Subject: swaks" in got.data


def test_smtp_source_sends_many_over_many_connections(world, relay):
    domain = world.domain(world.peer())
    run(
        *("smtp-source", "-s", 5, "-m", 100, "-l", 3000, "-f", SENDER),
        *("-t", f"bob@{domain}", f"{relay.ip}:{relay.port}"),
    )
    got = world.ledger.wait(domain=domain, count=100, timeout=30)
    assert len(got) == 100
    assert len({d.session for d in got}) < 100, "connections are not used again"


def test_nodemailer_sends(world, relay, tmp_path):
    rcpt = f"bob@{world.domain(world.peer())}"
    script = tmp_path / "send.js"
    script.write_text(
        """
const nodemailer = require("nodemailer");
const [host, port, from, to] = process.argv.slice(2);
nodemailer.createTransport({ host, port, tls: { rejectUnauthorized: false } })
  .sendMail({ from, to, subject: "Grüße", text: "Tschüß\\n.\\n", html: "<b>x</b>",
    attachments: [{ filename: "a.bin", content: Buffer.alloc(3000, 7) }] })
  .then((info) => console.log(info.response));
"""
    )
    out = run(
        *("node", script, relay.ip, relay.tls_port, SENDER, rcpt), env=npm.environment()
    )
    assert "queued as" in out
    got = world.ledger.one(rcpt)
    assert base64.b64encode(bytes([7]) * 30) in got.data


def test_smtp_sink_receives(world, relay, tmp_path):
    ip = world.address()
    host = f"mx.{world.name()}"
    world.dns.put(host, "A", ip)
    domain = world.domain(host)
    with SmtpSink(ip, world.mx_port, tmp_path) as sink:
        mid = submit(relay, f"bob@{domain}", data=message(body="one\r\n.two\r\n"))
        relay.log.one("delivery.sent", mid=mid)
        assert b"\none\n.two\n" in sink.messages()[0]
