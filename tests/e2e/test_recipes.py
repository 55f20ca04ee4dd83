"""The configurations of README and etc/recipes.md, tried as they stand there.

What a test changes in their text is in `SUBSTITUTES`, and what it says by the
environment in `Recipe.lab`: where things are, and whom to trust.  Names of other
people's servers stay, and lead to servers of the lab."""

import base64
import json
import os
import pathlib
import re
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from lab import net
from lab.hooks import Receiver
from lab.logins import PASSWORD
from lab.pages import Page, run_line
from lab.relay import Relay, binary, environment
from lab.send import message, submit
from lab.signatures import make, pem, verified
from test_dkim import zone_line
from test_route_peers import SmtpServer

TOP = pathlib.Path(__file__).parents[2]
PAGES = {
    "README.md": (TOP / "README.md").read_text(),
    "etc/recipes.md": (TOP / "etc" / "recipes.md").read_text(),
}
SENDER = "mailer@example.com"
MAILBOX = "mailer@corp.example"
SECRET = "whsec_" + base64.b64encode(b"x" * 32).decode() + "\n"

# What stands there -> what it is here, with {folder}, {ip} and {port} of the relay.
SUBSTITUTES = {
    "/etc/sealpost": "{folder}",
    "/run/secrets": "{folder}",
    "/var/lib/sealpost": "{folder}/state",
    "127.0.0.1:25": "{ip}:{port}",
    "0.0.0.0:2525": "{ip}:{port}",
    "0.0.0.0:8025": "{ip}:8025",
    "0.0.0.0:587": "{ip}:{port}",
    "0.0.0.0:465": "{ip}:{tls_port}",
    "10.0.7.1:587": "{ip}:{port}",
    "10.0.7.0/24": "127.0.0.0/8",
    "chown sealpost": "chmod 600",
}


def blocks(page, heading):
    """The fenced blocks under a heading, as (kind, text)."""
    section = re.split(r"^#+ ", PAGES[page], flags=re.M)
    (text,) = [s for s in section if s.startswith(heading + "\n")]
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def block(page, heading, kind="conf", words=""):
    (found,) = [t for k, t in blocks(page, heading) if k == kind and words in t]
    return found


class Recipe(Relay):
    """A relay with the text of a recipe for its configuration."""

    def __init__(self, world, text, kind="conf"):
        super().__init__(world, start=False)
        self.kind, self.recipe = kind, text
        self.environ = self.lab()
        for there, here in SUBSTITUTES.items():
            self.recipe = self.recipe.replace(there, here.format(**vars(self)))
        if kind == "env":
            pairs = (line.split("=", 1) for line in self.recipe.splitlines())
            self.environ |= dict(pairs)
        self.write_config()

    def lab(self):
        w = self.world
        return {
            "SSL_CERT_FILE": w.ca.path,
            "SEALPOST_HOSTNAME": "relay.lab.test",
            "SEALPOST_STATE_DIRECTORY": f"{self.folder}/state",
            "SEALPOST_CONTROL__SOCKET": f"{self.folder}/control.sock",
            "SEALPOST_LISTENER__APP__ADDRESS": f"{self.ip}:{self.port}",
            "SEALPOST_HTTP__ADDRESS": "",
            "SEALPOST_LOG__FORMAT": "json",
            "SEALPOST_RESOLVER__SERVERS": f"{w.dns.ip}:{w.dns.port}",
            "SEALPOST_RESOLVER__DNSSEC": "off",
            "SEALPOST_POLICY__HTTPS_PORT": str(w.policies.port),
            "SEALPOST_DELIVERY__PORT": str(w.mx_port),
            "SEALPOST_DELIVERY__ALLOW_PRIVATE": "true",
        }

    def write_config(self, changes=None):
        if "listener " in self.recipe:
            self.environ.pop("SEALPOST_LISTENER__APP__ADDRESS", None)
        self.config_file.write_text("" if self.kind == "env" else self.recipe)
        (self.folder / "state").mkdir(exist_ok=True)

    def put(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)

    def put_certificate(self):
        pem = pathlib.Path(self.world.relay_cert.path).read_text()
        for name in ("cert.pem", "key.pem"):
            self.put(name, pem)

    def check(self):
        return self.run("check")

    def run(self, *words):
        return subprocess.run(
            [binary(), *words, "-c", str(self.config_file)],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment(**self.environ),
        )

    def start(self, ready=True):
        done = self.check()
        assert done.returncode == 0 and "warning: " not in done.stderr, done.stderr
        return super().start(ready)


