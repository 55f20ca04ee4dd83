"""What a message may ask of its transport (RFC 8689), and what the operator may
ask of a certificate."""

import email
import hashlib
import smtplib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab import script, seen
from lab.send import SENDER, insecure, message, submit

conformance = pytest.mark.conformance

TLS = "delivered over TLS"
WEBPKI = "delivered over TLS, WebPKI"


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


@conformance(
    "RFC 8689 2",
    "what a client is offered, and what is taken",
    "in clear: not offered, MAIL 5xx; in TLS: offered, with a value 501, without 250",
)
def test_it_is_offered_and_taken_inside_tls_only(relay):
    with smtplib.SMTP(relay.ip, relay.tls_port, "client.lab.test", 30) as c:
        c.ehlo()
        assert not c.has_extn("requiretls")
        code, _ = c.mail(SENDER, ["REQUIRETLS"])
        assert code >= 500
        clear = f"in clear: not offered, MAIL {code // 100}xx"
        c.starttls(context=insecure())
        c.ehlo()
        assert c.has_extn("requiretls")
        odd, _ = c.mail(SENDER, ["REQUIRETLS=yes"])
        assert odd == 501
        good, _ = c.mail(SENDER, ["REQUIRETLS"])
        assert good == 250
    seen.note(f"{clear}; in TLS: offered, with a value {odd}, without {good}")


# --- keeping it ---


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; MTA-STS enforce; the host offers it",
    f"{WEBPKI}, REQUIRETLS",
)
def test_a_verified_host_that_offers_it_is_asked_for_it(world, relay):
    d, _ = enforced(world, requiretls=True)
    demand(relay, f"bob@{d}")
    got = world.ledger.one(domain=d)
    assert "REQUIRETLS" in got.mail_args, got
    assert got.tls


@conformance(
    "RFC 8689 4.2.1",
    "mail that does not ask for it; the host offers it",
    WEBPKI,
)
def test_mail_that_does_not_ask_is_not_marked(world, relay):
    d, _ = enforced(world, requiretls=True)
    submit(relay, f"bob@{d}")
    assert "REQUIRETLS" not in world.ledger.one(domain=d).mail_args


@conformance(
    "RFC 8689 5",
    "REQUIRETLS; MTA-STS enforce; the host does not offer it",
    "bounced: 5.7.30 MTA-STS; the notice has text/rfc822-headers",
)
def test_a_host_without_it_means_a_bounce_with_headers_only(world, relay, home):
    d, _ = enforced(world)
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    relay.log.one("delivery.bounced", mid=mid)
    report = email.message_from_bytes(world.ledger.one(f"app@{home}").data)
    assert "5.7.30" in report.as_string()
    kind = report.get_payload()[2].get_content_type()
    assert kind == "text/rfc822-headers"
    seen.note(f"the notice has {kind}")
    assert not world.ledger.of(domain=d)


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; MTA-STS enforce; only the second host offers it",
    "delivered to host 2 over TLS, WebPKI, REQUIRETLS",
)
def test_another_host_that_offers_it_is_found(world, relay):
    poor, rich = world.peer(), world.peer(requiretls=True)
    d = world.sts(world.domain(poor, rich), mx=[poor, rich])
    demand(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).peer is rich


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; no DNSSEC and no policy",
    "bounced: 5.7.10 REQUIRETLS",
)
def test_without_any_policy_nobody_vouches_for_the_host(world, relay, home):
    d = world.domain(world.peer(requiretls=True))
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.7.10" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert not world.ledger.of(domain=d)


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; MTA-STS enforce; the certificate has expired",
    "bounced: 5.7.10 MTA-STS, expired",
)
def test_a_bad_certificate_bounces_it(world, relay, home):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host), requiretls=True)
    d = world.sts(world.domain(peer), mx=[peer])
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.7.10" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert not world.ledger.of(domain=d)


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; MTA-STS enforce; nobody listens",
    "waits: 4.4.1 MTA-STS",
)
def test_a_host_that_is_down_only_delays_it(world, relay):
    host = world.nobody()
    d = world.sts(world.domain(host), mx=[host])
    mid = demand(relay, f"bob@{d}")
    assert relay.log.one("delivery.deferred", mid=mid)["reply"].startswith("4")


PASSING = {
    "STARTTLS gets 454": ["STARTTLS", b"454 4.7.0 not now\r\n", ""],
    "hangs up in the handshake": [*script.STARTTLS, script.FIN],
}


