"""TLS towards clients: certificates, names, versions, and what must not be."""

import json
import os
import pathlib
import re
import shutil
import smtplib
import ssl
import subprocess
import time

import pytest

from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import SENDER, Wire, insecure, message, submit


def s_client(ip, port, *options, say=b"QUIT\r\n", starttls=True):
    """What `openssl s_client` tells of a connection, and how it ended."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{ip}:{port}", "-crlf", *options]
        + (["-starttls", "smtp"] if starttls else []),
        input=say, capture_output=True, timeout=30,
    )
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def shown(relay, name=None, port=None):
    """The certificate that a client sees who asks for this name."""
    context = insecure()
    with Wire(relay.ip, port or relay.tls_port) as c:
        c.ready().say("STARTTLS", 220)
        with context.wrap_socket(c.sock, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True)


def of_file(path):
    return ssl.PEM_cert_to_DER_cert(
        pathlib.Path(path).read_text().partition("-----END PRIVATE KEY-----\n")[2]
    )


# --- names ---


def test_each_name_has_its_certificate(world, new_relay):
    one, two = world.ca.good("one.lab.test"), world.ca.good("*.two.lab.test")
    relay = new_relay(
        {
            'sni "one"': {"certificate": one.path, "key": one.path},
            'sni "two"': {"certificate": two.path, "key": two.path},
        }
    )
    default = of_file(world.relay_cert.path)
    assert shown(relay, "one.lab.test") == of_file(one.path)
    assert shown(relay, "any.two.lab.test") == of_file(two.path)
    assert shown(relay, "two.lab.test") == default
    assert shown(relay, "elsewhere.test") == default
    assert shown(relay) == default
    code, said = s_client(
        relay.ip, relay.smtps_port, "-servername", "one.lab.test",
        "-verify_hostname", "one.lab.test", "-verify_return_error",
        "-CAfile", world.ca.path, starttls=False,
    )
    assert code == 0 and "Verify return code: 0 (ok)" in said, said


# --- certificates that change ---


@pytest.fixture
def renewable(world, new_relay, tmp_path):
    """A relay whose certificate is at tmp_path/tls.pem, by a link as
    Kubernetes' secrets have it: tls.pem -> ..data/tls.pem, ..data -> ..1."""
    made = []

    def put(cert):
        folder = tmp_path / f"..{len(made) + 1}"
        made.append(folder)
        folder.mkdir()
        shutil.copy(cert.path, folder / "tls.pem")
        os.symlink(folder.name, tmp_path / "..data_tmp")
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
        if len(made) > 1:
            shutil.rmtree(made[-2])

    put(world.relay_cert)
    os.symlink("..data/tls.pem", tmp_path / "tls.pem")
    path = str(tmp_path / "tls.pem")
    relay = new_relay({"tls": {"certificate": path, "key": path}})
    relay.put = put
    relay.file = pathlib.Path(path)
    return relay


@pytest.mark.threads
def test_a_renewed_certificate_is_shown_on_all_workers_and_no_session_ends(
    world, renewable
):
    relay = renewable
    with Wire(relay.ip, relay.tls_port) as old, Wire(relay.ip, relay.tls_port) as half:
        old.ready().say("STARTTLS", 220)
        old.start_tls().ready()
        half.ready()
        for _ in range(2):
            cert = world.ca.good("relay.lab.test")
            count = len(relay.log.find("cert.reload", result="ok"))
            relay.put(cert)
            relay.log.wait("cert.reload", count + 1, result="ok")
            for _ in range(2 * relay.config[""]["workers"]):
                assert shown(relay) == of_file(cert.path)
        old.say("NOOP", 250)
        half.say("STARTTLS", 220)
        half.start_tls().ready()
    d = world.domain(world.peer())
    submit(relay, f"bob@{d}", port=relay.tls_port, starttls=True)
    world.ledger.one(f"bob@{d}")


@pytest.mark.parametrize("how", ["in place", "rename"])
def test_a_certificate_is_renewed_in_place_or_by_a_rename(
    world, new_relay, tmp_path, how
):
    path = tmp_path / "tls.pem"
    shutil.copy(world.relay_cert.path, path)
    relay = new_relay({"tls": {"certificate": str(path), "key": str(path)}})
    cert = world.ca.good("relay.lab.test")
    if how == "in place":
        path.write_bytes(pathlib.Path(cert.path).read_bytes())
    else:
        shutil.copy(cert.path, tmp_path / "new")
        os.rename(tmp_path / "new", path)
    relay.log.one("cert.reload", result="ok")
    assert shown(relay) == of_file(cert.path)


