"""sealpost probe: what would happen to mail for a domain, tried out."""

import hashlib
import json
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab.relay import binary, environment
from lab.script import EHLO, EHLO_TLS, GREETING, STARTTLS, Sleep

OK, WOULD_NOT, UNKNOWN = 0, 1, 75


def run(relay, *words):
    return subprocess.run(
        [binary(), "probe", *words, "--config", str(relay.config_file)],
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(),
    )


def probe(relay, *words, code=OK):
    """The document, after a look at the exit code; the text for people must
    come to the same."""
    shown = run(relay, *words)
    done = run(relay, *words, "--json")
    assert done.returncode == shown.returncode == code, (done, shown)
    assert done.stderr == shown.stderr == ""
    found = json.loads(done.stdout)
    for host in found["hosts"]:
        assert host["name"] in shown.stdout
        assert f": {host['state']}" in shown.stdout
    found["shown"] = shown.stdout
    return found


@pytest.fixture
def good(world):
    return world.peer()


@pytest.fixture
def bad(world):
    """An MX host whose certificate is for another name."""
    host = f"mx.{world.name()}"
    return world.peer(host, cert=world.ca.good("elsewhere.test"))


def test_a_good_host_is_shown_with_policy_and_chain(world, relay, good):
    d = world.sts(world.domain(good), mx=[good])
    found = probe(relay, d)
    assert found["verdict"] == "deliverable"
    assert found["plan"] == "go"
    assert found["mx"] == {
        "state": "found",
        "why": None,
        "authentic": False,
        "canonical": None,
    }
    policy = found["mta_sts"]["policy"]
    assert (policy["mode"], policy["id"]) == ("enforce", "1")
    assert policy["text"].splitlines()[0] == "version: STSv1"
    (host,) = found["hosts"]
    assert host["state"] == "deliverable"
    assert host["why"] is None
    assert host["preference"] == 10
    assert host["address"] == f"{good.ip}:{world.mx_port}"
    assert (host["proof"], host["policy"]) == ("pkix", "mta-sts enforce")
    assert "PIPELINING" in host["capabilities"]
    tls = host["tls_session"]
    assert tls["version"] == "TLSv1.3"
    assert (tls["verdict"], tls["matched"]) == ("verified", good.host)
    (leaf,) = tls["chain"]
    assert leaf["subject"] == f"CN={good.host}"
    assert leaf["issuer"] == "CN=Lab CA"
    assert leaf["not_before"] < leaf["not_after"]
    assert f"mail would be delivered to {good.host}, TLSv1.3" in found["shown"]
    assert "                mode: enforce\n" in found["shown"]


def test_it_sends_no_mail(world, relay, good):
    d = world.domain(good)
    probe(relay, d)
    assert not [c for c in good.commands if c.startswith(("MAIL", "RCPT"))]
    assert [c for c in good.commands if c.startswith("EHLO")]
    assert not world.ledger.of(domain=d)


def test_a_wrong_name_is_refused_and_still_shown(world, relay, bad):
    d = world.sts(world.domain(bad), mx=[bad])
    found = probe(relay, d, code=WOULD_NOT)
    assert found["verdict"] == "undeliverable"
    (host,) = found["hosts"]
    assert (host["state"], host["step"]) == ("refused", "TLS")
    assert "mta-sts enforce" in host["why"]
    assert "elsewhere.test" in host["why"]
    assert host["tls_session"]["verdict"] == "wrong name"
    assert host["tls_session"]["chain"][0]["subject"] == "CN=elsewhere.test"


@pytest.mark.parametrize("kind", ["expired", "self_signed"])
def test_a_certificate_that_proves_nothing_is_refused(world, relay, kind):
    name = f"mx.{world.name()}"
    mx = world.peer(name, cert=getattr(world.ca, kind)(name))
    d = world.sts(world.domain(mx), mx=[mx])
    (host,) = probe(relay, d, code=WOULD_NOT)["hosts"]
    assert host["state"] == "refused"
    assert host["tls_session"]["verdict"] in ("expired", "not trusted")
    assert len(host["tls_session"]["chain"]) == 1


