"""Programs that nobody here wrote send mail as their manuals say: each logs in or
shows a certificate, verifies the relay's, and what it sent comes to an MX host."""

import email
import email.message
import email.policy
import json
import os
import pathlib
import smtplib
import ssl
import subprocess
import urllib.parse

import pytest

from lab import net, npm
from lab.logins import PASSWORD, expect_no_secret, with_logins
from lab.relay import binary, environment
from lab.send import message

FROM = "news@app.example"
OCTETS = bytes(range(256)) * 300


class Door:
    """The relay as clients see it: "localhost" has a certificate."""

    host = "localhost"

    def __init__(self, relay):
        self.relay, self.ca = relay, relay.world.ca.path
        self.submission, self.smtps = net.free_port(), net.free_port()
        self.socket = relay.folder / "smtp.sock"
        self.sendmail = relay.folder / "sendmail"
        self.sendmail.symlink_to(pathlib.Path(binary()).resolve())

    def environment(self, home):
        """Of somebody who calls our sendmail, too."""
        return environment(
            HOME=str(home),
            SEALPOST_SMTP=f"{self.relay.ip}:{self.relay.port}",
            LC_ALL="C.UTF-8",
        )


@pytest.fixture(scope="module")
def door(world):
    cert = world.ca.good("localhost")
    made = world.relay(start=False)
    d = Door(made)

    def prepared(config, **_):
        made.config = {**made.config, **{k: dict(v) for k, v in config.items()}}
        return made

    def listener(address, tls="none", **more):
        return {"address": address, "tls": tls, "auth": "required", **more}

    base = made.config
    with_logins(
        prepared,
        {
            "": {**base[""], "mode": "live"},
            'listener "app"': base['listener "app"'],
            'listener "tls"': listener(
                f"127.0.0.1:{d.submission}", "required", client_certificate="optional"
            ),
            'listener "smtps"': listener(f"127.0.0.1:{d.smtps}", "implicit"),
            'listener "unix"': listener(f"unix:{d.socket}"),
            "access": {"networks": ["127.0.0.0/8"]},
            "tls": {
                "certificate": cert.path,
                "key": cert.path,
                "client_ca": world.ca.path,
            },
        },
    )
    yield d
    assert made.is_up(), made.stderr()
    expect_no_secret(made, PASSWORD)
    made.close()


@pytest.fixture
def you(world):
    """Somebody whose MX host nobody else writes to."""
    return f"you@{world.domain(world.peer())}"


def run(*command, code=0, **options):
    options = {"text": True, "timeout": 60, **options}
    done = subprocess.run([str(c) for c in command], capture_output=True, **options)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def parsed(delivery):
    return email.message_from_bytes(delivery.data, policy=email.policy.SMTPUTF8)


def expect(world, rcpt, protocol, sender=FROM):
    """It came, and the relay says how it had got it."""
    got = world.ledger.one(rcpt)
    assert got.mail == sender and protocol_of(got) == protocol
    return got


def protocol_of(delivery):
    trace = parsed(delivery).get_all("Received")[-1].split()
    return trace[trace.index("with") + 1]


# --- nodemailer ---

MAILER = """
const nodemailer = require("nodemailer");
const [options, mails] = process.argv.slice(1).map((x) => JSON.parse(x));
const transport = nodemailer.createTransport(options);
Promise.all(mails.map((m) => transport.sendMail({
    ...m, attachments: [{filename: "every octet.bin",
                         content: Buffer.alloc(76800, (() => {
                             const b = Buffer.alloc(256);
                             for (let i = 0; i < 256; i++) b[i] = i;
                             return b; })())}]})))
  .then(() => transport.close(), (e) => { console.error(e); process.exit(1); });
"""


def nodemailer(door, options, *mails):
    env = {**npm.environment(), **door.environment(door.relay.folder)}
    env["NODE_EXTRA_CA_CERTS"] = door.ca
    run("node", "-e", MAILER, json.dumps(options), json.dumps(mails), env=env)


