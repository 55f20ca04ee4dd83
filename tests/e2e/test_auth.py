"""Clients log in: by every mechanism, with clients that others wrote; and who
does not know the password learns nothing."""

import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import smtplib
import socket
import ssl
import statistics
import subprocess
import threading
import time

import pytest

from lab import npm
from lab.logins import PASSWORD, WRONG, expect_no_secret, plain, user, users_file, with_logins
from lab.relay import binary
from lab.send import Wire, insecure, message

FROM, TO = "news@app.example", "you@elsewhere.example"
TLS12 = "NORMAL:-VERS-TLS1.3"  # for GnuTLS


@pytest.fixture(scope="module")
def made(world):
    relays = []

    def make(config=None, **options):
        relays.append(world.relay(config, **options))
        return relays[-1]

    yield make
    for relay in relays:
        relay.close()


@pytest.fixture(scope="module")
def logins(made):
    """One relay for all who know their password; its log is searched for
    them at the end."""
    relay = with_logins(made)
    yield relay
    assert relay.is_up(), relay.stderr()
    expect_no_secret(relay, PASSWORD, WRONG)


def ready(relay, port=None):
    return Wire(relay.ip, port or relay.port).ready()


def expect_login(relay, mechanism, name="app", count=1):
    return relay.log.wait(
        "session.auth", count, user=name, mechanism=mechanism, ok=True
    )


# --- clients that others wrote ---