def test_a_stripped_starttls_is_refused(world, relay):
    mx = world.peer(offer=False)
    d = world.sts(world.domain(mx), mx=[mx])
    (host,) = probe(relay, d, code=WOULD_NOT)["hosts"]
    assert (host["state"], host["step"]) == ("refused", "STARTTLS")
    assert host["tls_session"] is None
    assert "STARTTLS" not in host["capabilities"]


def test_the_next_host_will_do(world, relay, good, bad):
    d = world.sts(world.domain(bad, good), mx=[bad, good])
    found = probe(relay, d)
    assert [h["state"] for h in found["hosts"]] == ["refused", "deliverable"]
    assert f"delivered to {good.host}" in found["shown"]


def test_a_host_that_the_policy_does_not_list_is_not_called_on(world, relay, good):
    other = world.peer()
    d = world.sts(world.domain(other, good), mx=[good])
    found = probe(relay, d)
    first, second = found["hosts"]
    assert (first["state"], second["state"]) == ("not used", "deliverable")
    assert "does not list this host" in first["why"]
    assert other.commands == []


def test_a_policy_that_lists_no_host_makes_mail_wait(world, relay, good):
    d = world.sts(world.domain(good), mx=["mx.elsewhere.test"])
    found = probe(relay, d, code=WOULD_NOT)
    assert found["plan"] == "defer"
    assert "4.7.5" in found["status"]
    assert "wait and try again: 451 4.7.5" in found["shown"]


def test_testing_delivers_and_says_what_enforce_would_do(world, relay, bad):
    d = world.sts(world.domain(bad), mode="testing", mx=[bad])
    found = probe(relay, d)
    (host,) = found["hosts"]
    assert (host["state"], host["policy"]) == ("deliverable", "mta-sts testing")
    assert "enforced, it would refuse" in host["why"]
    assert host["tls_session"]["verdict"] == "wrong name"


def test_without_a_policy_clear_text_will_do(world, relay):
    mx = world.peer(tls=False)
    found = probe(relay, world.domain(mx))
    assert found["mta_sts"] == {"state": "absent", "why": None, "policy": None}
    (host,) = found["hosts"]
    assert (host["proof"], host["in_clear"]) == ("none", True)
    assert "in clear" in found["shown"].splitlines()[0]


def test_null_mx_is_a_no(world, relay):
    d = world.name()
    world.dns.add(d, "MX", "0 .")
    found = probe(relay, d, code=WOULD_NOT)
    assert (found["mx"]["state"], found["plan"]) == ("null", "refuse")
    assert found["status"].startswith("556 5.1.10")
    assert found["hosts"] == []


def test_a_domain_that_is_not_there_is_a_no(world, relay):
    found = probe(relay, f"nowhere.{world.name()}", code=WOULD_NOT)
    assert found["mx"]["state"] == "nxdomain"


def test_dns_in_trouble_can_t_tell(world, relay):
    d = world.name()
    world.dns.behave(d, "servfail")
    found = probe(relay, d, code=UNKNOWN)
    assert (found["verdict"], found["mx"]["state"]) == ("unknown", "unknown")
    assert "could not tell" in found["shown"]


def test_a_host_where_nobody_listens_can_t_tell(world, relay):
    (host,) = probe(relay, world.domain(world.nobody()), code=UNKNOWN)["hosts"]
    assert (host["state"], host["step"]) == ("unknown", "connect")


@pytest.mark.parametrize(
    "greeting, code, state",
    [
        (b"421 4.3.2 later\r\n", UNKNOWN, "unknown"),
        (b"554 5.7.1 go away\r\n", WOULD_NOT, "refused"),
        (b"hello\r\n", UNKNOWN, "unknown"),
    ],
    ids=["421", "554", "babble"],
)
def test_a_host_that_says_no(world, relay, greeting, code, state):
    mx = world.scripted([greeting, Sleep(1)])
    (host,) = probe(relay, world.domain(mx), code=code)["hosts"]
    assert host["state"] == state


