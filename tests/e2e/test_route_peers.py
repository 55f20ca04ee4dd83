"""Routes that authenticate at servers that others wrote: Postfix with Cyrus
SASL, Exim, and smtp-server of npm."""

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

from lab import net, npm
from lab.exim import LOGIN, PLAIN, Exim
from lab.postfix import Postfix
from lab.send import submit

from test_route_auth import LATER, deferred

USER, SECRET = "mailer", "pencil-and-paper"

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount of its own")


def route(host, port, **more):
    return {"to": ["*"], "via": [f"{host}:{port}"], "user": USER, **more}


# --- Postfix, with Cyrus SASL ---


class Submission(Postfix):
    """It takes mail from whoever authenticates, and drops it."""

    def __init__(self, world, mechanisms):
        self.host = f"postfix.{world.name()}"
        self.sasl = pathlib.Path(world.folder) / f"sasl-{self.host}"
        self.sasl.mkdir()
        self.sasl.chmod(0o755)
        subprocess.run(
            ["saslpasswd2", "-p", "-c", "-f", f"{self.sasl}/db"]
            + ["-u", "lab", USER],
            input=SECRET,
            text=True,
            check=True,
        )
        postfix = pwd.getpwnam("postfix")
        os.chown(self.sasl / "db", postfix.pw_uid, postfix.pw_gid)
        pathlib.Path(world.folder).chmod(0o755)
        cert = self.sasl / "cert.pem"
        shutil.copy(world.ca.good(self.host).path, cert)
        super().__init__(
            world.dns,
            net.free_port(),
            sasl="pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"sasldb_path: {self.sasl}/db\nmech_list: {mechanisms}\n",
            mynetworks="",
            default_transport="discard",
            smtpd_tls_security_level="may",
            smtpd_tls_auth_only="yes",
            smtpd_tls_cert_file=cert,
            smtpd_tls_key_file=cert,
            smtpd_sasl_auth_enable="yes",
            smtpd_sasl_path="smtpd",
            smtpd_sasl_local_domain="lab",
            smtpd_relay_restrictions="permit_sasl_authenticated,reject",
        )
        world.dns.put(self.host, "A", self.ip)


@pytest.fixture
def postfix(world):
    made = []

    def make(mechanisms):
        made.append(Submission(world, mechanisms))
        return made[-1]

    yield make
    for p in made:
        p.close()


@root
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_postfix_takes_each_mechanism(world, new_relay, postfix, mechanism):
    p = postfix(mechanism)
    relay = new_relay({'route "out"': route(p.host, p.port, password=SECRET)})
    rcpt = f"bob@{world.name()}"
    submit(relay, rcpt)
    assert p.wait(rcpt)[0] == "sent"
    assert f"sasl_method={mechanism}, sasl_username={USER}" in p.lines()
    name = relay.log.one("delivery.sent", to=rcpt)["remote_id"]
    p.wait_for_line(rf" {name}: to=<{re.escape(rcpt)}>")


@root
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_postfix_s_no_holds_the_route(world, new_relay, postfix, mechanism):
    p = postfix(mechanism)
    relay = new_relay(
        {'route "out"': route(p.host, p.port, password="another"), "retry": LATER}
    )
    said = deferred(relay, submit(relay, f"bob@{world.name()}"))
    assert "the route is held: AUTH" in said and " 535 " in said, said


@root
def test_the_best_of_postfix_s_mechanisms_is_scram(world, new_relay, postfix):
    p = postfix("PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256 CRAM-MD5")
    relay = new_relay({'route "out"': route(p.host, p.port, password=SECRET)})
    rcpt = f"bob@{world.name()}"
    submit(relay, rcpt)
    assert p.wait(rcpt)[0] == "sent"
    assert "sasl_method=SCRAM-SHA-256" in p.lines()


# --- Exim ---


@pytest.fixture
def exim(world):
    made = []

    def make(**options):
        host = f"exim.{world.name()}"
        made.append(Exim(world.ca.good(host), USER, SECRET, **options))
        made[-1].host = host
        world.dns.put(host, "A", made[-1].ip)
        return made[-1]

    yield make
    for e in made:
        e.close()