WAYS = {
    "submission": {"secure": False, "requireTLS": True},
    "smtps": {"secure": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_nodemailer_sends_many_over_few_connections(world, door, you, way):
    options = {
        **WAYS[way],
        "host": door.host,
        "port": getattr(door, way),
        "pool": True,
        "maxConnections": 3,
        "auth": {"user": "app", "pass": PASSWORD},
    }
    subjects = {f"Grüße {n}" for n in range(20)}
    mails = [
        {"from": f"Nachrichten <{FROM}>", "to": you, "subject": s, "text": "Tschüß\n.\n"}
        for s in subjects
    ]
    nodemailer(door, options, *mails)
    came = [parsed(d) for d in world.ledger.wait(you, count=20)]
    assert {m["Subject"] for m in came} == subjects
    for m in came:
        (attached,) = m.iter_attachments()
        assert attached.get_content() == OCTETS
        assert m.get_body().get_content() == "Tschüß\r\n.\r\n"


def test_nodemailer_sends_by_our_sendmail(world, door, you):
    options = {"sendmail": True, "path": str(door.sendmail), "newline": "unix"}
    nodemailer(door, options, {"from": FROM, "to": you, "bcc": f"x{you}", "text": "hi"})
    got = world.ledger.one(you)
    assert sorted(got.rcpts) == sorted([you, f"x{you}"]) and got.mail == FROM
    assert "Bcc" not in parsed(got)


# --- Python ---


@pytest.mark.parametrize("way", WAYS)
def test_smtplib_sends_in_utf8(world, door, you, way):
    context = ssl.create_default_context(cafile=door.ca)
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = FROM, f"grüße{you}", "Grüße"
    m.set_content("Tschüß")
    if way == "smtps":
        c = smtplib.SMTP_SSL(door.host, door.smtps, timeout=30, context=context)
    else:
        c = smtplib.SMTP(door.host, door.submission, timeout=30)
        c.starttls(context=context)
    with c:
        c.login("app", PASSWORD)
        c.send_message(m)
    assert parsed(expect(world, f"grüße{you}", "UTF8SMTPSA"))["Subject"] == "Grüße"


# --- swaks ---


def swaks(door, you, *words, code=0):
    return run("swaks", "-f", FROM, "-t", you, "-au", "app", "-ap", PASSWORD, *words, code=code)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("way", ["submission", "smtps", "unix"])
def test_swaks_logs_in_everywhere(world, door, you, way, mechanism):
    words = {
        "submission": ["-s", door.host, "-p", door.submission, "--tls"],
        "smtps": ["-s", door.host, "-p", door.smtps, "--tls-on-connect"],
        "unix": ["--socket", door.socket],
    }[way]
    verify = [] if way == "unix" else ["--tls-verify", "--tls-ca-path", door.ca]
    swaks(door, you, "-a", mechanism, *words, *verify)
    expect(world, you, "ESMTPA" if way == "unix" else "ESMTPSA")


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "CRAM-SHA1", "DIGEST-MD5"])
def test_swaks_is_offered_no_mechanism_of_old(world, door, you, mechanism):
    said = swaks(door, you, "-a", mechanism, "--socket", door.socket, code=28)
    assert "334" not in said and "AUTH SCRAM-SHA-256 PLAIN LOGIN" in said


def test_swaks_that_does_not_trust_the_certificate_shows_no_password(
    world, door, you
):
    words = ["-s", door.host, "-p", door.submission, "--tls", "--tls-verify"]
    said = swaks(door, you, "-a", "PLAIN", *words, "--tls-ca-path", world.stranger.path, code=29)
    assert "~> AUTH" not in said


# --- msmtp ---


def msmtp(door, you, tmp_path, *lines, code=0):
    rc = tmp_path / "msmtprc"
    rc.write_text("\n".join(["account default", f"from {FROM}", *lines]) + "\n")
    rc.chmod(0o600)
    text = f"From: {FROM}\nTo: {you}\nBcc: x{you}\nSubject: hi\n\n.\nhi\n"
    return run("msmtp", "-C", rc, "-t", input=text, code=code)


def msmtp_tls(door, *more):
    return [f"host {door.host}", f"port {door.submission}", "tls on", f"tls_trust_file {door.ca}", *more]


@pytest.mark.parametrize("mechanism", ["on", "scram-sha-256"])
def test_msmtp_logs_in(world, door, you, tmp_path, mechanism):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    login = [f"auth {mechanism}", "user app", f"passwordeval cat {tmp_path}/password"]
    msmtp(door, you, tmp_path, *msmtp_tls(door, *login))
    got = expect(world, you, "ESMTPSA")
    assert got.rcpts == [you, f"x{you}"] and b"\r\n\r\n.\r\nhi\r\n" in got.data