def test_a_host_that_hangs_up_can_t_tell(world, relay):
    mx = world.scripted([GREETING])
    (host,) = probe(relay, world.domain(mx), code=UNKNOWN)["hosts"]
    assert "closed" in host["why"] or "lost" in host["why"]


def test_a_handshake_that_fails_is_no_end_without_a_policy(world, relay):
    broken = [GREETING, *EHLO_TLS, *STARTTLS, b"what?\r\n", Sleep(1)]
    mx = world.scripted(broken)
    d = world.domain(mx)
    (host,) = probe(relay, d)["hosts"]
    assert (host["state"], host["in_clear"]) == ("deliverable", True)
    assert "mail would go in clear" in host["why"]
    world.sts(d, mx=[mx])
    (host,) = probe(relay, d, code=WOULD_NOT)["hosts"]
    assert (host["state"], host["step"]) == ("refused", "TLS")
    assert host["tls_session"]["verdict"] == "broken"


@pytest.mark.parametrize("cut", range(4))
def test_a_host_may_hang_up_at_any_step(world, relay, cut):
    steps = [GREETING, *EHLO_TLS, *STARTTLS]
    mx = world.scripted(steps[: 1 + cut])
    d = world.sts(world.domain(mx), mx=[mx])
    done = run(relay, d)
    assert done.returncode in (WOULD_NOT, UNKNOWN), done


def test_what_is_known_is_looked_up_anew(world, relay, good, bad):
    d = world.domain(good)
    assert probe(relay, d)["hosts"][0]["name"] == good.host
    world.dns.put(d, "MX", f"10 {bad.host}.")
    assert probe(relay, d)["hosts"][0]["name"] == bad.host


def test_one_host_alone(world, relay, good, bad):
    d = world.sts(world.domain(bad, good), mx=[bad, good])
    found = probe(relay, d, "--mx", bad.host, code=WOULD_NOT)
    assert [h["state"] for h in found["hosts"]] == ["refused", "not asked"]
    assert good.commands == []
    dotted = probe(relay, d, "--mx", good.host.upper() + ".")
    assert [h["state"] for h in dotted["hosts"]] == ["not asked", "deliverable"]
    other = run(relay, d, "--mx", "mx.elsewhere.test")
    assert other.returncode == 66
    assert f"mx.elsewhere.test is no MX host of {d}" in other.stderr


def test_a_route_s_own_address_is_where_a_probe_comes_from(world, new_relay, good):
    """Who lets in that address alone lets in the mail."""
    usual, own = world.address(), world.address()
    r = new_relay(
        {
            "delivery": {"bind": [usual]},
            'route "out"': {
                "to": ["@bound.test"],
                "via": [f"{good.host}:{good.port}"],
                "bind": [own],
            },
        }
    )
    before = set(good.clients)
    assert probe(r, "bound.test")["verdict"] == "deliverable"
    assert {good.clients[n] for n in set(good.clients) - before} == {own}


def test_a_route_is_followed(world, new_relay, good):
    host = world.peer()
    r = new_relay(
        {
            'route "out"': {
                "to": ["@routed.test"],
                "via": [f"{host.host}:{world.mx_port}"],
                "tls": "verified",
            }
        }
    )
    found = probe(r, "routed.test")
    assert (found["route"], found["tls"]) == ("out", "verified")
    (shown,) = found["hosts"]
    assert (shown["name"], shown["proof"]) == (host.host, "pkix")