@pytest.mark.parametrize("how", PASSING)
def test_trouble_with_tls_that_may_pass_only_delays_it(world, relay, how):
    """RFC 8689 section 4.2.1 has it bounced where no host will do, ever."""
    opening = [script.GREETING, *script.EHLO_TLS]
    peer = world.scripted([*opening, *PASSING[how]])
    d = world.sts(world.domain(peer), mx=[peer])
    mid = demand(relay, f"bob@{d}")
    event = relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert event["event"] == "delivery.deferred", event


def test_a_policy_that_can_t_be_fetched_now_only_delays_it(world, relay):
    peer = world.peer(requiretls=True)
    d = world.sts(world.domain(peer), mx=[peer], status=503)
    mid = demand(relay, f"bob@{d}")
    event = relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert event["event"] == "delivery.deferred", event
    assert not world.ledger.of(domain=d)


# --- an operator who does not insist ---

LAX = {"requiretls": "opportunistic", "reason": "it is not offered", "until": "2099-01-01"}
HERE = 'here requiretls = "opportunistic"'


@pytest.fixture
def lax(new_relay):
    """A relay that does not insist for these domains."""
    return lambda *domains: new_relay({f'domain "{d}"': LAX for d in domains})


@conformance(
    "RFC 8689 4.2.1",
    f"REQUIRETLS; MTA-STS enforce; the host does not offer it; {HERE}",
    f"{WEBPKI} without REQUIRETLS",
)
def test_a_host_without_it_may_do_where_the_operator_says_so(world, lax, home):
    d, _ = enforced(world)
    other, _ = enforced(world)
    relay = lax(d)
    mid = demand(relay, f"bob@{d}")
    got = world.ledger.one(domain=d)
    assert got.tls and "REQUIRETLS" not in got.mail_args
    line = relay.log.one("delivery.sent", mid=mid)
    assert line["policy"] == "mta-sts enforce without-requiretls"
    assert "without-requiretls" in relay.cli("trace", mid).stdout
    assert "hosts that do not offer it are used" in relay.cli("probe", d).stdout
    assert "hosts that do not offer" not in relay.cli("probe", other).stdout


def test_one_domain_s_exemption_is_nobody_else_s(world, lax, home):
    d, _ = enforced(world)
    other, _ = enforced(world)
    relay = lax(d)
    mid = demand(relay, f"bob@{other}", sender=f"app@{home}")
    assert "5.7.30" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert not world.ledger.of(domain=other)


@conformance(
    "RFC 8689 4.2.1",
    f"REQUIRETLS; MTA-STS enforce; the host offers it; {HERE}",
    f"{WEBPKI}, REQUIRETLS",
)
def test_it_is_passed_on_all_the_same_where_it_is_offered(world, lax):
    d, _ = enforced(world, requiretls=True)
    demand(lax(d), f"bob@{d}")
    assert "REQUIRETLS" in world.ledger.one(domain=d).mail_args


@conformance(
    "RFC 8689 4.2.1",
    {
        "expired": f"REQUIRETLS; MTA-STS enforce; the certificate has expired; {HERE}",
        "stripped": f"REQUIRETLS; MTA-STS enforce; STARTTLS is not offered; {HERE}",
        "unknown": f"REQUIRETLS; no DNSSEC and no policy; {HERE}",
    },
    {
        "expired": "bounced: 5.7.10 MTA-STS, expired",
        "stripped": "bounced: 5.7.10 MTA-STS",
        "unknown": "bounced: 5.7.10 REQUIRETLS",
    },
)
@pytest.mark.parametrize("how", ["expired", "stripped", "unknown"])
def test_that_host_has_to_be_verified_as_ever(world, lax, home, how):
    host = f"mx.{world.name()}"
    cert = world.ca.expired(host) if how == "expired" else None
    peer = world.peer(host, cert=cert, offer=how != "stripped")
    d = world.domain(peer)
    if how != "unknown":
        world.sts(d, mx=[peer])
    relay = lax(d)
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.7.10" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert not world.ledger.of(domain=d)


# --- asking for less ---


def no_tls(world, relay, d):
    data = message(extra=["TLS-Required: No"])
    return submit(relay, f"bob@{d}", data=data)