@pytest.mark.parametrize("fault", ["half", "mismatch", "gone"])
def test_what_cannot_be_used_changes_nothing(world, new_relay, tmp_path, fault):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(world.relay_cert.path, cert)
    shutil.copy(world.relay_cert.path, key)
    relay = new_relay({"tls": {"certificate": str(cert), "key": str(key)}})
    before = shown(relay)
    if fault == "half":
        text = cert.read_text()
        cert.write_text(text[: len(text) - 60])
    elif fault == "mismatch":
        done = subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", str(key)])
        assert done.returncode == 0
    else:
        key.unlink()
    error = relay.log.one("cert.reload", level="error")["error"]
    assert str(cert if fault == "half" else key) in error
    assert shown(relay) == before
    shutil.copy(world.relay_cert.path, cert)
    shutil.copy(world.relay_cert.path, key)
    relay.log.one("cert.reload", result="ok")
    assert len(relay.log.find("cert.reload", level="error")) == 1


def test_a_certificate_that_ends_soon_is_told_of(world, new_relay, tmp_path):
    relay = new_relay()
    assert not relay.log.find("cert.expiry")
    path = tmp_path / "old.pem"
    shutil.copy(world.ca.expired("relay.lab.test").path, path)
    old = new_relay({"tls": {"certificate": str(path), "key": str(path)}})
    assert old.log.one("cert.expiry", level="error", file=str(path))["days"] <= 0


# --- clients that show one ---


def with_certificate(cert):
    context = insecure()
    if cert:
        context.load_cert_chain(cert.path)
    return context


def test_a_certificate_is_as_good_as_a_password(world, new_relay):
    wanted = {"client_certificate": "required"}
    relay = new_relay(
        {
            "tls": {"client_ca": world.ca.path},
            'listener "tls"': {"tls": "required", **wanted},
            'listener "smtps"': wanted,
            'listener "app"': {"client_certificate": "optional", "tls": "starttls"},
            "access": {"networks": ["192.0.2.0/24"]},
        }
    )
    d = world.domain(world.peer())
    good = with_certificate(world.ca.client("alice@lab.test"))
    with smtplib.SMTP(relay.ip, relay.tls_port, "c.lab.test") as c:
        c.starttls(context=good)
        c.sendmail(SENDER, [f"a@{d}"], message())
    with smtplib.SMTP_SSL(relay.ip, relay.smtps_port, "c.lab.test", context=good) as c:
        c.sendmail(SENDER, [f"b@{d}"], message())
    with smtplib.SMTP(relay.ip, relay.port, "c.lab.test") as c:
        c.starttls(context=good)
        c.sendmail(SENDER, [f"c@{d}"], message())
    for who in "abc":
        head = world.ledger.one(f"{who}@{d}").data.split(b"\r\nFrom:")[0]
        assert b"(client certificate alice@lab.test)" in head.replace(b"\r\n\t", b" ")
    relay.log.wait("message.accepted", 3, certificate="alice@lab.test")
    relay.log.wait("session.auth", 3, mechanism="certificate", user="alice@lab.test", ok=True)


@pytest.mark.parametrize("who", ["nobody", "stranger", "expired"])
def test_who_has_no_good_certificate_may_not_relay(world, new_relay, who, tmp_path):
    from lab.ca import Authority

    relay = new_relay(
        {
            "tls": {"client_ca": world.ca.path},
            'listener "smtps"': {"client_certificate": "required"},
            'listener "tls"': {"client_certificate": "optional"},
            "access": {"networks": ["192.0.2.0/24"]},
        }
    )
    cert = {
        "nobody": lambda: None,
        "stranger": lambda: Authority(tmp_path, "Other CA").client("alice@lab.test"),
        "expired": lambda: world.ca.client("alice@lab.test", expired=True),
    }[who]()
    context = with_certificate(cert)
    with pytest.raises((ssl.SSLError, ConnectionError, smtplib.SMTPServerDisconnected)):
        smtplib.SMTP_SSL(relay.ip, relay.smtps_port, context=context).noop()
    relay.log.one("session.reject", listener="smtps")
    with smtplib.SMTP(relay.ip, relay.tls_port) as c:
        c.starttls(context=context)
        c.ehlo()
        assert c.mail(SENDER)[0] == 554
    if cert:
        relay.log.one("session.auth", listener="tls", ok=False)