def test_what_is_weighed_and_not_enforced_is_told(world, new_relay, bad):
    d = world.sts(world.domain(bad), mx=[bad])
    r = new_relay({"policy": {"enforce": "report"}})
    found = probe(r, d)
    (would,) = found["not_enforced"]
    assert (would["host"], would["policy"]) == (bad.host, "mta-sts")
    assert f"unenforced  mta-sts would demand pkix of {bad.host}" in found["shown"]
    assert found["hosts"][0]["tls_session"]["verdict"] == "wrong name"
    assert found["hosts"][0]["state"] == "deliverable"
    assert "enforced, mta-sts would refuse this host" in found["shown"]
    stripped = world.peer(offer=False)
    found = probe(r, world.sts(world.domain(stripped), mx=[stripped]))
    assert "would refuse this host: no STARTTLS" in found["shown"]


def test_a_policy_without_mx_records_is_held_against_the_domain(world, relay):
    d = world.name()
    world.peer(d)
    world.sts(d, mx=[d])
    found = probe(relay, d)
    assert found["mx"]["state"] == "implicit"
    assert found["hosts"][0]["proof"] == "pkix"
    assert "for want of MX records held against the domain's name" in found["shown"]


@pytest.fixture
def authentic(world):
    """All answers of the lab's DNS carry the AD bit."""
    plain = world.dns.answer

    def answer(wire, transport):
        said = plain(wire, transport)
        return said and said[:3] + bytes([said[3] | 0x20]) + said[4:]

    world.dns.answer = answer
    yield
    del world.dns.answer


def key_digest(cert):
    pem = open(cert.path, "rb").read()
    start = pem.index(b"-----BEGIN CERTIFICATE-----")
    key = x509.load_pem_x509_certificate(pem[start:]).public_key()
    return hashlib.sha256(
        key.public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    ).hexdigest()


def test_tlsa_records_and_the_one_that_matches(world, new_relay, authentic):
    name = f"mx.{world.name()}"
    cert = world.stranger.good(name)
    mx = world.peer(name, cert=cert)
    digest, other = key_digest(cert), "ab" * 32
    base = f"_{world.mx_port}._tcp.{name}"
    world.dns.put(base, "TLSA", f"3 1 1 {other}", f"3 1 1 {digest}")
    r = new_relay({"resolver": {"dnssec": "trust"}})
    d = world.domain(mx)
    found = probe(r, d)
    assert found["dnssec"] == "trust"
    assert found["mx"]["authentic"]
    (host,) = found["hosts"]
    assert (host["proof"], host["policy"]) == ("dane", "dane")
    assert host["tlsa"]["state"] == "found"
    assert len(host["tlsa"]["records"]) == 2
    assert host["tls_session"]["matched_tlsa"] == f"3 1 1 {digest}"
    world.dns.put(base, "TLSA", f"3 1 1 {other}")
    (host,) = probe(r, d, code=WOULD_NOT)["hosts"]
    assert host["state"] == "refused"
    assert host["tls_session"]["matched_tlsa"] is None


def test_a_stop_does_not_wait_for_a_probe(world, new_relay):
    mx = world.scripted([GREETING, *EHLO[:1], Sleep(60)])
    r = new_relay()
    done = []
    asker = threading.Thread(target=lambda: done.append(run(r, world.domain(mx))))
    asker.start()
    while not (mx.connections and mx.heard()):
        asker.join(0.05)
        assert asker.is_alive()
    r.stop()
    asker.join(15)
    assert done[0].returncode in (69, 75), done


def test_without_a_relay_it_says_so(world, new_relay, good):
    r = new_relay()
    r.stop()
    done = run(r, world.domain(good))
    assert done.returncode == 69
    assert "no relay is running" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words", [(), ("a.test", "b.test"), ("a.test", "--wrong")], ids=str
)
def test_wrong_words_print_the_usage(relay, words):
    done = run(relay, *words)
    assert done.returncode == 64
    assert "usage: sealpost probe DOMAIN" in done.stderr


@pytest.mark.parametrize("name", ["a..test", "not a domain", "[127.0.0.1]", "%"])
def test_what_is_no_domain_is_refused(relay, name):
    done = run(relay, name)
    assert done.returncode == 65, done