@pytest.fixture
def recipe(world):
    made = []

    def make(heading, kind="conf", page="etc/recipes.md", words=""):
        made.append(Recipe(world, block(page, heading, kind, words), kind))
        return made[-1]

    yield make
    for r in made:
        r.close()


@pytest.fixture(scope="module")
def somebody(world):
    """At example.com, where the recipes are at home."""
    world.domain(world.peer(), name="example.com")
    return "somebody@example.com"


@pytest.fixture
def servers(world):
    """Hosts of others, at their own names and ports."""
    made = []

    def make(host, token, method, user):
        try:
            made.append(SmtpServer(world, token, method, host, 587, user))
        except AssertionError as e:
            if "EACCES" in str(e):
                pytest.skip("only root may bind port 587")
            raise
        return made[-1]

    yield make
    for s in made:
        s.close()


def expect_in_turn(server, method, user, rcpt):
    assert server.next() == {"method": method, "good": True}
    assert server.next() == {"rcpt": rcpt, "user": user}


def test_every_recipe_passes_check(world):
    """And none comes in without its test below."""
    tried = pathlib.Path(__file__).read_text().rpartition("def recipe_for_check")[2]
    for page, text in PAGES.items():
        for section in re.split(r"^#+ ", text, flags=re.M):
            heading = section.partition("\n")[0]
            if not re.search(r"^```(conf|env)$", section, re.M):
                continue
            for kind, found in blocks(page, heading):
                if kind == "sh":
                    continue
                assert f'"{heading}"' in tried
                words = re.search(r'^route ("\w+")', found)
                assert not words or words[1] in tried
                assert recipe_for_check(world, found, kind).returncode == 0


def test_every_configuration_of_a_document_passes_check(world):
    for path in (TOP / "README.md", *TOP.glob("etc/**/*.md")):
        for text in re.findall(r"^```conf\n(.*?)^```$", path.read_text(), re.M | re.S):
            done = recipe_for_check(world, text, "conf")
            assert done.returncode == 0 and "warning: " not in done.stderr, (path, done)


def recipe_for_check(world, text, kind):
    """Everything that a recipe needs is there."""
    r = Recipe(world, text, kind)
    try:
        r.put_certificate()
        for name in ("users", "relayhost", *re.findall(r"[\w.]+\.(?:secret|token)", text)):
            r.put(name, "" if name == "users" else SECRET)
        for key in re.findall(r"[\w.]+\.pem", text):
            r.put(key, pem(make("2048")).decode()) if ".s" in key else None
        return r.check()
    finally:
        r.discard()


def test_the_commands_of_the_first_screen(world, new_relay):
    relay, page = new_relay(), Page("README.md")
    words = {"build/sealpost": "sealpost", "bank.example": world.domain(world.peer())}
    send, trace = page.blocks("# Sealpost")[0].replace("\\\n", " ").splitlines()
    words["ID"] = re.search(r"queued as (\w+)", run_line(send, relay, words))[1]
    relay.log.one("delivery.sent", mid=words["ID"])
    said = run_line(trace, relay, words)
    assert "250 2.0.0 kept" in said and "delivered" in said
    waiting = submit(relay, f"ann@{world.domain(world.nobody())}")
    relay.log.one("delivery.deferred", mid=waiting)
    said = page.run("Look around", relay, [0], **(words | {"ID": waiting}))
    assert "mode live" in said[0] and waiting in said[1] and "waits" in said[2]


def test_the_ways_to_start_of_the_first_screen(tmp_path):
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    lines = Page("README.md").blocks("Look around")[1].splitlines()
    taken, provider, sink = [
        json.loads(
            subprocess.run(
                ["sh", "-c", x.replace("./scripts/run", f"{os.path.abspath(binary())} check --json")],
                capture_output=True, text=True, check=True, cwd=tmp_path,
                env=environment(),
            ).stdout
        )
        for x in lines if not x.startswith("#")
    ]
    assert taken["http.address"]["value"] == "127.0.0.1:8026"
    assert provider["route.relayhost.user"]["value"] == "me"
    assert sink["mode"]["value"] == "sink"