def swaks(relay, *words, password=PASSWORD, port=None, sender=FROM, code=0):
    done = subprocess.run(
        ["swaks", "--server", relay.ip, "--port", str(port or relay.port)]
        + ["-f", sender, "-t", TO, "--auth-user", "app"]
        + ["--auth-password", password, *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


WAYS = {
    "clear": ("port", []),
    "starttls": ("tls_port", ["--tls"]),
    "implicit": ("smtps_port", ["--tls-on-connect"]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_logs_in(logins, mechanism, way):
    port, words = WAYS[way]
    said = swaks(logins, "--auth", mechanism, *words, port=getattr(logins, port))
    assert "235 2.7.0" in said and "queued as" in said


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "CRAM-SHA1"])
def test_swaks_finds_no_old_mechanism(logins, mechanism):
    said = swaks(logins, "--auth", mechanism, code=28)
    assert "235" not in said


def test_swaks_hears_that_the_password_is_wrong(logins):
    said = swaks(logins, "--auth", "PLAIN", password=WRONG, code=28)
    assert "535 5.7.8 authentication failed" in said


def test_swaks_is_told_to_use_tls_first(logins):
    said = swaks(logins, "--auth", "PLAIN", port=logins.tls_port, code=28)
    assert "250-AUTH" not in said.split("STARTTLS")[0]
    with ready(logins, logins.tls_port) as c:
        c.say("AUTH PLAIN " + plain("app"), 538, "5.7.11")


@pytest.mark.parametrize("way", ["clear", "starttls", "implicit"])
def test_smtplib_logs_in(logins, way):
    port = getattr(logins, WAYS[way][0])
    if way == "implicit":
        client = smtplib.SMTP_SSL(logins.ip, port, timeout=60, context=insecure())
    else:
        client = smtplib.SMTP(logins.ip, port, timeout=60)
    with client as c:
        if way == "starttls":
            c.starttls(context=insecure())
        c.login("app", PASSWORD)
        assert not c.sendmail(FROM, [TO], message(sender=FROM))


def test_smtplib_hears_535(logins):
    with smtplib.SMTP(logins.ip, logins.port, timeout=60) as c:
        with pytest.raises(smtplib.SMTPAuthenticationError) as failure:
            c.login("app", WRONG)
        assert failure.value.smtp_code == 535


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("secure", [True, False])
def test_nodemailer_logs_in(logins, mechanism, secure):
    script = """
    const [ip, port, secure, method, user, pass, from, to] = process.argv.slice(1);
    const transport = require("nodemailer").createTransport({
        host: ip, port: +port, secure: secure === "1",
        auth: {user, pass}, authMethod: method,
        tls: {rejectUnauthorized: false}});
    transport.sendMail({from, to, subject: "hello", text: "Hello."})
        .then(i => { console.log(i.response); process.exit(0); },
              e => { console.error(e); process.exit(1); });
    """
    port = logins.smtps_port if secure else logins.tls_port
    done = subprocess.run(
        ["node", "-e", script, logins.ip, str(port), "1" if secure else "0"]
        + [mechanism, "app", PASSWORD, FROM, TO],
        env=npm.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "250 2.0.0 queued as" in done.stdout


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_curl_logs_in(logins, mechanism, way, tmp_path):
    port = getattr(logins, WAYS[way][0])
    scheme = "smtps" if way == "implicit" else "smtp"
    mail, secret = tmp_path / "mail", tmp_path / "secret"
    mail.write_bytes(message(sender=FROM))
    quoted = PASSWORD.replace('"', '\\"')
    secret.write_text(f'user = "app:{quoted}"\n')
    done = subprocess.run(
        ["curl", "-sS", "-k", "--ssl-reqd", f"{scheme}://{logins.ip}:{port}"]
        + ["--mail-from", FROM, "--mail-rcpt", TO, "-T", str(mail)]
        + ["--login-options", f"AUTH={mechanism}", "-K", str(secret)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    expect_login(logins, mechanism)


def msmtp(relay, mechanism, tmp_path, way="starttls", password=PASSWORD):
    port, tls = getattr(relay, WAYS[way][0]), "off" if way == "clear" else "on"
    rc = tmp_path / "msmtprc"
    rc.write_text(
        f"account default\nhost {relay.ip}\nport {port}\nfrom {FROM}\n"
        f"auth {mechanism}\nuser app\npasswordeval cat {tmp_path}/password\n"
        f"tls {tls}\ntls_certcheck off\n"
        f"tls_starttls {'off' if way == 'implicit' else 'on'}\n"
    )
    (tmp_path / "password").write_text(password + "\n")
    rc.chmod(0o600)
    return subprocess.run(
        ["msmtp", "-C", str(rc), "-d", TO],
        input=message(sender=FROM),
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp_logs_in(logins, mechanism, way, tmp_path):
    done = msmtp(logins, mechanism, tmp_path, way)
    assert done.returncode == 0, done
    expect_login(logins, mechanism.upper())


def test_msmtp_hears_that_the_password_is_wrong_for_scram(logins, tmp_path):
    done = msmtp(logins, "scram-sha-256", tmp_path, password=WRONG)
    assert done.returncode == 77 and b"535 5.7.8" in done.stdout + done.stderr


def bridge(a, b):
    """Octets of either to the other, until one ends."""
    while True:
        for s in select.select([a, b], [], [], 20)[0]:
            try:
                data = s.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return
            (b if s is a else a).sendall(data)


def gsasl(relay, mechanism, *words):
    """GNU SASL's own client.  It says STARTTLS without EHLO, so somebody says
    that for it; TLS is between the two all the same."""

    def prompt(door):
        client, _ = door.accept()
        with client, Wire(relay.ip, relay.tls_port, None) as c:
            client.sendall((c.expect(220)[0] + "\r\n").encode())
            c.ready()
            bridge(client, c.sock)

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=prompt, args=(door,), daemon=True).start()
        return subprocess.run(
            ["gsasl", "--client", "--smtp", "-m", mechanism, "--starttls"]
            + ["--connect", f"localhost:{door.getsockname()[1]}"]
            + ["-a", "app", "-p", PASSWORD]
            + ["--x509-ca-file", relay.world.ca.path, *words],
            input="",
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture(scope="module")
def localhost(world, made):
    """With a certificate for the only name that GNU SASL finds it by."""
    cert = world.ca.good("localhost")
    return with_logins(made, {"tls": {"certificate": cert.path, "key": cert.path}})


def test_gsasl_binds_scram_to_tls(localhost):
    """RFC 9266, with GnuTLS at the other end."""
    done = gsasl(localhost, "SCRAM-SHA-256-PLUS")
    assert "235 2.7.0" in done.stdout + done.stderr, done
    expect_login(localhost, "SCRAM-SHA-256-PLUS")


def test_in_tls_1_2_there_is_nothing_to_bind_to(localhost):
    """There clients would bind by tls-unique, which nobody should."""
    context = insecure()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with smtplib.SMTP(localhost.ip, localhost.tls_port, timeout=60) as c:
        c.starttls(context=context)
        c.ehlo()
        assert c.esmtp_features["auth"].split() == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
    done = gsasl(localhost, "SCRAM-SHA-256", "--no-cb", "--priority", TLS12)
    assert "235 2.7.0" in done.stdout + done.stderr, done


def test_gsasl_that_is_told_to_bind_to_nothing_may_log_in_too(localhost):
    done = gsasl(localhost, "SCRAM-SHA-256", "--no-cb")
    assert "235 2.7.0" in done.stdout + done.stderr, done


# --- what is offered where ---


def keywords(c):
    lines = c.say("EHLO client.lab.test", 250)
    found = [line[4:] for line in lines if line[4:].startswith("AUTH")]
    return found[0].split()[1:] if found else None


def test_auth_is_offered_where_it_can_be_used(logins):
    all_four = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
    with Wire(logins.ip, logins.port) as c:
        assert keywords(c) == all_four[1:]
    with Wire(logins.ip, logins.tls_port) as c:
        assert keywords(c) is None
        c.say("STARTTLS", 220)
        c.start_tls()
        assert keywords(c) == all_four


def test_mail_is_refused_before_auth(logins):
    with ready(logins) as c:
        c.say(f"MAIL FROM:<{FROM}>", 530, "5.7.0")
    with ready(logins, logins.tls_port) as c:
        c.say(f"MAIL FROM:<{FROM}>", 530, "5.7.0")


def test_the_listener_without_auth_is_as_before(made):
    relay = with_logins(made, {'listener "app"': {"auth": "off"}})
    with ready(relay) as c:
        assert keywords(c) is None
        c.say("AUTH PLAIN " + plain("app"), 502)
        c.say(f"MAIL FROM:<{FROM}>", 554, "access.networks")


def test_required_is_for_listed_networks_too(made):
    relay = with_logins(
        made,
        {
            "access": {"networks": ["127.0.0.0/8"]},
            'listener "app"': {"auth": "required"},
        },
    )
    with ready(relay) as c:
        c.say(f"MAIL FROM:<{FROM}>", 530, "5.7.0")
        c.say("AUTH PLAIN " + plain("app"), 235)
        c.say(f"MAIL FROM:<{FROM}>", 250)


def test_a_unix_socket_needs_no_tls(made):
    relay = with_logins(made, {'listener "app"': {"auth": "off"}})
    path = relay.folder / "smtp.sock"
    relay.write_config(
        {'listener "unix"': {"address": f"unix:{path}", "auth": "required"}}
    )
    assert "reload" not in relay.cli("reload").stderr
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        f = s.makefile("rwb", buffering=0)

        def say(line, code):
            if line:
                f.write(line.encode() + b"\r\n")
            while True:
                got = f.readline().decode()
                if got[3:4] != "-":
                    assert got.startswith(code), got
                    return

        say(None, "220")
        say("EHLO c", "250")
        say(f"MAIL FROM:<{FROM}>", "530")
        say("AUTH PLAIN " + plain("app"), "235")
        say(f"MAIL FROM:<{FROM}>", "250")


# --- senders ---


@pytest.fixture(scope="module")
def senders(made):
    relay = with_logins(
        made,
        users=(
            ("any", ""),
            ("null", "<>,@app.example"),
            ("one", "me@app.example,@Bücher.example"),
        ),
    )
    yield relay
    assert relay.is_up(), relay.stderr()


@pytest.mark.parametrize(
    "name,sender,code",
    [
        ("any", "x@y.example", 250),
        ("any", "", 553),
        ("null", "", 250),
        ("null", "x@app.example", 250),
        ("null", "x@y.example", 553),
        ("one", "me@app.example", 250),
        ("one", "Me@APP.example", 250),
        ("one", "you@app.example", 553),
        ("one", "x@xn--bcher-kva.example", 250),
        ("one", '"me@app.example"@y.example', 553),
        ("one", "", 553),
    ],
)
def test_a_user_sends_from_his_own_senders(senders, name, sender, code):
    with ready(senders) as c:
        c.say("AUTH PLAIN " + plain(name), 235)
        words = "5.7.1" if code == 553 else ""
        c.say(f"MAIL FROM:<{sender}>", code, words)


@pytest.mark.parametrize(
    "name,fields,code",
    [
        ("any", "From: x@y.example", 250),
        ("any", "From: <broken", 250),
        ("one", "From: me@app.example", 250),
        ("one", "From: Me <Me@APP.example>", 250),
        ("one", "From: x@xn--bcher-kva.example", 250),
        ("one", "Subject: nobody in From", 250),
        ("one", "From: you@app.example", 550),
        ("one", 'From: "me@app.example" <you@app.example>', 550),
        ("one", "From: me@app.example, you@app.example", 550),
        ("one", "From: a:me@app.example, b@y.example;", 550),
        ("one", "From:\r\n you@app.example", 550),
        ("one", "from : you@app.example", 550),
        ("one", "From: me@app.example\r\nFrom: you@app.example", 550),
        ("one", "From: me", 550),
        ("one", "From: a b@y.example", 550),
        ("one", "From: me@app.example, a b@y.example", 550),
        ("one", "From: me@app.example (\r\nTo: x", 550),
        ("one", "From: nobody:;", 550),
        ("one", "From: <broken", 550),
    ],
)
def test_a_user_names_only_himself_as_the_author(senders, name, fields, code):
    with ready(senders) as c:
        c.say("AUTH PLAIN " + plain(name), 235)
        c.envelope("bob@far.example", sender="me@app.example")
        c.say("DATA", 354)
        c.send(f"{fields}\r\nTo: bob\r\n\r\nx\r\n.\r\n".encode())
        c.expect(code, "5.7.1" if code == 550 else "")
    if code == 550:
        line = senders.log.wait("session.reject", code=550)[-1]
        assert line["dsn"] == "5.7.1"
        assert senders.log.find("session.auth", sid=line["sid"], ok=True)


def test_an_author_is_not_hidden_behind_a_header_section_too_large(senders):
    with ready(senders) as c:
        c.say("AUTH PLAIN " + plain("one"), 235)
        c.envelope("bob@far.example", sender="me@app.example")
        c.say("DATA", 354)
        c.send(b"X: x\r\n" * 60000 + b"From: you@app.example\r\n\r\nx\r\n.\r\n")
        c.expect(552, "5.3.4")


def test_an_author_counts_as_he_goes_out(made):
    """What the relay rewrites need not be the user's own before."""
    relay = with_logins(made, {"rewrite": {"from_domain": "app.example"}})
    with ready(relay) as c:
        c.say("AUTH PLAIN " + plain("app"), 235)
        for author in ("root", "root@host.lan", "me@app.example"):
            c.envelope("bob@far.example", sender="me@app.example")
            c.say("DATA", 354)
            c.send(f"From: {author}\r\n\r\nx\r\n.\r\n".encode())
            c.expect(250)


def test_received_tells_of_auth_and_names_nobody(world, made):
    relay = with_logins(made, {"": {"mode": "live"}})
    rcpt = f"bob@{world.domain(world.peer())}"
    with smtplib.SMTP(relay.ip, relay.tls_port, timeout=60) as c:
        c.starttls(context=insecure())
        c.login("app", PASSWORD)
        c.sendmail(FROM, [rcpt], message(sender=FROM, to=rcpt))
    trace = world.ledger.one(rcpt).data.decode().split("From:")[0]
    assert re.search(r"\swith ESMTPSA\s", trace), trace
    assert "app" not in re.sub(r"\S+@\S+", "", trace)
    accepted = relay.log.one("message.accepted")
    assert accepted["user"] == "app"
    event = relay.log.one("session.auth")
    assert event["sid"] == accepted["sid"]
    assert event["tls"] is True and event["ok"] is True and event["listener"] == "tls"


# --- what is wrong on the wire: FAULTS A81 to A88 ---


@pytest.mark.parametrize(
    "response,code",
    [
        ("=", 501),
        ("*", 501),
        ("====", 501),
        ("A", 501),
        ("A===", 501),
        ("AA AA", 501),
        (base64.b64encode(b"app").decode(), 501),
        (base64.b64encode(b"\0app\0").decode(), 501),
        (base64.b64encode(b"\0\0x").decode(), 501),
        (base64.b64encode(b"\0a\0b\0c").decode(), 501),
        (base64.b64encode(b"root\0app\0" + PASSWORD.encode()).decode(), 535),
        (base64.b64encode(b"\0app\0x").decode(), 535),
        (base64.b64encode(b"\0" + b"n" * 3000 + b"\0x").decode(), 535),
        (base64.b64encode(b"\0app\0" + b"p" * 9000).decode(), 535),
        (base64.b64encode(b"\0admin\r\n250 ok\x1b[2J\0x").decode(), 535),
    ],
)
def test_malformed_responses_are_refused(made_once, response, code):
    with ready(made_once) as c:
        c.say("AUTH PLAIN", 334)
        c.say(response, code)
        c.say("NOOP", 250)


@pytest.fixture(scope="module")
def made_once(made):
    relay = with_logins(made)
    yield relay
    assert relay.is_up(), relay.stderr()
    assert not relay.log.garbage


def test_a_response_that_is_too_long_ends_the_session(made_once):
    with ready(made_once) as c:
        c.say("AUTH PLAIN", 334)
        c.send(b"A" * 1000000)
        c.expect(500, "5.5.6")


def test_a_hostile_name_is_one_line_of_the_log(made_once):
    name = "admin\r\n250 ok\x1b[2J" + "n" * 5000
    with ready(made_once) as c:
        c.say("AUTH PLAIN", 334)
        c.say(plain(name, "x"), 535)
    made_once.log.one("session.auth", user=name[:1024])
    assert not made_once.log.garbage


# --- nobody learns who is there ---


def scram_first(c, name, nonce="abc"):
    bare = f"n={name},r={nonce}"
    first = base64.b64encode(f"n,,{bare}".encode()).decode()
    [line] = c.say(f"AUTH SCRAM-SHA-256 {first}", 334)
    got = base64.b64decode(line[4:]).decode()
    fields = dict(f.split("=", 1) for f in got.split(","))
    assert fields["r"].startswith(nonce) and len(fields["r"]) > len(nonce) + 20
    return fields


def test_the_salt_of_nobody_is_as_good_as_any_and_stays(made):
    relay = with_logins(made)

    def ask(name):
        with ready(relay) as c:
            return scram_first(c, name)

    real, nobody, other = ask("app"), ask("nobody"), ask("somebody")
    assert real["i"] == nobody["i"] and len(real["s"]) == len(nobody["s"])
    assert nobody["s"] != other["s"]
    assert ask("nobody")["s"] == nobody["s"]
    assert ask("nobody")["r"] != nobody["r"]
    relay.stop()
    relay.start()
    assert ask("nobody")["s"] == nobody["s"]
    with ready(relay) as c:
        fields = scram_first(c, "nobody")
        proof = base64.b64encode(bytes(32)).decode()
        final = f"c=biws,r={fields['r']},p={proof}"
        c.say(base64.b64encode(final.encode()).decode(), 535, "authentication failed")


def test_nobody_gets_the_reply_of_a_wrong_password_in_the_same_time(made):
    relay = with_logins(made)

    def one(name, i):
        source = f"127.77.{i}.{1 if name == 'app' else 2}"
        client = smtplib.SMTP(
            relay.ip, relay.port, timeout=60, source_address=(source, 0)
        )
        with client as c:
            c.ehlo()
            start = time.monotonic()
            code, text = c.docmd("AUTH", "PLAIN " + plain(name, WRONG))
            took = time.monotonic() - start
        return (code, text), took

    pairs = [(one("app", i), one("nobody", i)) for i in range(12)]
    assert {reply for pair in pairs for reply, _ in pair} == {
        (535, b"5.7.8 authentication failed: wrong name or password")
    }
    known = statistics.median(took for (_, took), _ in pairs)
    unknown = statistics.median(took for _, (_, took) in pairs)
    # A hash takes ten times what all the rest does; without one for the
    # unknown it would show.
    assert unknown > known / 2 and known > unknown / 2, (known, unknown)
    whys = {e["user"]: e["reason"] for e in relay.log.find("session.auth")}
    assert whys["app"] == "wrong password" and "no such user" in whys["nobody"]


# --- brute force: FAULTS A86, A87 ---


def guess(relay, name="app", password=WRONG, source=None):
    """One wrong password; the code of the reply and the time it took."""
    where = (source, 0) if source else None
    with smtplib.SMTP(relay.ip, relay.port, timeout=60, source_address=where) as c:
        c.ehlo()
        start = time.monotonic()
        code, text = c.docmd("AUTH", "PLAIN " + plain(name, password))
        return code, time.monotonic() - start, text.decode()


def test_the_third_wrong_password_ends_the_session(made_once):
    source = "127.90.0.1"
    s = socket.create_connection(
        (made_once.ip, made_once.port), 15, source_address=(source, 0)
    )
    c = Wire.__new__(Wire)
    c.sock, c.buffer = s, b""
    c.expect(220)
    c.ready()
    for _ in range(2):
        c.say("AUTH PLAIN " + plain("app", WRONG), 535)
    c.say("AUTH PLAIN " + plain("app", WRONG), 535)
    c.expect(421, "Too many failed logins")
    c.expect_end()


def test_guesses_are_slowed_down_and_then_not_looked_at(made):
    relay = with_logins(made)
    bad, good = "127.88.0.1", "127.99.0.1"
    replies = [guess(relay, source=bad) for _ in range(11)]
    assert [code for code, _, _ in replies] == [535] * 10 + [421]
    assert replies[9][1] > 2.5 > replies[0][1]
    assert "try again in" in replies[10][2]
    # not even with the right password, from there
    assert guess(relay, password=PASSWORD, source=bad)[0] == 421
    # but from elsewhere
    assert guess(relay, password=PASSWORD, source=good)[0] == 235
    expect_no_secret(relay, PASSWORD, WRONG)


def test_guesses_at_one_user_from_everywhere_are_stopped(made):
    relay = with_logins(made)
    known = "127.99.0.1"
    assert guess(relay, password=PASSWORD, source=known)[0] == 235
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        sources = [f"127.{i}.0.9" for i in range(100, 140)]
        codes = list(pool.map(lambda s: guess(relay, source=s)[0], sources))
    assert set(codes) <= {535, 421, 454} and 421 in codes[30:]
    assert guess(relay, password=PASSWORD, source="127.98.0.1")[0] == 421
    # who has logged in from there before is not locked out
    assert guess(relay, password=PASSWORD, source=known)[0] == 235


def test_very_many_logins_at_once_leave_the_relay_alive(made):
    """500 sessions at once, of which few can be looked at; mail of others goes
    on meanwhile."""
    relay = with_logins(made, {"access": {"networks": ["127.50.0.0/16"]}})

    def attempt(i):
        try:
            return guess(relay, f"user{i}", source=f"127.{100 + i % 100}.{i}.1")[0]
        except (smtplib.SMTPException, OSError):
            return 0

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        waiting = [pool.submit(attempt, i) for i in range(250)]
        slowest = 0
        while not all(f.done() for f in waiting):
            start = time.monotonic()
            with smtplib.SMTP(
                relay.ip, relay.port, timeout=60, source_address=("127.50.0.1", 0)
            ) as c:
                c.sendmail("a@b.example", [TO], message())
            slowest = max(slowest, time.monotonic() - start)
        codes = [f.result() for f in waiting]
    assert set(codes) <= {0, 535, 454, 421}, set(codes)
    assert 535 in codes and 454 in codes
    assert slowest < 10


def test_a_moment_later_the_same_login_costs_no_hash(made):
    relay = with_logins(made)
    first = guess(relay, password=PASSWORD)
    again = min(guess(relay, password=PASSWORD)[1] for _ in range(5))
    assert first[0] == 235 and again < max(first[1] / 2, 0.01)
    user(relay, "passwd", "app", password="another one")
    relay.log.one("users.reload")
    assert guess(relay, password=PASSWORD)[0] == 535
    assert guess(relay, password="another one")[0] == 235


# --- the file ---


def test_a_new_user_can_log_in_and_a_removed_one_sends_no_more(made):
    relay = with_logins(made)
    with ready(relay) as c:
        c.say("AUTH PLAIN " + plain("app"), 235)
        c.say(f"MAIL FROM:<{FROM}>", 250)
        c.say("RSET", 250)
        user(relay, "add", "late", "--senders", "*")
        relay.log.one("users.reload", users=2)
        user(relay, "remove", "app")
        relay.log.one("users.reload", users=1)
        c.say(f"MAIL FROM:<{FROM}>", 530, "5.7.0")
    assert guess(relay, "app", PASSWORD)[0] == 535
    assert guess(relay, "late", PASSWORD)[0] == 235


def test_a_broken_file_changes_nothing_and_is_told(made):
    relay = with_logins(made)
    users = users_file(relay)
    with users.open("a") as f:
        f.write("broken line\n")
    line = relay.log.one("users.reload", level="error")
    assert f"{users}:2: " in line["error"]
    assert guess(relay, "app", PASSWORD)[0] == 235
    done = relay.cli("reload", check=False)
    assert done.returncode == 78 and f"{users}:2: " in done.stderr
    assert guess(relay, "app", PASSWORD)[0] == 235
    assert user(relay, "add", "more", check=False).returncode == 66
    # mended
    users.write_text(users.read_text().replace("broken line\n", ""))
    relay.log.one("users.reload", users=1)


def test_while_the_file_is_missing_nobody_can_log_in_for_now(made):
    relay = with_logins(made)
    users = users_file(relay)
    aside = users.with_name("aside")
    users.rename(aside)
    relay.log.one("users.reload", level="error")
    code, _, _ = guess(relay, "app", PASSWORD)
    assert code == 454
    with ready(relay) as c:
        c.say("AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=app,r=x").decode(), 454)
    aside.rename(users)
    relay.log.one("users.reload", users=1)
    assert guess(relay, "app", PASSWORD)[0] == 235


def test_a_broken_file_stops_the_start(made):
    relay = made(start=False)
    users = users_file(relay)
    users.write_text("app:sesame\n")
    users.chmod(0o640)
    relay.config["users"] = {"file": str(users)}
    relay.start(ready=False)
    assert relay.wait() == 78
    assert f"{users}:1: the hash is none of" in relay.stderr()
    assert "sesame" not in relay.stderr()


def test_a_hash_of_another_program_will_do_and_scram_waits_for_all(made):
    """As mkpasswd and htpasswd make them."""
    relay = with_logins(made)
    for name, kind in (("six", "-6"), ("one", "-1")):
        made_hash = subprocess.run(
            ["openssl", "passwd", kind, "-stdin"],
            input=PASSWORD,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        with users_file(relay).open("a") as f:
            f.write(f"{name}:{made_hash}\n")
        if kind == "-6":
            relay.log.one("users.reload", users=2)
    relay.log.one("users.reload", level="error")  # MD5 is too weak
    assert guess(relay, "six", PASSWORD)[0] == 235
    with Wire(relay.ip, relay.port) as c:
        assert keywords(c) == ["PLAIN", "LOGIN"]


def test_the_verifier_is_that_of_another_program(made):
    """gsasl derives the same keys from password, salt and iterations."""
    relay = with_logins(made)
    verifier = users_file(relay).read_text().strip().split(":", 3)[3]
    match = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)", verifier)
    count, salt, stored, server = match.groups()
    made_keys = subprocess.run(
        ["gsasl", "--mkpasswd", "-m", "SCRAM-SHA-256", "-p", PASSWORD]
        + ["--iteration-count", count, "--salt", salt],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert stored in made_keys and server in made_keys, made_keys
    salted = hashlib.pbkdf2_hmac(
        "sha256", PASSWORD.encode(), base64.b64decode(salt), int(count)
    )
    assert len(salted) == 32


# --- `sealpost user` ---


def test_the_command_keeps_mode_comments_and_order(made):
    relay = with_logins(made, users=(("app", "@app.example"), ("b", "*")))
    users = users_file(relay)
    assert users.stat().st_mode & 0o777 == 0o640
    text = "# ours\n\n" + users.read_text()
    users.write_text(text)
    users.chmod(0o600)
    user(relay, "passwd", "app", password="other")
    after = users.read_text().splitlines()
    assert after[:2] == ["# ours", ""] and after[2].startswith("app:$y$")
    assert after[2].split(":")[2] == "@app.example" and after[3] == text.splitlines()[3]
    assert users.stat().st_mode & 0o777 == 0o600
    listed = json.loads(user(relay, "list", "--json").stdout)
    assert [u["name"] for u in listed] == ["app", "b"]
    assert listed[0] == {
        "name": "app",
        "locked": False,
        "scram": True,
        "senders": ["@app.example"],
    }
    assert PASSWORD not in users.read_text()


@pytest.mark.parametrize(
    "words,password,code",
    [
        (("add",), "x", 64),
        (("add", "a", "b"), "x", 64),
        (("add", "a:b"), "x", 65),
        (("add", "a\nb"), "x", 65),
        (("add", "new"), "", 65),
        (("add", "new"), "a\tb", 65),
        (("add", "new"), "x" * 512, 65),
        (("add", "new", "--senders", "nonsense"), "x", 65),
        (("add", "new", "--senders", "a@b.example:c"), "x", 65),
        (("add", "new", "--password", "x"), "x", 64),
        (("add", "app"), "x", 65),
        (("passwd", "nobody"), "x", 67),
        (("remove", "nobody"), "", 67),
    ],
)
def test_the_command_refuses_what_would_not_do(made_once, words, password, code):
    before = users_file(made_once).read_text()
    done = user(made_once, *words, password=password, check=False)
    assert done.returncode == code, done
    assert users_file(made_once).read_text() == before


def test_many_writers_at_once_lose_nobody(made):
    relay = with_logins(made)
    names = [f"user{i}" for i in range(12)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: user(relay, "add", n, "--no-scram"), names))
    listed = json.loads(user(relay, "list", "--json").stdout)
    assert sorted(u["name"] for u in listed) == sorted(["app", *names])
    left = [p.name for p in relay.folder.iterdir() if p.name.startswith("users")]
    assert left == ["users"]


def test_the_password_is_typed_unseen_and_twice(made_once):
    def typed(*lines):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(
                binary(),
                ["sealpost", "user", "add", "typist", "--file", str(users_file(made_once))],
            )
        seen = b""
        for line in lines:
            while b": " not in seen.rsplit(b"\n", 1)[-1]:
                seen += os.read(fd, 1000)
            time.sleep(0.1)
            os.write(fd, line.encode() + b"\n")
            seen += b"\n"
        try:
            while True:
                got = os.read(fd, 1000)
                if not got:
                    break
                seen += got
        except OSError:
            pass
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()

    code, seen = typed("secret one", "secret two")
    assert code == 65 and "differ" in seen and "secret" not in seen
    code, seen = typed("secret one", "secret one")
    assert code == 0 and "secret" not in seen
    made_once.log.one("users.reload", users=2)
    assert guess(made_once, "typist", "secret one", "127.91.0.1")[0] == 235
    user(made_once, "remove", "typist")


# --- quotas ---


def send_some(relay, count, name=None, source=None, rcpts=1):
    """How many of `count` messages went through, and the last refusal."""
    where = (source, 0) if source else None
    refusal = None
    with smtplib.SMTP(relay.ip, relay.port, timeout=60, source_address=where) as c:
        if name:
            c.login(name, PASSWORD)
        for i in range(count):
            try:
                to = [f"u{n}@elsewhere.example" for n in range(rcpts)]
                refused = c.sendmail(FROM, to, message(sender=FROM))
                if refused:
                    return i + 1, list(refused.values())[-1]
            except smtplib.SMTPResponseException as e:
                return i, (e.smtp_code, e.smtp_error)
            except smtplib.SMTPRecipientsRefused as e:
                return i, list(e.recipients.values())[-1]
    return count, refusal


def test_messages_of_a_user_are_counted_wherever_he_is(made):
    relay = with_logins(
        made,
        {"access": {"rate": "5/1h", "networks": ["127.0.0.0/8"]}},
        users=(("app", "*"), ("other", "*")),
    )
    assert send_some(relay, 3, "app", "127.60.0.1") == (3, None)
    got, (code, text) = send_some(relay, 5, "app", "127.61.0.1")
    assert got == 2 and code == 450 and b"4.7.1" in text
    wait = int(re.search(rb"try again in (\d+) s", text).group(1))
    assert 3500 < wait <= 3600
    # others have their own
    assert send_some(relay, 5, "other") == (5, None)
    assert send_some(relay, 5, None, "127.62.0.1") == (5, None)
    assert send_some(relay, 1, None, "127.62.0.1")[1][0] == 450
    assert send_some(relay, 1, None, "127.62.0.2") == (1, None)
    # a reload forgets nothing
    relay.cli("reload")
    relay.log.one("config.reload", result="ok")
    assert send_some(relay, 1, "app")[1][0] == 450


def test_recipients_are_counted_and_those_beyond_put_off(made):
    relay = with_logins(
        made,
        {"access": {"recipients_rate": "10/1d", "networks": ["127.0.0.0/8"]}},
    )
    assert send_some(relay, 1, rcpts=8) == (1, None)
    got, (code, text) = send_some(relay, 1, rcpts=4)
    assert got == 1 and code == 452 and b"4.7.1 too many recipients" in text
    assert relay.log.wait("message.accepted", 2)[-1]["rcpts"] == 2


def test_what_was_not_accepted_does_not_count(made):
    relay = with_logins(
        made, {"access": {"rate": "3/1h", "networks": ["127.0.0.0/8"]}}
    )
    for _ in range(5):
        with ready(relay) as c:
            c.envelope(TO, sender=FROM)
            c.say("DATA", 354)
            c.send(b"a bare\nline feed\r\n.\r\n")
            c.expect(550)
    for _ in range(3):
        with ready(relay) as c:
            c.envelope(TO, sender=FROM)
            c.say("DATA", 354)
            c.send(b"half a mess")
    time.sleep(0.3)
    assert send_some(relay, 3) == (3, None)
    assert send_some(relay, 1)[1][0] == 450


def test_a_span_passes_and_a_listener_may_have_its_own(made):
    relay = with_logins(
        made,
        {
            "access": {"rate": "1/1h", "networks": ["127.0.0.0/8"]},
            'listener "app"': {"rate": "2/6s"},
        },
    )
    got, (code, text) = send_some(relay, 5)
    assert got == 2 and code == 450
    time.sleep(int(re.search(rb"in (\d+) s", text).group(1)) + 0.1)
    assert send_some(relay, 1) == (1, None)


# --- never an open relay by accident ---


def test_a_network_that_holds_a_gateway_is_warned_of(made):
    routes = pathlib.Path("/proc/net/route").read_text().splitlines()[1:]
    gateways = [
        ".".join(str(b) for b in reversed(bytes.fromhex(r.split()[2])))
        for r in routes
        if r.split()[1] == "00000000" and r.split()[2] != "00000000"
    ]
    if not gateways:
        pytest.skip("this machine has no default gateway")
    network = gateways[0].rsplit(".", 1)[0] + ".0/24"
    relay = made({"access": {"networks": ["127.0.0.0/8", network]}})
    warning = relay.log.one("access.gateway")
    assert warning["network"] == network and warning["gateway"] == gateways[0]
    assert len(relay.log.find("access.gateway", network="127.0.0.0/8")) == 0


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/1"])
def test_the_whole_internet_is_refused(made, network):
    relay = made({"access": {"networks": [network]}}, start=False)
    relay.start(ready=False)
    assert relay.wait() == 78
    assert "would let the whole Internet relay" in relay.stderr()
