"""Is this host fit to send?  Each finding with its cause, and back to good."""

import json
import time

import pytest

from lab.relay import HOSTNAME
from test_cli import Shell


@pytest.fixture
def healthy(world):
    """A host that others know by the name it says."""
    world.dns.put(HOSTNAME, "A", "127.0.0.1")
    world.dns.put("1.0.0.127.in-addr.arpa", "PTR", f"{HOSTNAME}.")
    yield
    world.dns.drop(HOSTNAME)
    world.dns.drop("1.0.0.127.in-addr.arpa")


class Findings:
    def __init__(self, done):
        self.code = done.returncode
        self.told = json.loads(done.stdout)
        self.all = self.told["findings"]
        worst = {"ok": 0, "note": 0, "warning": 1, "failure": 2}
        assert self.code == worst[self.told["result"]]
        assert self.code == max(worst[f["level"]] for f in self.all)

    def of(self, check):
        return [(f["level"], f["text"]) for f in self.all if f["check"] == check]

    def one(self, check):
        (found,) = self.of(check)
        return found


def examine(world, relay, *words):
    peer = world.domain(world.peer())
    given = [] if "--to" in words else ["--to", peer]
    return Findings(Shell(relay)("doctor", "--json", *given, *words))


def stopped(new_relay, config=None):
    """One that is configured and does not run."""
    relay = new_relay(config, start=False)
    relay.write_config()
    return relay


def test_a_host_that_is_fit(world, shared_relay, healthy):
    found = examine(world, shared_relay)
    for check in ("config", "relay", "state", "certificate", "open relay"):
        assert found.one(check)[0] == "ok", found.all
    assert found.one("port 25")[0] == "ok" and found.one("ptr")[0] == "ok"
    assert found.one("helo") == ("ok", f"we say {HOSTNAME}")
    level, why = found.one("dnssec")  # the lab's resolver has no signatures
    assert level == "warning" and "off" in why
    text = Shell(shared_relay)("doctor", "--to", world.domain(world.peer())).stdout
    assert all(line.split()[0] in ("ok", "note", "warning") for line in text.splitlines())


def test_it_works_without_a_relay(world, new_relay, healthy):
    found = examine(world, stopped(new_relay))
    assert found.one("relay")[0] == "note" and found.one("port 25")[0] == "ok"
    assert found.code < 2, found.all


def test_a_configuration_that_cannot_be_used_ends_it(world, new_relay):
    relay = stopped(new_relay)
    relay.config_file.write_text("nonsense = 1\n")
    found = Findings(Shell(relay)("doctor", "--json"))
    assert found.code == 2 and "nonsense" in str(found.of("config"))


def test_port_25_that_is_closed(world, shared_relay, healthy):
    found = examine(world, shared_relay, "--to", world.domain(world.nobody()))
    level, why = found.one("port 25")
    assert level == "failure" and "refused" in why


def test_the_next_host_is_tried(world, shared_relay, healthy):
    to = world.domain(world.nobody(), world.peer())
    assert examine(world, shared_relay, "--to", to).one("port 25")[0] == "ok"


def test_names_that_do_not_agree(world, shared_relay, healthy):
    reverse = "1.0.0.127.in-addr.arpa"
    world.dns.drop(reverse)
    found = examine(world, shared_relay)
    assert found.code == 2 and found.one("ptr")[0] == "failure"
    world.dns.put(reverse, "PTR", "other.test.")
    level, why = examine(world, shared_relay).one("ptr")
    assert level == "warning" and "other.test" in why and HOSTNAME in why
    world.dns.put(reverse, "PTR", f"{HOSTNAME}.")
    world.dns.put(HOSTNAME, "A", "192.0.2.9")
    found = examine(world, shared_relay)
    assert "does not lead back" in found.one("ptr")[1]
    assert ("warning" in [level for level, _ in found.of("helo")])
    world.dns.drop(HOSTNAME)
    assert examine(world, shared_relay).of("helo")[0][0] == "failure"


def test_dns_that_is_silent_takes_no_longer_than_it_says(world, new_relay):
    silent = {"servers": ["127.88.0.1:9"], "timeout": "30s"}
    relay = stopped(new_relay, {"resolver": silent})
    begun = time.monotonic()
    found = Findings(Shell(relay)("doctor", "--json", "--domain", "x.test"))
    assert time.monotonic() - begun < 45
    assert found.code == 2 and found.one("port 25")[0] == "failure"


