"""etc/runbook.md: every command of it, in the trouble that it is for where that
can be had here."""

import os
import pathlib
import re
import smtplib

import pytest

from lab.hooks import Receiver, new_secret
from lab.logins import user
from lab.pages import TOP, Page, run_line
from lab.peer import Peer
from lab.send import Wire, submit
from test_cli import Shell, eventually
from test_disk import fill, relay_on, try_to_send

PAGE = Page("etc/runbook.md")
LATER = {"retry": {"schedule": ["1h"]}}
ANCHORS = """disk-full provider-down certificate-expired policy-refusal backlog
    dnssec-off auth-failures reload-failed store-trouble mode-not-live token-expired
    webhook-backlog relay-down""".split()


@pytest.fixture(scope="module")
def relay(world):
    r = world.relay(LATER)
    yield r
    r.close()


@pytest.fixture
def stuck(world, relay):
    """Mail that waits: its id, and its domain."""
    return wait_for_nobody(world, relay)


def wait_for_nobody(world, relay, sender="app@example.com"):
    domain = world.domain(world.nobody())
    mid = submit(relay, f"someone@{domain}", sender=sender)
    relay.log.one("delivery.deferred", mid=mid)
    return {"ID": mid, "example.org": domain}


def appear(world, host, ip):
    """A good one, at an address that is known already."""
    peer = Peer(world.loop, world.ledger, host, ip, world.mx_port, world.ca.good(host))
    world._peers.append(peer)


# --- the page itself ---


def slugs():
    heads = re.findall(r"^## (.*)$", PAGE.text, re.M)
    return {h.lower().replace(" ", "-"): h for h in heads}


def test_alerts_find_their_part():
    assert set(ANCHORS) <= set(slugs())


def test_each_trouble_is_tried_below():
    tried = pathlib.Path(__file__).read_text()
    for heading in slugs().values():
        assert f'"{heading}"' in tried, heading


def test_names_that_it_gives_are_there():
    metrics = (TOP / "etc" / "metrics.md").read_text()
    manual = (TOP / "etc" / "man" / "sealpost.8").read_text()
    for name in set(re.findall(r"`(sealpost_[a-z_]+)", PAGE.text)):
        assert f"`{name}`" in metrics, name
    table = (TOP / "relay" / "config" / "key.c").read_text()
    keys = {f"{s}.{k}" for s, k in re.findall(r'\{"(\w+)", "(\w+)", CONFIG', table)}
    for name in set(re.findall(r"`([a-z]+\.[a-z_]+)`", PAGE.text)):
        assert name in keys or f".It Li {name}" in manual or f" , {name}" in manual, name


# --- the troubles ---


def test_the_first_look(world, relay, stuck):
    said = PAGE.run("First look", relay, **stuck)
    assert "someone@" in said[1] and "could not be reached" in said[4]


def test_relay_down(world, new_relay):
    relay = new_relay(LATER)
    stuck = wait_for_nobody(world, relay)
    relay.kill()
    block = PAGE.blocks("Relay down")[0].splitlines()
    said = [run_line(line, relay, stuck) for line in block]
    assert said[0] and "someone@" in said[2]
    relay.start()
    assert run_line(block[0], relay, {}) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_disk_full(world, new_relay):
    relay, folder = relay_on(new_relay, 128)
    fill(folder / "filler")
    with Wire(relay.ip, relay.port) as c:
        codes = {try_to_send(c.ready(), "a@b.test", 200_000) for _ in range(5)}
    assert 452 in codes
    relay.log.one("store.room", takes_mail=False)
    place = {"/var/lib/sealpost": folder}
    PAGE.run("Disk full", relay, blocks=[0], **place)
    done = relay.cli("healthcheck", "ready", check=False)
    assert done.returncode == 1 and "the disk is nearly full" in done.stderr + done.stdout
    (folder / "filler").unlink()
    relay.log.one("store.room", takes_mail=True)
    assert PAGE.run("Disk full", relay, blocks=[1], **place) == [""]


def test_store_trouble(relay, stuck):
    PAGE.run("Store trouble", relay, **stuck)
    assert (relay.folder / "backups" / "sealpost.db").exists()
    (relay.folder / "backups" / "sealpost.db").unlink()