def test_msmtp_shows_a_certificate_in_place_of_a_password(world, door, you, tmp_path):
    mine = world.ca.client(FROM).path
    pair = [f"tls_cert_file {mine}", f"tls_key_file {mine}"]
    msmtp(door, you, tmp_path, *msmtp_tls(door, *pair))
    expect(world, you, "ESMTPS")


def test_msmtp_logs_in_by_the_unix_socket(world, door, you, tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    msmtp(
        *(door, you, tmp_path, f"host {door.host}", f"socket {door.socket}"),
        *("auth plain", "user app", f"passwordeval cat {tmp_path}/password", "tls off"),
    )
    expect(world, you, "ESMTPA")


# --- curl ---


@pytest.mark.parametrize("way", ["submission", "smtps", "unix"])
def test_curl_makes_mime_and_sends_it(world, door, you, way, tmp_path):
    (tmp_path / "file.bin").write_bytes(OCTETS)
    quoted = PASSWORD.replace('"', '\\"')
    (tmp_path / "rc").write_text(f'user = "app:{quoted}"\n')
    words = {
        "submission": ["--ssl-reqd", f"smtp://{door.host}:{door.submission}"],
        "smtps": [f"smtps://{door.host}:{door.smtps}"],
        "unix": ["--unix-socket", door.socket, "smtp://localhost"],
    }[way]
    run(
        *("curl", "-sS", "-K", tmp_path / "rc", "--cacert", door.ca, *words),
        *("--mail-from", FROM, "--mail-rcpt", you, "--mail-rcpt", f"x{you}"),
        *("-H", f"From: {FROM}", "-H", f"To: {you}", "-H", "Subject: by curl"),
        *("-F", "=hello;type=text/plain", "-F", f"f=@{tmp_path}/file.bin;encoder=base64"),
    )
    got = expect(world, you, "ESMTPA" if way == "unix" else "ESMTPSA")
    assert got.rcpts == [you, f"x{you}"] and parsed(got)["Message-ID"]
    assert list(parsed(got).walk())[-1].get_payload(decode=True) == OCTETS


def test_curl_goes_on_where_one_recipient_is_refused(world, door, you, tmp_path):
    (tmp_path / "m").write_bytes(message(sender=FROM))
    run(
        *("curl", "-sS", "--mail-rcpt-allowfails", "--mail-from", FROM),
        *("--mail-rcpt", "nobody@bad..name", "--mail-rcpt", you),
        *("-T", tmp_path / "m", f"smtp://{door.relay.ip}:{door.relay.port}"),
        *("--user", f"app:{PASSWORD}"),
    )
    assert expect(world, you, "ESMTPA").rcpts == [you]


# --- git ---


@pytest.fixture
def series(door, tmp_path):
    """Two patches to send; gives the command for it."""
    env = {**door.environment(tmp_path), "PATH": os.environ["PATH"]}
    who = ("-c", "user.name=News", "-c", f"user.email={FROM}")

    def git(*words, **options):
        return run("git", *who, *words, cwd=tmp_path, env=env, **options)

    git("init", "-q", ".")
    for n in (1, 2):
        (tmp_path / "a").write_text(f"{n}\nGrüße\n.\nFrom here\n")
        git("add", "a")
        git("commit", "-qm", f"step {n}")
    git("format-patch", "--root", "-o", "out")
    return git


def send_series(git, tmp_path, you, *config):
    words = [w for c in config for w in ("-c", f"sendemail.{c}")]
    patches = sorted((tmp_path / "out").iterdir())
    git(*words, "send-email", "--confirm=never", "--suppress-cc=all", "--no-chain-reply-to", f"--to={you}", *patches)
    return [p.read_bytes() for p in patches]


def expect_series(world, you, patches):
    came = sorted(world.ledger.wait(you, count=2), key=lambda d: parsed(d)["Subject"])
    for got, sent in zip(came, patches):
        want = sent.partition(b"\n\n")[2].rstrip()
        text = parsed(got).get_payload(decode=True).replace(b"\r\n", b"\n").rstrip()
        assert text == want and got.mail == FROM
    first, second = map(parsed, came)
    assert second["In-Reply-To"] == first["Message-ID"]
    return came


@pytest.mark.parametrize("way", ["submission", "smtps"])
def test_git_logs_in_and_sends_a_series(world, door, you, series, tmp_path, way):
    patches = send_series(
        *(series, tmp_path, you, f"smtpServer={door.host}", "smtpUser=app"),
        *(f"smtpPass={PASSWORD}", f"smtpSSLCertPath={door.ca}"),
        f"smtpEncryption={'ssl' if way == 'smtps' else 'tls'}",
        f"smtpServerPort={getattr(door, way)}",
    )
    for got in expect_series(world, you, patches):
        assert protocol_of(got) == "ESMTPSA"


def test_git_sends_a_series_by_our_sendmail(world, door, you, series, tmp_path):
    patches = send_series(series, tmp_path, you, f"smtpServer={door.sendmail}", "envelopeSender=auto")
    expect_series(world, you, patches)


# --- mail readers ---


def mutt(door, you, tmp_path, *settings):
    (tmp_path / "rc").write_text(
        f'set from="{FROM}" use_envelope_from=yes copy=no hostname=app.example\n'
        f'set certificate_file="{door.ca}" ssl_ca_certificates_file="{door.ca}"\n'
        + "".join(f"set {s}\n" for s in settings)
    )
    (tmp_path / "file").write_bytes(OCTETS)
    run(
        *("mutt", "-n", "-F", tmp_path / "rc", "-s", "Grüße"),
        *("-b", f"x{you}", "-a", tmp_path / "file", "--", you),
        input="Tschüß\n.\n",
        env={**door.environment(tmp_path), "PATH": os.environ["PATH"]},
    )


def expect_letter(world, you):
    got = world.ledger.one(you)
    assert sorted(got.rcpts) == sorted([you, f"x{you}"]) and got.mail == FROM
    mail = parsed(got)
    assert "Bcc" not in mail and mail["Subject"] == "Grüße"
    assert next(mail.iter_attachments()).get_content() == OCTETS
    return got


@pytest.mark.parametrize("way", ["submission", "smtps"])
def test_mutt_logs_in(world, door, you, tmp_path, way):
    """Debian's takes the best mechanism, whose binding to TLS it has not got."""
    scheme = "smtps" if way == "smtps" else "smtp"
    mutt(
        *(door, you, tmp_path, "ssl_force_tls=yes", f'smtp_pass="{PASSWORD}"'),
        'smtp_authenticators="scram-sha-256"',
        f'smtp_url="{scheme}://app@{door.host}:{getattr(door, way)}"',
    )
    assert protocol_of(expect_letter(world, you)) == "ESMTPSA"


def test_mutt_sends_by_our_sendmail(world, door, you, tmp_path):
    mutt(door, you, tmp_path, f'sendmail="{door.sendmail} -oem -oi"')
    expect_letter(world, you)


def mailx(door, you, tmp_path, *settings):
    (tmp_path / "file").write_bytes(OCTETS)
    words = [w for s in settings for w in ("-S", s)]
    run(
        *("s-nail", "-:/", "-s", "Grüße", "-r", FROM, "-b", f"x{you}"),
        *("-S", "v15-compat", "-S", "ttycharset=utf-8", *words),
        *("-a", tmp_path / "file", you),
        input="Tschüß\n.\n",
        env={**door.environment(tmp_path), "PATH": os.environ["PATH"]},
    )


def test_mailx_sends_by_our_sendmail(world, door, you, tmp_path):
    mailx(door, you, tmp_path, f"mta={door.sendmail}")
    expect_letter(world, you)


@pytest.mark.parametrize("way", ["submission", "smtps"])
def test_mailx_logs_in(world, door, you, tmp_path, way):
    scheme = "smtps" if way == "smtps" else "smtp"
    mailx(
        *(door, you, tmp_path, "smtp-auth=plain", "tls-verify=strict"),
        *("smtp-use-starttls", f"tls-ca-file={door.ca}", "hostname=app.example"),
        f"mta={scheme}://app:{urllib.parse.quote(PASSWORD)}@{door.host}:{getattr(door, way)}",
    )
    assert protocol_of(expect_letter(world, you)) == "ESMTPSA"