@pytest.mark.parametrize(
    "networks, level",
    [("0.0.0.0/0", "failure"), ("8.0.0.0/14", "failure"), ("8.8.8.0/24", "ok")],
)
def test_an_open_relay_is_found(world, new_relay, healthy, networks, level):
    """The widest networks are refused as configuration already."""
    wide = {"address": "0.0.0.0:2599"}
    relay = stopped(
        new_relay, {"access": {"networks": [networks]}, 'listener "wide"': wide}
    )
    found = examine(world, relay)
    assert (found.of("open relay") or found.of("config"))[0][0] == level


def test_auth_closes_a_listener_for_all_networks(
    world, new_relay, healthy, tmp_path
):
    users = tmp_path / "users"
    users.write_text("")
    users.chmod(0o600)
    wide = {"address": "0.0.0.0:2599", "tls": "required", "auth": "required"}
    relay = stopped(
        new_relay,
        {
            "access": {"networks": ["8.0.0.0/14"]},
            "users": {"file": str(users)},
            'listener "wide"': wide,
        },
    )
    assert examine(world, relay).one("open relay")[0] == "ok"


def test_a_certificate_near_its_end(world, new_relay, healthy):
    bad = world.ca.expired("relay.lab.test")
    relay = stopped(
        new_relay,
        {"tls": {"certificate": bad.path, "key": bad.path}}
    )
    level, why = examine(world, relay).one("certificate")
    assert level == "failure" and "expired" in why


def test_routes_instead_of_port_25(world, new_relay, healthy):
    up, down = world.peer(), world.nobody()
    via = lambda *hosts: [f"{h}:{world.mx_port}" for h in hosts]
    relay = stopped(
        new_relay,
        {
            'route "some"': {"to": ["@x.test"], "via": via(down, up.host)},
            'route "none"': {"to": ["@y.test"], "via": via(down)},
            'route "all"': {"to": ["*"], "via": via(up.host)},
        },
    )
    found = examine(world, relay)
    levels = {text.split('"')[1]: level for level, text in found.of("route")}
    assert levels == {"some": "warning", "none": "failure", "all": "ok"}
    assert found.one("port 25")[0] == "note" and not found.of("ptr")


def test_what_a_domain_publishes_is_shown(world, shared_relay, healthy):
    d = world.name()
    found = examine(world, shared_relay, "--domain", d)
    assert {c: found.one(c)[0] for c in ("spf", "dmarc", "mta-sts", "tlsrpt")} == {
        "spf": "warning",
        "dmarc": "warning",
        "mta-sts": "note",
        "tlsrpt": "note",
    }
    assert "not signed" in found.one("dkim")[1]
    world.dns.txt(d, "v=spf1 a -all")
    world.dns.txt(d, "something else")
    world.dns.txt(f"_dmarc.{d}", "v=DMARC1; p=reject")
    world.dns.txt(f"_mta-sts.{d}", "v=STSv1; id=1;")
    world.dns.txt(f"_smtp._tls.{d}", "v=TLSRPTv1; rua=mailto:a@b.test")
    found = examine(world, shared_relay, "--domain", d)
    assert found.one("spf") == ("ok", f"{d}: v=spf1 a -all")
    assert [found.one(c)[0] for c in ("dmarc", "mta-sts", "tlsrpt")] == ["ok"] * 3
    world.dns.txt(d, "v=spf1 ~all")
    level, why = examine(world, shared_relay, "--domain", d).one("spf")
    assert level == "failure" and "has 2" in why


def test_keys_are_compared_with_dns(world, new_relay, healthy, tmp_path):
    d = world.name()
    sh = Shell(stopped(new_relay))
    key = tmp_path / "key.pem"
    record = sh.ok("dkim", "keygen", d, "s1", "--ed25519", "-o", str(key), config=False)
    relay = stopped(new_relay, {f'dkim "{d}"': {"selector": "s1", "key": str(key)}})
    assert examine(world, relay, "--domain", d).one("dkim")[0] == "failure"
    world.dns.txt(f"s1._domainkey.{d}", record.split('"')[1])
    assert examine(world, relay, "--domain", d).one("dkim")[0] == "ok"


def test_a_slip_is_64(shared_relay):
    sh = Shell(shared_relay)
    for words in (["x"], ["--domain", "a..b"], ["--to", ""]):
        assert sh("doctor", *words).returncode == 64, words