def test_backlog(world, relay):
    host, ip = f"mx.{world.name()}", world.address()
    world.dns.put(host, "A", ip)
    domain = world.domain(host)
    for n in range(3):
        mid = submit(relay, f"u{n}@{domain}", sender=f"app@{domain}")
    words = {"ID": mid, "example.org": domain, "app@example.com": f"app@{domain}"}
    sh = Shell(relay)
    eventually(lambda: any(r["last"] for r in sh.rows("--domain", domain)))
    said = PAGE.run("Backlog", relay, blocks=[0], **words)
    assert said[2].count(domain) >= 3
    said = PAGE.run("Backlog", relay, blocks=[1], **words)
    assert "3" in said[2] and "would" in said[2]
    appear(world, host, ip)
    PAGE.run("Backlog", relay, blocks=[2], **words)
    eventually(lambda: sh.rows("--domain", domain) == [])
    assert len(world.ledger.of(domain=domain)) == 3


def test_provider_down(world, new_relay):
    """It refuses the password, until it is the right one."""
    host = world.provider(port=2599)
    host.passwords["app"] = "good"
    relay = new_relay(start=False, config=LATER)
    secret = relay.folder / "provider.secret"
    secret.write_text("bad\n")
    secret.chmod(0o600)
    relay.config['route "provider"'] = {
        "to": ["@provider.test"], "via": [f"{host.host}:2599"],
        "user": "app", "password_file": str(secret),
    }
    relay.start()
    mid = submit(relay, "bob@provider.test")
    eventually(lambda: "held" in Shell(relay).ok("status"))
    words = {"ID": mid, "someone@example.org": "bob@provider.test"}
    said = PAGE.run("Provider down", relay, blocks=[0], **words)
    assert "provider" in said[0] and "credentials" in said[1]
    secret.write_text("good\n")
    PAGE.run("Provider down", relay, blocks=[1], **words)
    relay.log.one("delivery.sent", mid=mid)


def test_token_expired(world, new_relay):
    host, tokens = world.provider(port=2598), world.tokens()
    host.tokens["app"], host.mechanisms = {"t"}, ["XOAUTH2"]
    tokens.answers = [tokens.answer('{"error": "invalid_client"}', "401 No")]
    relay = new_relay(start=False, config=LATER)
    secret = relay.folder / "client.secret"
    secret.write_text("old\n")
    secret.chmod(0o600)
    relay.config['route "m365"'] = {
        "to": ["@token.test"], "via": [f"{host.host}:2598"], "user": "app",
        "oauth": {
            "token_url": tokens.url, "client_id": "id",
            "client_secret_file": str(secret), "ca": world.ca.path,
        },
    }
    relay.start()
    mid = submit(relay, "bob@token.test")
    relay.log.one("oauth.token", result="failed")
    eventually(lambda: "no access token" in Shell(relay).ok("status"))
    tokens.answers = [tokens.answer('{"access_token": "t", "token_type": "Bearer"}')]
    said = PAGE.run("Token expired", relay)
    assert "held" in said[0]
    relay.log.one("oauth.token", result="ok")
    relay.log.one("delivery.sent", mid=mid)


def test_policy_refusal(world, relay):
    host = f"mx.{world.name()}"
    peer = world.peer(host=host, cert=world.ca.expired(host))
    domain = world.sts(world.domain(peer), mx=[host])
    mid = submit(relay, f"someone@{domain}", sender="app@example.com")
    relay.log.one("delivery.deferred", mid=mid)
    words = {"ID": mid, "example.org": domain}
    said = PAGE.run("Policy refusal", relay, blocks=[0], **words)
    assert "has expired" in said[0] and "has expired" in said[1] and "enforce" in said[2]
    peer.close()
    appear(world, host, peer.ip)
    PAGE.run("Policy refusal", relay, blocks=[1, 2], **words)
    relay.log.one("delivery.sent", mid=mid)