@root
@pytest.mark.parametrize(
    "name, mechanism", [("plain", PLAIN), ("login", LOGIN)], ids=["plain", "login"]
)
def test_exim_takes_each_mechanism(world, new_relay, exim, name, mechanism):
    e = exim(mechanisms=[mechanism])
    relay = new_relay({'route "out"': route(e.host, e.port, password=SECRET)})
    rcpt = f"bob@{world.name()}"
    submit(relay, rcpt)
    e.wait(f"A={name}:{USER}")
    name = relay.log.one("delivery.sent", to=rcpt)["remote_id"]
    assert f" {name} <= " in e.lines()


@root
def test_exim_s_no_holds_the_route(world, new_relay, exim):
    e = exim()
    relay = new_relay(
        {'route "out"': route(e.host, e.port, password="another"), "retry": LATER}
    )
    said = deferred(relay, submit(relay, f"bob@{world.name()}"))
    assert "AUTH PLAIN: 535 Incorrect authentication data" in said


# --- smtp-server ---

SERVER = """
const { SMTPServer } = require('smtp-server');
const fs = require('fs');
const [ip, port, cert, user, token, method] = process.argv.slice(1);
const pem = fs.readFileSync(cert);
new SMTPServer({
  cert: pem, key: pem, authMethods: [method], logger: false,
  onAuth(auth, session, done) {
    const good = auth.username === user &&
      (auth.accessToken || auth.password) === token;
    console.log(JSON.stringify({method: auth.method, good}));
    if (good) return done(null, {user: auth.username});
    if (auth.method !== 'XOAUTH2') return done(new Error('no'));
    done(null, {data: {status: '401', schemes: 'bearer', scope: 'mail'}});
  },
  onData(stream, session, done) {
    stream.resume();
    stream.on('end', () => {
      console.log(JSON.stringify({rcpt: session.envelope.rcptTo[0].address,
                                  user: session.user}));
      done();
    });
  },
}).listen(+port, ip, () => console.log(JSON.stringify({ready: true})));
"""


class SmtpServer:
    def __init__(self, world, token, method, host=None, port=None, user=USER):
        self.host, self.ip, self.port = (
            host or f"npm.{world.name()}",
            net.address(),
            port or net.free_port(),
        )
        world.dns.put(self.host, "A", self.ip)
        self._process = subprocess.Popen(
            ["node", "-e", SERVER, self.ip, str(self.port)]
            + [world.ca.good(self.host).path, user, token, method],
            env=npm.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.next() == {"ready": True}

    def next(self):
        line = self._process.stdout.readline()
        try:
            return json.loads(line)
        except ValueError:
            raise AssertionError(line + self._process.stdout.read()) from None

    def close(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def smtp_server(world):
    made = []

    def make(*arguments):
        made.append(SmtpServer(world, *arguments))
        return made[-1]

    yield make
    for s in made:
        s.close()


def oauth(world, tokens):
    return {
        "token_url": tokens.url,
        "ca": world.ca.path,
        "client_id": "id",
        "client_secret": "s",
    }


@pytest.mark.parametrize("length", [20, 2000])
def test_smtp_server_takes_a_token(world, new_relay, smtp_server, length):
    token = "x" * length
    tokens = world.tokens()
    tokens.answers = [
        tokens.answer(json.dumps({"access_token": token, "token_type": "Bearer"}))
    ]
    s = smtp_server(token, "XOAUTH2")
    relay = new_relay(
        {'route "out"': route(s.host, s.port, oauth=oauth(world, tokens))}
    )
    rcpt = f"bob@{world.name()}"
    submit(relay, rcpt)
    assert s.next() == {"method": "XOAUTH2", "good": True}
    assert s.next() == {"rcpt": rcpt, "user": USER}


def test_smtp_server_s_no_to_a_token_is_answered_and_told(
    world, new_relay, smtp_server
):
    tokens = world.tokens()
    s = smtp_server("another", "XOAUTH2")
    relay = new_relay(
        {
            'route "out"': route(s.host, s.port, oauth=oauth(world, tokens)),
            "retry": LATER,
        }
    )
    said = deferred(relay, submit(relay, f"bob@{world.name()}"), 2)
    assert "AUTH XOAUTH2: 535" in said and "status 401" in said, said
    assert len(tokens.given) == 2


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_smtp_server_takes_a_password(world, new_relay, smtp_server, method):
    s = smtp_server(SECRET, method)
    relay = new_relay({'route "out"': route(s.host, s.port, password=SECRET)})
    rcpt = f"bob@{world.name()}"
    submit(relay, rcpt)
    assert s.next() == {"method": method, "good": True}
    assert s.next() == {"rcpt": rcpt, "user": USER}