def test_the_configuration_of_the_readme(recipe):
    relay = recipe("Configure", page="README.md").start()
    done = relay.run("route", "test", "shop@example.com", "ann@partner.example")
    assert "smtp.provider.example:587" in done.stdout


def test_the_relay_is_watched_as_the_readme_says(recipe):
    relay = recipe("Watch it", page="README.md")
    relay.environ.pop("SEALPOST_HTTP__ADDRESS")
    relay.put("http.token", "0123456789abcdef\n")
    relay.start()
    for path, status in (("/", 200), ("/livez", 200), ("/metrics", 401)):
        assert answer(f"http://{relay.ip}:8025{path}") == status
    assert answer(f"http://{relay.ip}:8025/metrics", "0123456789abcdef") == 200


def answer(url, token=None):
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields)) as r:
            return r.status
    except urllib.error.HTTPError as e:
        return e.code


def test_an_application_sends_over_http(world, new_relay):
    page, domain = Page("etc/recipes.md"), world.domain(world.peer())
    relay = new_relay(start=False)
    relay.config["http"] = {"address": f"{relay.ip}:8025"}
    relay.start()
    (block,) = page.blocks("An application that sends over HTTP")
    command = block.replace("\\\n", " ")
    words = {"127.0.0.1": relay.ip, "example.org": domain}
    ids = {run_line(command, relay, words) for _ in range(2)}
    assert len(ids) == 1
    assert b"Subject: Your order" in world.ledger.one(f"ann@{domain}").data


def test_an_application_is_told_what_became_of_its_mail(world, recipe):
    ip = world.address()
    world.dns.put("shop.example.com", "A", ip)
    try:
        receiver = Receiver(world.ca.good("shop.example.com"), ip, 443)
    except PermissionError:
        pytest.skip("only root may bind port 443")
    relay = recipe("An application that is told what became of its mail")
    relay.put("shop.secret", SECRET)
    relay.start()
    try:
        sender, rcpt = "orders@shop.example.com", f"you@{world.domain(world.peer())}"
        mid = submit(relay, rcpt, sender=sender)
        assert receiver.one("delivery.sent", mid=mid)
    finally:
        receiver.close()


def test_applications_on_the_same_host(world, recipe, somebody):
    relay = recipe("Applications on the same host").start()
    submit(relay, somebody, sender=SENDER)
    assert world.ledger.wait(somebody)[-1].mail == SENDER
    with smtplib.SMTP(relay.ip, relay.port) as c:
        c.ehlo()
        assert c.mail("spam@elsewhere.example")[0] == 550


def test_a_sidecar(world, recipe, servers):
    server = servers("smtp.provider.example", PASSWORD, "PLAIN", "shop")
    relay = recipe("A sidecar in a container", "env")
    relay.put("relayhost", PASSWORD + "\n")
    relay.start()
    rcpt = f"you@{world.name()}"
    submit(relay, rcpt)
    expect_in_turn(server, "PLAIN", "shop", rcpt)


def test_applications_elsewhere(world, recipe, somebody):
    relay = recipe("Applications elsewhere")
    relay.put_certificate()
    (words,) = re.findall(r"`(sealpost user add[^`]*)`", PAGES["etc/recipes.md"])
    _, *words = words.split()
    users = relay.folder / "users"
    made = subprocess.run(
        [binary(), *words, "--file", str(users)],
        input=PASSWORD + "\n", text=True, timeout=30, env=environment(),
    )
    assert made.returncode == 0
    relay.start()
    context = ssl.create_default_context(cafile=world.ca.path)
    context.check_hostname = False  # it is found by its address
    sender = "orders@shop.example.com"
    came = len(world.ledger.of(somebody))
    with smtplib.SMTP(relay.ip, relay.port) as c:
        c.starttls(context=context)
        c.login("shop", PASSWORD)
        c.sendmail(sender, [somebody], message(sender=sender))
    with smtplib.SMTP_SSL(relay.ip, relay.tls_port, context=context) as c:
        c.login("shop", PASSWORD)
        c.sendmail(sender, [somebody], message(sender=sender))
        c.ehlo()
        assert c.mail(SENDER)[0] == 553
    got = world.ledger.wait(somebody, count=came + 2)
    assert {d.mail for d in got[came:]} == {sender}