# --- versions ---


def test_old_devices_have_a_listener_of_their_own(world, new_relay):
    relay = new_relay(start=False)
    relay.write_config(
        {
            'listener "old"': {
                "address": f"{relay.ip}:2466",
                "tls": "implicit",
                "tls_min_version": "1.0",
                "networks": ["127.0.0.0/8"],
            }
        }
    )
    relay.start()
    weak = ("-cipher", "ALL:@SECLEVEL=0")
    for version in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3"):
        code, said = s_client(relay.ip, 2466, version, *weak, starttls=False)
        assert code == 0 and "Cipher is (NONE)" not in said, (version, said)
    for port, starttls in ((relay.tls_port, True), (relay.smtps_port, False)):
        for version in ("-tls1", "-tls1_1"):
            code, said = s_client(relay.ip, port, version, *weak, starttls=starttls)
            assert code != 0 and "Cipher is (NONE)" in said, (version, said)


# --- what must not be ---


@pytest.mark.parametrize(
    "octets", [b"STARTTLS\r\nNOOP\r\n", b"STARTTLS\r\nEHLO evil\r\n", b"STARTTLS\r\n\x16\x03\x01"]
)
def test_A30_A31_A32_octets_behind_starttls_end_the_session(relay, octets):
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready()
        c.send(octets)
        got = c.read()
        assert got is None or got[0] >= 500, got
        if got:
            c.expect_end()


def test_A33_starttls_where_it_may_not_be(relay):
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready().say("STARTTLS x", 501)
        c.say("STARTTLS", 220)
        c.start_tls().ready()
        c.send(b"STARTTLS\r\n")
        assert c.read()[0] in (502, 503)
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        c.send(b"STARTTLS\r\n")
        assert c.read()[0] in (500, 502)


def test_A34_behind_starttls_all_is_forgotten(relay):
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)
        c.send(b"STARTTLS\r\n")
        if c.read()[0] == 220:
            c.start_tls()
            c.say("RCPT TO:<a@b.test>", 503)


def test_A36_clear_text_where_tls_begins_is_answered_by_no_smtp(relay):
    with Wire(relay.ip, relay.smtps_port, greeting=0) as c:
        c.send(b"EHLO x\r\n")
        c.sock.settimeout(PATIENCE)
        assert b"250" not in c.sock.recv(1000)


@pytest.mark.parametrize("starttls", [True, False])
def test_A40_nobody_negotiates_twice(relay, starttls):
    port = relay.tls_port if starttls else relay.smtps_port
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{relay.ip}:{port}", "-tls1_2"]
        + (["-starttls", "smtp"] if starttls else []),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    time.sleep(0.5)
    said, _ = process.communicate(b"R\n", timeout=PATIENCE)
    assert b"no renegotiation" in said, said


def test_A43_a_ticket_of_one_listener_is_worth_nothing_at_another(relay, tmp_path):
    session = str(tmp_path / "session")
    for version in ("-tls1_2", "-tls1_3"):
        _, said = s_client(relay.ip, relay.tls_port, version, "-sess_out", session)
        assert "New, TLSv1" in said
        _, said = s_client(
            relay.ip, relay.smtps_port, version, "-sess_in", session, starttls=False
        )
        assert "New, TLSv1" in said and "Reused" not in said
    for _ in range(4):  # with whichever worker
        _, said = s_client(relay.ip, relay.tls_port, "-tls1_2", "-sess_out", session)
        _, said = s_client(relay.ip, relay.tls_port, "-tls1_2", "-sess_in", session)
        assert "Reused, TLSv1.2" in said


def test_A44_no_early_data(relay):
    _, said = s_client(relay.ip, relay.smtps_port, "-tls1_3", starttls=False)
    assert "Max Early Data: 0" in said or "Early data was not sent" in said


@pytest.mark.parametrize("protocols,ok", [("h2", False), ("http/1.1", False), ("smtp", True)])
@pytest.mark.parametrize("starttls", [True, False])
def test_A39_a_lured_browser_finds_nobody(relay, protocols, ok, starttls):
    port = relay.tls_port if starttls else relay.smtps_port
    code, said = s_client(relay.ip, port, "-alpn", protocols, starttls=starttls)
    assert ("Cipher is (NONE)" not in said) == ok, said
    if not ok:
        assert "no application protocol" in said


