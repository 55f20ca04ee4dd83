"""What a message may ask of its transport (RFC 8689), and what the operator may
ask of a certificate."""

import email
import hashlib
import smtplib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab.send import SENDER, insecure, message, submit


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def demand(relay, *rcpts, sender=SENDER):
    return submit(
        relay,
        *rcpts,
        sender=sender,
        port=relay.tls_port,
        starttls=True,
        mail_options=["REQUIRETLS"],
    )


def enforced(world, **options):
    """A domain with an MTA-STS policy, and its host."""
    peer = world.peer(**options)
    return world.sts(world.domain(peer), mx=[peer]), peer


# --- asking for it ---


def test_it_is_offered_and_taken_inside_tls_only(relay):
    with smtplib.SMTP(relay.ip, relay.tls_port, "client.lab.test", 30) as c:
        c.ehlo()
        assert not c.has_extn("requiretls")
        code, _ = c.mail(SENDER, ["REQUIRETLS"])
        assert code >= 500
        c.starttls(context=insecure())
        c.ehlo()
        assert c.has_extn("requiretls")
        code, _ = c.mail(SENDER, ["REQUIRETLS=yes"])
        assert code == 501
        code, _ = c.mail(SENDER, ["REQUIRETLS"])
        assert code == 250


# --- keeping it ---


def test_a_verified_host_that_offers_it_is_asked_for_it(world, relay):
    d, _ = enforced(world, requiretls=True)
    demand(relay, f"bob@{d}")
    got = world.ledger.one(domain=d)
    assert "REQUIRETLS" in got.mail_args, got
    assert got.tls


def test_mail_that_does_not_ask_is_not_marked(world, relay):
    d, _ = enforced(world, requiretls=True)
    submit(relay, f"bob@{d}")
    assert "REQUIRETLS" not in world.ledger.one(domain=d).mail_args


def test_a_host_without_it_means_a_bounce_with_headers_only(world, relay, home):
    d, _ = enforced(world)
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    relay.log.one("delivery.bounced", mid=mid)
    report = email.message_from_bytes(world.ledger.one(f"app@{home}").data)
    assert "5.7.30" in report.as_string()
    assert report.get_payload()[2].get_content_type() == "text/rfc822-headers"
    assert not world.ledger.of(domain=d)


def test_another_host_that_offers_it_is_found(world, relay):
    poor, rich = world.peer(), world.peer(requiretls=True)
    d = world.sts(world.domain(poor, rich), mx=[poor, rich])
    demand(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is rich


def test_without_any_policy_nobody_vouches_for_the_host(world, relay, home):
    d = world.domain(world.peer(requiretls=True))
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.7.10" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert not world.ledger.of(domain=d)


def test_a_bad_certificate_bounces_it(world, relay, home):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host), requiretls=True)
    d = world.sts(world.domain(peer), mx=[peer])
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.7." in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert not world.ledger.of(domain=d)


def test_a_host_that_is_down_only_delays_it(world, relay):
    host = world.nobody()
    d = world.sts(world.domain(host), mx=[host])
    mid = demand(relay, f"bob@{d}")
    assert relay.log.one("delivery.deferred", mid=mid)["reply"].startswith("4")


# --- asking for less ---


def no_tls(world, relay, d):
    data = message(extra=["TLS-Required: No"])
    return submit(relay, f"bob@{d}", data=data)


def test_tls_required_no_passes_by_an_enforced_policy(world, relay):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    d = world.sts(world.domain(peer), mx=[peer])
    no_tls(world, relay, d)
    assert world.ledger.one(domain=d).tls


def test_requiretls_outranks_tls_required_no(world, relay, home):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host), requiretls=True)
    d = world.sts(world.domain(peer), mx=[peer])
    mid = submit(
        relay,
        f"bob@{d}",
        sender=f"app@{home}",
        port=relay.tls_port,
        starttls=True,
        mail_options=["REQUIRETLS"],
        data=message(extra=["TLS-Required: No"]),
    )
    relay.log.one("delivery.bounced", mid=mid)
    assert not world.ledger.of(domain=d)


def test_each_message_of_many_gets_what_it_asks_for(world, relay, home):
    """They wait for one destination and may share an order, but no connection
    that has proven less."""
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host), requiretls=True)
    d = world.sts(world.domain(peer), mx=[peer])
    free = [no_tls(world, relay, d) for _ in range(5)]
    bound = [demand(relay, f"eve@{d}", sender=f"app@{home}") for _ in range(5)]
    free += [no_tls(world, relay, d) for _ in range(5)]
    for mid in free:
        relay.log.one("delivery.sent", mid=mid)
    for mid in bound:
        relay.log.one("delivery.bounced", mid=mid)
    assert len(world.ledger.wait(f"bob@{d}", count=10)) == 10
    assert not world.ledger.of(f"eve@{d}")


# --- the operator's pins ---


def certificate_of(cert):
    with open(cert.path, "rb") as f:
        return x509.load_pem_x509_certificate(f.read())


def pins(cert):
    x = certificate_of(cert)
    der = x.public_bytes(serialization.Encoding.DER)
    spki = x.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return (
        "sha256:" + hashlib.sha256(der).hexdigest(),
        "spki-sha256:" + hashlib.sha256(spki).hexdigest(),
    )


@pytest.mark.parametrize("which", [0, 1], ids=["certificate", "key"])
def test_a_pinned_certificate_alone_is_accepted(world, new_relay, which):
    hosts = [f"mx.{world.name()}" for _ in range(2)]
    # Each of the two makes all its certificates with one key.
    certs = [a.self_signed(h) for a, h in zip((world.ca, world.stranger), hosts)]
    domains = [
        world.domain(world.peer(h, cert=c)) for h, c in zip(hosts, certs)
    ]
    pin = pins(certs[0])[which]
    relay = new_relay(
        {f'domain "{d}"': {"fingerprint": [pin]} for d in domains}
    )
    submit(relay, f"bob@{domains[0]}")
    assert world.ledger.one(domain=domains[0]).tls
    mid = submit(relay, f"bob@{domains[1]}")
    line = relay.log.one("delivery.deferred", mid=mid)
    assert "pinned" in line["reply"], line
    assert not world.ledger.of(domain=domains[1])