@conformance(
    "RFC 8689 4.2.1",
    {
        "testing": "REQUIRETLS; MTA-STS testing",
        "stripped": "REQUIRETLS; MTA-STS enforce; STARTTLS is not offered",
        "unlisted": "REQUIRETLS; MTA-STS enforce; the policy lists another host",
    },
    {
        "testing": "bounced: 5.7.10 REQUIRETLS",
        "stripped": "bounced: 5.7.10 MTA-STS",
        "unlisted": "waits: 4.7.5 MTA-STS",
    },
)
@pytest.mark.parametrize("how", ["testing", "stripped", "unlisted"])
def test_what_is_less_than_a_verified_host_does_not_do(world, relay, home, how):
    peer = world.peer(requiretls=True, offer=how != "stripped")
    d = world.domain(peer)
    mx = ["mx.elsewhere.test"] if how == "unlisted" else [peer]
    world.sts(d, mode="testing" if how == "testing" else "enforce", mx=mx)
    mid = demand(relay, f"bob@{d}", sender=f"app@{home}")
    relay.log.one(("delivery.bounced", "delivery.deferred"), mid=mid)
    assert not world.ledger.of(domain=d)


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; whether there is a policy can't be learnt",
    "waits: 4.7.5 MTA-STS",
)
def test_what_can_t_be_learnt_now_only_delays_it(world, relay):
    d = world.domain(world.peer(requiretls=True))
    world.dns.behave(f"_mta-sts.{d}", "servfail", "TXT")
    mid = demand(relay, f"bob@{d}")
    relay.log.one("delivery.deferred", mid=mid)


@conformance(
    "RFC 8689 4.2.2",
    "TLS-Required: No; MTA-STS enforce; the certificate has expired",
    TLS,
)
def test_tls_required_no_passes_by_an_enforced_policy(world, relay):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    d = world.sts(world.domain(peer), mx=[peer])
    no_tls(world, relay, d)
    assert world.ledger.one(domain=d).tls


@conformance(
    "RFC 8689 4.1",
    "REQUIRETLS and TLS-Required: No; the certificate has expired",
    "bounced: 5.7.10 MTA-STS, expired",
)
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


@conformance(
    "RFC 8689 4.2.1",
    "15 messages for one host, 5 with REQUIRETLS, 10 with TLS-Required: No; expired",
    f"{TLS}; bounced: 5.7.10 MTA-STS, expired; {TLS}",
)
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


@conformance(
    "RFC 8689 4.2.2",
    "TLS-Required: No; MTA-STS enforce; STARTTLS is not offered",
    "delivered in clear",
)
def test_tls_required_no_goes_in_clear_if_it_has_to(world, relay):
    d, _ = enforced(world, offer=False)
    no_tls(world, relay, d)
    assert world.ledger.one(domain=d).tls is None


VALUES = {
    "no": True,
    "NO": True,
    " No\t": True,
    "No; and more": False,
    "Yes": False,
    "": False,
    "(no) No": False,
}
UNMOVED = "waits: 4.7.5 MTA-STS, expired"


@conformance(
    "RFC 8689 3",
    {v: f"MTA-STS enforce; expired; TLS-Required: {v!r}" for v in VALUES},
    {v: TLS if goes else UNMOVED for v, goes in VALUES.items()},
)
@pytest.mark.parametrize("value", VALUES)
def test_tls_required_has_one_value(world, relay, value):
    host = f"mx.{world.name()}"
    d, _ = enforced(world, host=host, cert=world.ca.expired(host))
    submit(relay, f"bob@{d}", data=message(extra=[f"TLS-Required: {value}"]))
    if VALUES[value]:
        assert world.ledger.one(domain=d).tls


@conformance(
    "RFC 8689 3",
    "MTA-STS enforce; expired; TLS-Required: {first}, and then: {second}",
    {"Yes": UNMOVED, "No": TLS},
)
@pytest.mark.parametrize("first, second", [("No", "no"), ("no", "Yes"), ("Yes", "no")])
def test_every_tls_required_has_to_say_no(world, relay, first, second):
    host = f"mx.{world.name()}"
    d, _ = enforced(world, host=host, cert=world.ca.expired(host))
    extra = [f"TLS-Required: {first}", f"TLS-Required: {second}"]
    submit(relay, f"bob@{d}", data=message(extra=extra))
    if "Yes" not in (first, second):
        assert world.ledger.one(domain=d).tls


@conformance(
    "RFC 8689 5",
    "TLS-Required: No, and the mail bounces",
    "bounced: 5.1.1; the notice has TLS-Required: No",
)
def test_news_of_it_ask_for_as_little(world, relay, home):
    peer = world.peer()
    d = world.domain(peer)
    peer.replies["RCPT"] = {f"bob@{d}": [["550 5.1.1 nobody"]]}
    data = message(extra=["TLS-Required: No"])
    submit(relay, f"bob@{d}", sender=f"app@{home}", data=data)
    notice = email.message_from_bytes(world.ledger.one(f"app@{home}").data)
    assert notice["TLS-Required"] == "No"
    seen.note(f"the notice has TLS-Required: {notice['TLS-Required']}")


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