def test_A46_a_message_is_whole_without_close_notify(world, relay):
    d = world.domain(world.peer())
    with Wire(relay.ip, relay.smtps_port, greeting=0) as c:
        c.start_tls().expect(220)
        c.data(f"bob@{d}")
        c.send(message() + b".\r\n")
        os.close(c.sock.detach())  # no word of it
    world.ledger.one(f"bob@{d}")


def test_a_message_without_its_end_is_none_under_tls_either(world, relay):
    d = world.domain(world.peer())
    with Wire(relay.ip, relay.smtps_port, greeting=0) as c:
        c.start_tls().expect(220)
        c.data(f"bob@{d}")
        c.send(message())
        os.close(c.sock.detach())
    submit(relay, f"next@{d}")
    world.ledger.one(f"next@{d}")
    assert not world.ledger.of(f"bob@{d}")


@pytest.mark.crash
@pytest.mark.parametrize("starttls", [True, False])
def test_A42_a_handshake_that_stalls_is_ended(relay, starttls):
    port = relay.tls_port if starttls else relay.smtps_port
    with Wire(relay.ip, port, greeting=220 if starttls else 0) as c:
        if starttls:
            c.ready().say("STARTTLS", 220)
        c.send(b"\x16\x03\x01\x02\x00\x01")
        c.sock.settimeout(60)
        began = time.monotonic()
        c.expect_end()
        assert 25 < time.monotonic() - began < 55


def test_check_finds_a_pair_that_does_not_fit(world, new_relay, tmp_path):
    relay = new_relay(start=False)
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", str(key)], check=True)
    relay.write_config({"tls": {"key": str(key)}})
    done = subprocess.run(
        [binary(), "check", "-c", str(relay.config_file)],
        capture_output=True, text=True, env=environment(),
    )
    assert done.returncode == 78
    named = rf"{re.escape(str(relay.config_file))}:\d+: tls.certificate: {re.escape(str(key))}: "
    assert re.search(named, done.stderr), done.stderr
    relay.start(ready=False)
    assert relay.wait() == 78
    assert str(key) in relay.stderr()


def test_a_session_inside_tls_by_swaks(world, relay):
    d = world.domain(world.peer())
    for port, option in ((relay.tls_port, "--tls"), (relay.smtps_port, "--tlsc")):
        done = subprocess.run(
            ["swaks", "--server", relay.ip, "--port", str(port), "--from", SENDER,
             "--to", f"bob@{d}", "--ehlo", "c.lab.test", option],
            capture_output=True, text=True, timeout=30,
        )
        assert done.returncode == 0, done.stdout
    assert len(world.ledger.wait(f"bob@{d}", count=2)) == 2


def test_mail_by_curl_over_implicit_and_required_tls(world, new_relay, tmp_path):
    relay = new_relay({'listener "tls"': {"tls": "required"}})
    d = world.domain(world.peer())
    (tmp_path / "m").write_bytes(message())
    for url in (
        f"smtps://relay.lab.test:{relay.smtps_port}/c.lab.test",
        f"smtp://relay.lab.test:{relay.tls_port}/c.lab.test",
    ):
        port = url.split(":")[2].split("/")[0]
        done = subprocess.run(
            ["curl", "-sS", "--ssl-reqd", "--cacert", world.ca.path, url,
             "--resolve", f"relay.lab.test:{port}:{relay.ip}",
             "--mail-from", SENDER, "--mail-rcpt", f"bob@{d}",
             "-T", str(tmp_path / "m")],
            capture_output=True, text=True, timeout=30,
        )
        assert done.returncode == 0, done
    assert len(world.ledger.wait(f"bob@{d}", count=2)) == 2
    with Wire(relay.ip, relay.tls_port) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 530, "5.7.0")


@pytest.mark.crash
def test_testssl_finds_nothing_of_weight(relay, tmp_path):
    ways = {relay.tls_port: ["-t", "smtp"], relay.smtps_port: []}
    scans = {
        port: subprocess.Popen(
            ["testssl", "--quiet", "--color", "0", "--jsonfile", f"{tmp_path}/{port}",
             "-p", "-s", "-f", "-P", "-U", *way, f"{relay.ip}:{port}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for port, way in ways.items()
    }
    for port, scan in scans.items():
        said, _ = scan.communicate(timeout=240)
        found = json.loads((tmp_path / str(port)).read_text())
        assert len(found) > 30, said
        # CBC for clients that know nothing newer is LOW.
        grave = [f for f in found if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL")]
        assert not grave, grave