def test_printers_and_scanners(world, recipe, somebody):
    """One that knows TLS 1.0 only."""
    relay = recipe("Printers and scanners")
    relay.put_certificate()
    relay.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    came = len(world.ledger.of(somebody))
    with smtplib.SMTP(relay.ip, relay.port) as c:
        c.ehlo()
        assert c.mail(SENDER) == (530, b"5.7.0 No mail in clear: turn on STARTTLS")
        c.starttls(context=context)
        assert c.sock.version() == "TLSv1"
        c.ehlo()
        c.sendmail(SENDER, [somebody], message(sender=SENDER))
        c.mail(SENDER)
        assert c.rcpt("you@elsewhere.example")[0] == 550
    got = world.ledger.wait(somebody, count=came + 1)[-1]
    assert b"with ESMTPS (TLSv1 " in got.data.replace(b"\r\n\t", b" ")


def tokens_at(world, host):
    try:
        return world.tokens(host, 443)
    except PermissionError:
        pytest.skip("only root may bind port 443")


def test_microsoft_365(world, recipe, servers):
    tokens = tokens_at(world, "login.microsoftonline.com")
    tokens.answers = [tokens.answer('{"access_token": "t", "token_type": "Bearer"}')]
    server = servers("smtp.office365.com", "t", "XOAUTH2", MAILBOX)
    relay = recipe("Through a provider", words='"m365"')
    relay.put("m365.secret", "secret\n")
    relay.start()
    rcpt = f"you@{world.name()}"
    submit(relay, rcpt, sender=SENDER)
    expect_in_turn(server, "XOAUTH2", MAILBOX, rcpt)
    assert tokens.asked[0]["grant_type"] == "client_credentials"
    assert tokens.asked[0]["client_secret"] == "secret"


def test_google(world, recipe, servers):
    tokens = tokens_at(world, "oauth2.googleapis.com")
    tokens.answers = [tokens.answer('{"access_token": "t", "token_type": "Bearer"}')]
    server = servers("smtp.gmail.com", "t", "XOAUTH2", MAILBOX)
    relay = recipe("Through a provider", words='"google"')
    relay.put("google.secret", "secret\n")
    relay.put("google.token", "1//refresh-of-google\n")
    relay.start()
    rcpt = f"you@{world.name()}"
    submit(relay, rcpt, sender=SENDER)
    expect_in_turn(server, "XOAUTH2", MAILBOX, rcpt)
    assert tokens.asked[0]["grant_type"] == "refresh_token"
    assert tokens.asked[0]["refresh_token"] == "1//refresh-of-google"


def test_amazon_ses(world, recipe, servers):
    relay = recipe("Through a provider", words='"ses"')
    user = re.search(r'user = "(.*)"', relay.recipe)[1]
    host = re.search(r'via = {"(.*):587"}', relay.recipe)[1]
    server = servers(host, PASSWORD, "LOGIN", user)
    relay.put("ses.secret", PASSWORD + "\n")
    relay.start()
    rcpt = f"you@{world.name()}"
    submit(relay, rcpt, sender=SENDER)
    expect_in_turn(server, "LOGIN", user, rcpt)


def test_direct_mx_with_dkim(world, recipe, tmp_path):
    relay = recipe("Direct MX with DKIM")
    (tmp_path / "sealpost").symlink_to(pathlib.Path(binary()).resolve())
    (commands,) = [t for k, t in blocks("etc/recipes.md", "Direct MX with DKIM") if k == "sh"]
    for there, here in SUBSTITUTES.items():
        commands = commands.replace(there, here.format(**vars(relay)))
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = subprocess.run(
        ["sh", "-e"], input=commands, capture_output=True, text=True, timeout=60,
        env=environment(PATH=path),
    )
    assert said.returncode == 0, said.stderr
    for line in said.stdout.splitlines():
        name, strings = zone_line(line)
        world.dns.txt(name.rstrip("."), *strings)
    relay.start()
    rcpt = f"you@{world.domain(world.peer())}"
    submit(relay, rcpt, sender=SENDER, data=message(sender=SENDER))
    found = verified(world, world.ledger.one(rcpt).data)
    assert {(d, s) for d, s, _ in found} == {("example.com", "s1"), ("example.com", "s2")}