def test_certificate_expired(world, new_relay):
    relay = new_relay(start=False)
    pair = relay.folder / "pair.pem"
    pair.touch(mode=0o600)
    pair.write_text(pathlib.Path(world.ca.expired("relay.lab.test").path).read_text())
    relay.config["tls"] = {"certificate": str(pair), "key": str(pair)}
    relay.start()
    relay.log.one("cert.expiry")
    said = PAGE.run("Certificate expired", relay)
    assert "pair.pem has expired" in said[1]
    fresh = relay.folder / "new.pem"
    fresh.touch(mode=0o600)
    fresh.write_text(pathlib.Path(world.relay_cert.path).read_text())
    fresh.rename(pair)
    relay.log.one("cert.reload")


def test_dnssec_off(relay, stuck):
    said = PAGE.run("DNSSEC off", relay, **stuck)
    assert "DNSSEC off" in said[0]


def test_auth_failures(world, new_relay):
    relay = new_relay(start=False)
    user(relay, "add", "shop")
    relay.config["users"] = {"file": str(relay.folder / "users")}
    relay.config['listener "app"'] |= {"auth": "optional", "auth_in_clear": True}
    relay.start()
    with smtplib.SMTP(relay.ip, relay.port) as c:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            c.login("shop", "wrong")
    relay.log.one("session.auth", ok=False, user="shop")
    said = PAGE.run("Auth failures", relay)
    assert "shop" in said[0]

    def logs_in():
        with smtplib.SMTP(relay.ip, relay.port) as c:
            try:
                return c.login("shop", "a new one")
            except smtplib.SMTPAuthenticationError:
                return None

    eventually(logs_in)


def test_reload_failed(relay):
    good = relay.config_file.read_text()
    relay.config_file.write_text(good + "moed = live\n")
    done = relay.cli("reload", check=False)
    assert done.returncode == 78 and "mode" in done.stderr
    relay.log.one("config.reload")
    relay.config_file.write_text(good)
    PAGE.run("Reload failed", relay)


def test_mode_not_live(world, relay):
    relay.write_config({"": {"mode": "sink"}})
    Shell(relay).ok("reload")
    relay.log.one("relay.mode")
    relay.write_config({"": {"mode": "live"}})
    said = PAGE.run("Mode not live", relay)
    assert "mode live" in said[-1]


def test_webhook_backlog(world, new_relay, tmp_path):
    receiver = Receiver()
    receiver.status = 403
    relay = new_relay({
        'webhook "app"': {
            "url": f"http://127.0.0.1:{receiver.port}/",
            "secret_file": str(new_secret(tmp_path)),
        }
    })
    try:
        mid = submit(relay, f"bob@{world.domain(world.peer())}")
        relay.log.one("webhook.delivery", result="failed")
        said = PAGE.run("Webhook backlog", relay)
        assert re.search(r"app +failing, 1 waiting", said[0]) and "403" in said[0]
        receiver.status = 200
        receiver.one("delivery.sent", mid=mid)
        relay.log.one("webhook.delivery", result="ok")
    finally:
        receiver.close()


def test_poison_message(relay, stuck):
    PAGE.run("Poison message", relay, **stuck)
    assert "Subject" in (relay.folder / "poison.eml").read_text()


def test_blocklisted_address(relay, stuck):
    said = PAGE.run("Blocklisted address", relay, **stuck)
    assert "held" in said[1] and "released" in said[-1]


def test_suspected_open_relay(world, new_relay):
    relay = new_relay(LATER)
    stuck = wait_for_nobody(world, relay, sender="stranger@spam.example")
    said = PAGE.run("Suspected open relay", relay, **stuck)
    assert "no listener relays for strangers" in said[2]


def test_clock_wrong(relay, stuck):
    said = PAGE.run("Clock wrong", relay, **stuck)
    assert "clock" in said[0]


@pytest.mark.parametrize(
    "heading", ["Lost machine", "Upgrade and rollback", "Moving to another host"]
)
def test_the_queue_comes_back(world, new_relay, heading):
    relay = new_relay(LATER)
    stuck = wait_for_nobody(world, relay)
    said = PAGE.run(heading, relay, **stuck)
    assert any("start the relay" in s for s in said), said
    if not relay.is_up():
        relay.start()
    assert [r["id"] for r in Shell(relay).rows()] == [stuck["ID"]]
