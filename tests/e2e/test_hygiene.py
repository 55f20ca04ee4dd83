"""What is changed in a message on its way in, and that nothing else is."""

import email
import email.policy
import pathlib
import re
import subprocess
import time

import pytest

from lab import npm
from lab.send import SENDER, Wire, message, submit

PARSE = email.policy.SMTPUTF8


def run(*command, **options):
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=60, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parsed(delivery):
    return email.message_from_bytes(delivery.data, policy=PARSE)


def without_trace(delivery):
    """Behind our own Received field."""
    got = re.match(rb"Received: [^\r\n]*\r\n([ \t][^\r\n]*\r\n)*", delivery.data)
    assert got, delivery.data[:200]
    return delivery.data[got.end() :]


# --- what always holds ---


def test_blind_copies_are_taken_out_and_every_other_octet_stays(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    fields = [b"X-Odd:\t\xff\xfe \r\n", b"Subject: =?utf-8?q?=C3=A4?= \r\n\t\r\n y\r\n"]
    blind = [b"Bcc: v@x.test,\r\n\tw@x.test\r\n", b"RESENT-BCC : <z@x.test>\r\n"]
    rest = message(body=b"Bcc: not this one\r\n\r\n\xe4\r\n")
    data = fields[0] + blind[0] + fields[1] + blind[1] + rest
    submit(relay, rcpt, data=data)
    got = without_trace(world.ledger.one(rcpt))
    assert got == fields[0] + fields[1] + rest


def test_a_message_without_sender_field_gets_that_of_the_envelope(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    data = b"Subject: x\r\n\r\nhi\r\n"
    mid = submit(relay, rcpt, data=data)
    got = world.ledger.one(rcpt)
    assert without_trace(got).endswith(data)
    assert parsed(got)["From"] == SENDER and parsed(got)["Date"].datetime
    assert parsed(got)["Message-ID"] == f"<{mid}@relay.lab.test>"
    accepted = relay.log.one("message.accepted", mid=mid)
    assert accepted["msgid"] == f"<{mid}@relay.lab.test>"


def test_nothing_is_added_to_what_is_signed(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    data = b"DKIM-Signature: v=1; d=x.test; h=from:date\r\nSubject: x\r\n\r\nhi\r\n"
    submit(relay, rcpt, data=data)
    assert without_trace(world.ledger.one(rcpt)) == data


@pytest.mark.parametrize("megabytes", [0.1, 3])
def test_a_large_body_does_not_keep_the_header_section_from_changes(
    world, relay, megabytes
):
    rcpt = f"bob@{world.domain(world.peer())}"
    body = b"".join(b"%08d\r\n" % n for n in range(int(megabytes * 100_000)))
    data = b"Subject: x\r\nBcc: v@x.test\r\n\r\n" + body
    submit(relay, rcpt, data=data)
    got = without_trace(world.ledger.one(rcpt))
    assert got.endswith(b"Subject: x\r\n\r\n" + body)
    assert re.match(rb"Date: .*\r\nFrom: .*\r\nMessage-ID: .*\r\nSubject", got)


@pytest.mark.parametrize("size", [100_000, 250_000, 1_000_000])
def test_A91_a_large_header_section_passes_as_it_is(world, relay, size):
    rcpt = f"bob@{world.domain(world.peer())}"
    data = b"".join(b"X-%06d: x\r\n" % n for n in range(size // 13))
    data += message()
    submit(relay, rcpt, data=data)
    assert without_trace(world.ledger.one(rcpt)) == data


def test_A91_a_larger_one_with_blind_copies_is_refused(world, relay):
    rcpt = f"bob@{world.domain(world.peer())}"
    many = b"".join(b"X-%06d: x\r\n" % n for n in range(30_000))
    with Wire(relay.ip, relay.port) as c:
        c.data(rcpt)
        c.send(b"Bcc: v@x.test\r\n" + many + message() + b".\r\n")
        c.expect(552, "5.3.4")


BARE = {
    "no-colon": b"hello\r\nworld: x\r\n",
    "space": b" Bcc: v@x.test\r\nTo: x\r\n",
    "no-name": b": x\r\n\r\ny\r\n",
    "eight-bit": b"Gr\xc3\xbc\xc3\x9fe: x\r\n",
}


@pytest.mark.parametrize("name", BARE)
def test_A91_a_message_without_header_section_is_all_body(world, relay, name):
    rcpt = f"bob@{world.domain(world.peer())}"
    submit(relay, rcpt, data=BARE[name])
    got = world.ledger.one(rcpt)
    header, _, body = got.data.partition(b"\r\n\r\n")
    assert body == BARE[name] and header.count(b"\r\nFrom: ") == 1
    assert parsed(got)["Message-ID"].endswith("@relay.lab.test>")


# --- what is configured ---


@pytest.fixture(scope="module")
def rewriting(world, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "senders"
    path.write_text("root@app.lan ops@example.test\n@app.lan @example.test\n")
    relay = world.relay(
        {
            "rewrite": {
                "sender_map": str(path),
                "from_domain": "all.test",
                "strip_received": True,
            }
        }
    )
    relay.map = path
    yield relay
    relay.close()


FROM = {
    "a@app.lan": "a@example.test",
    "Root <root@APP.lan> (root@app.lan)": "Root <ops@example.test> (root@app.lan)",
    '"x, root@app.lan"\r\n\t<root@app.lan>': '"x, root@app.lan"\r\n\t<ops@example.test>',
    "=?utf-8?q?J=C3=B6rg?=\r\n =?utf-8?q?_M?= <j@b.test>": "=?utf-8?q?J=C3=B6rg?=\r\n"
    " =?utf-8?q?_M?= <j@all.test>",
    "Us: a@app.lan, b@c.test;": "Us: a@example.test, b@all.test;",
    "root (Cron Daemon)": "root@all.test (Cron Daemon)",
    "x@all.test": "x@all.test",
}


@pytest.mark.parametrize("field", FROM)
def test_senders_become_others_and_all_around_them_stays(world, rewriting, field):
    rcpt = f"bob@{world.domain(world.peer())}"
    sent = message(sender=field, extra=["Reply-To: a@b.test, root@app.lan"])
    mid = submit(rewriting, rcpt, data=sent, sender="root@app.lan")
    got = world.ledger.one(rcpt)
    want = message(sender=FROM[field], extra=["Reply-To: a@b.test, ops@example.test"])
    message_id = rb"Message-ID: <\d+@"
    assert got.mail == "ops@example.test"
    assert re.sub(message_id, b"", without_trace(got)) == re.sub(message_id, b"", want)
    assert rewriting.log.one("message.accepted", mid=mid)["from"] == "ops@example.test"


def test_the_null_sender_stays(world, rewriting):
    rcpt = f"bob@{world.domain(world.peer())}"
    submit(rewriting, rcpt, sender="")
    assert world.ledger.one(rcpt).mail in ("", "<>")


def test_traces_of_before_go_and_our_own_stay(world, rewriting):
    rcpt = f"bob@{world.domain(world.peer())}"
    inner = b"Received: from secret.lan ([10.1.2.3])\r\n\tby inner.lan; d\r\n"
    ours = b"Received: by relay.lab.test with ESMTP id 1; d\r\n"
    submit(rewriting, rcpt, data=inner + ours + message())
    got = world.ledger.one(rcpt).data
    assert b"secret.lan" not in got and b"10.1.2.3" not in got
    assert b"127.0.0" not in got and b"client.lab.test" not in got
    assert got.count(b"by relay.lab.test") == 2


def test_loops_end_even_so(world, rewriting):
    rcpt = f"bob@{world.domain(world.peer())}"
    ours = b"Received: by relay.lab.test with ESMTP id 1; d\r\n"
    with Wire(rewriting.ip, rewriting.port) as c:
        c.data(rcpt)
        c.send(ours * 51 + message() + b".\r\n")
        c.expect(554, "5.4.6")


def test_a_map_that_changes_is_read_again_unless_it_is_broken(world, rewriting):
    domain = world.domain(world.peer())
    before = rewriting.map.read_text()

    def write(text):
        new = rewriting.map.with_suffix(".new")
        new.write_text(text)
        new.rename(rewriting.map)

    write(before + "new@app.lan fresh@example.test\n")
    rewriting.log.one("sender_map", 15, result="changed")
    submit(rewriting, f"a@{domain}", sender="new@app.lan")
    assert world.ledger.one(f"a@{domain}").mail == "fresh@example.test"
    write("broken\n")
    kept = rewriting.log.one("sender_map", 15, result="kept")
    assert kept["reason"].startswith("1: ")
    submit(rewriting, f"b@{domain}", sender="new@app.lan")
    assert world.ledger.one(f"b@{domain}").mail == "fresh@example.test"
    write(before)
    rewriting.log.wait("sender_map", 2, result="changed")


def test_a_header_section_too_large_to_rewrite_is_refused(world, rewriting):
    rcpt = f"bob@{world.domain(world.peer())}"
    many = b"".join(b"X-%06d: x\r\n" % n for n in range(30_000))
    with Wire(rewriting.ip, rewriting.port) as c:
        c.data(rcpt)
        c.send(many + message() + b".\r\n")
        c.expect(552, "5.3.4")


# --- other people's clients ---


def home(tmp_path):
    return {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/lib/git-core"}


def test_msmtp_sends_without_blind_copies(world, rewriting, tmp_path):
    domain = world.domain(world.peer())
    run(
        *("msmtp", f"--host={rewriting.ip}", f"--port={rewriting.port}"),
        *("--from=root@app.lan", "--remove-bcc-headers=off", "-t"),
        input=f"To: a@{domain}\nBcc: b@{domain}\nFrom: Root <root@app.lan>\n\nhi\n",
        env=home(tmp_path),
    )
    for rcpt in (f"a@{domain}", f"b@{domain}"):
        got = world.ledger.one(rcpt)
        assert got.mail == "ops@example.test" and b"Bcc" not in got.data
        assert parsed(got)["From"] == "Root <ops@example.test>"
        assert parsed(got)["Date"].datetime and parsed(got)["Message-ID"]


def test_git_sends_a_patch_that_stays_whole(world, rewriting, tmp_path):
    rcpt = f"bob@{world.domain(world.peer())}"
    env = home(tmp_path)
    run("git", "init", "-q", ".", cwd=tmp_path, env=env)
    (tmp_path / "a").write_text("Grüße\n.\n..\nFrom here\n")
    run("git", "add", "a", cwd=tmp_path, env=env)
    who = ("-c", "user.name=Jörg", "-c", "user.email=joerg@app.lan")
    run("git", *who, "commit", "-qm", "Grüße", cwd=tmp_path, env=env)
    run("git", "format-patch", "-1", "-o", "out", cwd=tmp_path, env=env)
    patch = next((tmp_path / "out").iterdir())
    run(
        *("git", *who, "send-email", f"--smtp-server={rewriting.ip}"),
        *(f"--smtp-server-port={rewriting.port}", f"--to={rcpt}", "--confirm=never"),
        *("--from=Jörg <joerg@app.lan>", "--suppress-cc=all", patch),
        cwd=tmp_path,
        env=env,
    )
    got = world.ledger.one(rcpt)
    assert got.mail == "joerg@example.test"
    assert parsed(got)["From"].addresses[0].addr_spec == "joerg@example.test"
    assert parsed(got)["From"].addresses[0].display_name == "Jörg"
    want = patch.read_bytes().partition(b"\n\n")[2].rstrip()
    assert parsed(got).get_payload(decode=True).replace(b"\r\n", b"\n").rstrip() == want


def test_mutt_sends_by_the_relay(world, rewriting, tmp_path):
    domain = world.domain(world.peer())
    (tmp_path / "rc").write_text(
        f'set smtp_url="smtp://{rewriting.ip}:{rewriting.port}"\n'
        'set from="Root <root@app.lan>" use_envelope_from=yes write_bcc=yes\n'
        "set ssl_starttls=no ssl_force_tls=no copy=no\nset hostname=app.lan\n"
    )
    (tmp_path / "file").write_bytes(bytes(range(256)) * 400)
    run(
        *("mutt", "-n", "-F", tmp_path / "rc", "-s", "Grüße", "-b", f"b@{domain}"),
        *("-a", tmp_path / "file", "--", f"a@{domain}"),
        input="Tschüß\n.\n",
        env={**home(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    got = world.ledger.one(f"b@{domain}")
    assert got.mail == "ops@example.test" and b"Bcc:" not in got.data
    mail = parsed(got)
    assert mail["From"].addresses[0].addr_spec == "ops@example.test"
    attached = next(mail.iter_attachments())
    assert attached.get_content() == bytes(range(256)) * 400


def test_nodemailer_and_swaks_have_their_senders_rewritten(world, rewriting, tmp_path):
    domain = world.domain(world.peer())
    script = tmp_path / "send.js"
    script.write_text(
        """
const [host, port, to] = process.argv.slice(2);
require("nodemailer").createTransport({ host, port, ignoreTLS: true })
  .sendMail({ from: { name: "Jörg, the <b>", address: "root@app.lan" }, replyTo: "x@else.test", to,
              bcc: "", subject: "Grüße", text: "Tschüß" })
  .catch((e) => { console.error(e); process.exit(1); });
"""
    )
    run(
        *("node", script, rewriting.ip, rewriting.port, f"a@{domain}"),
        env=npm.environment(),
    )
    run(
        *("swaks", "--server", rewriting.ip, "--port", rewriting.port),
        *("--from", "root@app.lan", "--to", f"b@{domain}"),
        *("--add-header", "Bcc: c@x.test", "--body", "hi"),
    )
    one, two = (world.ledger.one(f"{x}@{domain}") for x in "ab")
    assert parsed(one)["From"].addresses[0].addr_spec == "ops@example.test"
    assert parsed(one)["Reply-To"] == "x@else.test"
    assert parsed(two)["From"] == "ops@example.test"
    assert "Bcc" not in parsed(two)


# --- SMTPUTF8 ---


def utf8_submit(relay, sender, *rcpts, data):
    with Wire(relay.ip, relay.port) as c:
        c.ready().say(f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME", 250)
        for rcpt in rcpts:
            c.say(f"RCPT TO:<{rcpt}>", 250)
        c.say("DATA", 354)
        c.send(data + b".\r\n")
        c.expect(250)


def test_a_domain_in_utf8_goes_as_a_label_where_smtputf8_lacks(world, relay):
    host = world.peer(utf8=False)
    domain = world.domain(host, name=f"xn--bcher-kva.{world.name()}")
    rcpt = f"bob@bücher.{domain.partition('.')[2]}"
    body = message(body="Grüße\r\n")
    utf8_submit(relay, "app@žofie.lab.test", rcpt, data=body)
    got = world.ledger.one(f"bob@{domain}")
    label = "žofie".encode("idna").decode()
    assert got.mail == f"app@{label}.lab.test"
    assert without_trace(got) == body


def test_a_header_in_utf8_bounces_where_smtputf8_lacks(world, relay):
    domain, home = world.domain(world.peer(utf8=False)), world.domain(world.peer())
    utf8_submit(
        relay,
        f"app@{home}",
        f"bob@{domain}",
        data="Subject: Grüße\r\n\r\nhi\r\n".encode(),
    )
    assert b"5.6.7" in world.ledger.one(f"app@{home}").data
    assert not world.ledger.of(domain=domain)
