"""What an MTA-STS policy does to delivery.  Numbers are those of the
checklist; see test_sts.py."""

import ssl

import pytest

from lab import seen
from lab.script import EHLO_TLS, FIN, GREETING, RST, STARTTLS, Tls
from lab.send import message, submit

conformance = pytest.mark.conformance

TLS = "delivered over TLS"
WEBPKI = "delivered over TLS, WebPKI"
UNLISTED = "waits: 4.7.5 MTA-STS"
WRONG = "waits: 4.7.5 MTA-STS, wrong name"

PKIX_FAULTS = {
    "expired": lambda w, host: w.ca.expired(host),
    "not-yet-valid": lambda w, host: w.ca.not_yet_valid(host),
    "wrong-name": lambda w, host: w.ca.good("mx.elsewhere.test"),
    "self-signed": lambda w, host: w.ca.self_signed(host),
    "unknown-ca": lambda w, host: w.stranger.good(host),
    "cn-only": lambda w, host: w.ca.cn_only(host),
    "wildcard-two-labels": lambda w, host: w.ca.good("*.test"),
    "partial-wildcard": lambda w, host: w.ca.good("m*." + host.partition(".")[2]),
    "bare-wildcard": lambda w, host: w.ca.good("*"),
    "policy-domain-only": lambda w, host: w.ca.good(host.partition(".")[2]),
}
# In the words of the log.
VERDICTS = {
    **dict.fromkeys(PKIX_FAULTS, "wrong name"),
    "expired": "expired",
    "not-yet-valid": "expired",
    "self-signed": "not trusted",
    "unknown-ca": "not trusted",
}


def put_off(world, relay, domain, *words):
    mid = submit(relay, f"bob@{domain}")
    got = relay.log.one("delivery.deferred", mid=mid)
    assert "4.7.5" in got["reply"], got
    for word in words:
        assert word in got["reply"], got
    assert not world.ledger.of(domain=domain)
    return got


def delivered(world, relay, domain):
    submit(relay, f"bob@{domain}")
    return world.ledger.one(domain=domain)


# --- enforce ---


@pytest.mark.parametrize("fault", PKIX_FAULTS)
@conformance(
    "RFC 8461 4.2",
    "enforce; certificate of the host: {name}",
    {f: f"waits: 4.7.5 MTA-STS, {v}" for f, v in VERDICTS.items()},
)
def test_26_enforce_sends_nothing_to_a_host_with_a_faulty_certificate(
    world, relay, fault
):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=PKIX_FAULTS[fault](world, host))
    d = world.sts(world.domain(peer), mx=[peer])
    got = put_off(world, relay, d, host, "mta-sts enforce")
    assert not any(c.startswith("MAIL") for c in peer.commands)
    assert got["policy"] == "mta-sts enforce" and got["proof"] == "pkix"


@pytest.mark.parametrize("fault", PKIX_FAULTS)
@conformance(
    "RFC 8461 5",
    "testing; certificate of the host: {name}",
    {f: f"delivered over TLS, {v}" for f, v in VERDICTS.items()},
)
def test_27_testing_delivers_to_the_same_host_and_notes_the_fault(
    world, relay, fault
):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=PKIX_FAULTS[fault](world, host))
    d = world.sts(world.domain(peer), mode="testing", mx=[peer])
    mid = submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d).tls
    sent = relay.log.one("delivery.sent", mid=mid)
    assert sent["policy"] == "mta-sts testing"
    assert sent["certificate"] != "verified", sent


@conformance("RFC 8461 4.2", "a wildcard in the certificate, for one label", WEBPKI)
def test_26_a_wildcard_for_one_label_is_a_good_certificate(world, relay):
    host = f"mx.{(base := world.name())}"
    peer = world.peer(host, cert=world.ca.good(f"*.{base}"))
    d = world.sts(world.domain(peer), mx=[peer])
    assert delivered(world, relay, d).tls.sni == host


@conformance(
    "RFC 8461 4.2",
    "mx: *.domain; a certificate for the host, then for the domain",
    f"{WEBPKI}; {WRONG}",
)
def test_26_the_certificate_is_for_the_host_not_for_the_pattern(world, relay):
    base = world.name()
    good = world.peer(f"a.{base}")
    d = world.sts(world.domain(good), mx=[f"*.{base}"])
    assert delivered(world, relay, d).peer is good
    bad = world.peer(f"b.{base}", cert=world.ca.good(base))
    put_off(world, relay, world.sts(world.domain(bad), mx=[f"*.{base}"]))


@conformance(
    "RFC 8461 8.4",
    "a host whose certificate has expired, and a good one",
    "delivered to host 2 over TLS, WebPKI",
)
def test_26_a_faulty_host_is_passed_over_for_the_next(world, relay):
    host = f"mx.{world.name()}"
    bad = world.peer(host, cert=world.ca.expired(host))
    good = world.peer()
    d = world.sts(world.domain(bad, good), mx=[bad, good])
    assert delivered(world, relay, d).peer is good


@conformance("RFC 8461 7.2", "a host with TLS 1.1 at best", "waits: 4.7.5 MTA-STS, broken")
def test_26_tls_1_1_is_not_enough(world, relay):
    peer = world.peer(
        lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion.TLSv1_1
    )
    put_off(world, relay, world.sts(world.domain(peer), mx=[peer]))


@conformance("RFC 8461 7.2", "a host with TLS 1.2 at best", WEBPKI)
def test_26_tls_1_2_is(world, relay):
    peer = world.peer(highest=ssl.TLSVersion.TLSv1_2)
    d = world.sts(world.domain(peer), mx=[peer])
    assert delivered(world, relay, d).tls.version == "TLSv1.2"


@conformance(
    "RFC 8461 4.1",
    "three hosts, of which the policy lists the last two",
    "delivered to host 2 over TLS, WebPKI",
)
def test_25_hosts_that_the_policy_does_not_list_are_left_out(world, relay):
    first, second, third = (world.peer() for _ in range(3))
    d = world.sts(world.domain(first, second, third), mx=[third, second])
    assert delivered(world, relay, d).peer is second
    assert next(first.sessions) == 1, "the unlisted host was connected to"


@conformance("RFC 8461 5", "enforce; the policy lists none of the hosts", UNLISTED)
def test_25_without_a_listed_host_mail_waits(world, relay):
    peer = world.peer()
    d = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    put_off(world, relay, d, peer.host, "mx.elsewhere.test", "none of them")
    assert next(peer.sessions) == 1


@conformance("RFC 8461 5", "testing; the policy lists none of the hosts", TLS)
def test_25_testing_delivers_to_an_unlisted_host(world, relay):
    peer = world.peer()
    d = world.sts(world.domain(peer), mode="testing", mx=["mx.elsewhere.test"])
    assert delivered(world, relay, d).peer is peer


@conformance("RFC 8461 4", "enforce; STARTTLS is not offered", UNLISTED)
def test_28_starttls_stripped_on_the_way_is_a_failure(world, relay):
    peer = world.peer(offer=False)
    d = world.sts(world.domain(peer), mx=[peer])
    put_off(world, relay, d, "STARTTLS")
    assert not any(c.startswith("MAIL") for c in peer.commands)


@conformance("RFC 8461 5", "testing; STARTTLS is not offered", "delivered in clear")
def test_27_testing_delivers_in_clear_when_starttls_is_stripped(world, relay):
    peer = world.peer(offer=False)
    d = world.sts(world.domain(peer), mode="testing", mx=[peer])
    assert delivered(world, relay, d).tls is None


@pytest.mark.parametrize("reply", ["454 4.7.0 no", "501 5.5.4 no", "502 5.5.1 no"])
@conformance("RFC 8461 4", "enforce; STARTTLS is answered `{reply}`", UNLISTED)
def test_28_a_refused_starttls_is_a_failure(world, relay, reply):
    peer = world.peer()
    peer.replies["STARTTLS"] = [[reply]]
    put_off(world, relay, world.sts(world.domain(peer), mx=[peer]))
    assert not any(c.startswith("MAIL") for c in peer.commands)


BROKEN_TLS = {
    "clear-text": [*STARTTLS, b"250 still here\r\n" * 4],
    "closed": [*STARTTLS, FIN],
    "reset": [*STARTTLS, RST],
    "injected": ["STARTTLS", b"220 go\r\n250-mx\r\n250 AUTH LOGIN\r\n"],
}


@pytest.mark.parametrize("how", BROKEN_TLS)
@conformance(
    "RFC 8461 4",
    "enforce; after STARTTLS: {name}",
    "waits; MAIL was said 0 times",
)
def test_28_a_broken_handshake_is_a_failure(world, relay, how):
    peer = world.scripted([GREETING, *EHLO_TLS, *BROKEN_TLS[how]])
    d = world.sts(world.domain(peer), mx=[peer])
    mid = submit(relay, f"bob@{d}")
    got = relay.log.one("delivery.deferred", mid=mid)
    assert got["reply"].startswith("451 4."), got
    relay.log.wait("delivery.deferred", count=2, mid=mid)
    said = sum(b"MAIL" in c.received.upper() for c in peer.connections)
    assert said == 0
    seen.note_only(f"waits; MAIL was said {said} times")


def test_28_what_was_said_in_clear_counts_for_nothing_inside_tls(world, relay):
    """B15: keywords of before the handshake are forgotten."""
    host = f"mx.{world.name()}"
    heard = []

    def inside(c):
        heard.append(c.until(b"\r\n"))
        c.sock.sendall(b"250 mx\r\n")
        heard.append(c.until(b"\r\n"))

    peer = world.scripted(
        [
            GREETING,
            *("EHLO", b"250-mx\r\n250-SIZE 100000\r\n250-DSN\r\n250 STARTTLS\r\n"),
            *STARTTLS,
            Tls(world.ca.good(host)),
            inside,
        ],
        host=host,
    )
    d = world.sts(world.domain(peer), mx=[peer])
    submit(relay, f"bob@{d}", mail_options=["RET=HDRS"])
    peer.wait()
    assert heard[1].upper().startswith(b"MAIL FROM:")
    assert b"SIZE" not in heard[1] and b"RET" not in heard[1]


# --- whose policy ---


@conformance(
    "RFC 8461 4.1",
    "the policy lists the alias in the MX record, then its target",
    f"{WEBPKI}; {UNLISTED}",
)
def test_29_the_mx_name_counts_and_not_what_it_is_an_alias_of(world, relay):
    published, real = f"mx.{world.name()}", f"mx.{world.name()}"
    good = world.peer(real, cert=world.ca.good(published))
    world.dns.add(published, "CNAME", f"{real}.")
    d = world.sts(world.domain(published), mx=[published])
    assert delivered(world, relay, d).tls.sni == published
    other = world.sts(world.domain(published), mx=[real])
    put_off(world, relay, other)
    assert good.ledger.of(peer=good)


@conformance("RFC 8461 3.4", "the domain is an alias of one with a policy", TLS)
def test_04_a_domain_that_is_a_cname_keeps_its_own_policy(world, relay):
    bad_host = f"mx.{world.name()}"
    bad = world.peer(bad_host, cert=world.ca.expired(bad_host))
    target, alias = world.domain(bad), world.name()
    world.dns.add(alias, "CNAME", f"{target}.")
    world.sts(target, mx=[bad])
    assert delivered(world, relay, alias).tls
    assert world.policies.requests(target) == []


@conformance(
    "RFC 8461 5",
    "one host with an expired certificate; domains: none, no policy, enforce; then all in one message",
    "delivered over TLS; waits: 4.7.5 MTA-STS, expired; delivered over TLS",
)
def test_31_two_domains_on_one_host_have_each_its_own_policy(world, relay):
    host = f"mx.{world.name()}"
    shared = world.peer(host, cert=world.ca.expired(host))
    strict = world.sts(world.domain(shared), mx=[shared])
    lax = world.sts(world.domain(shared), mode="none", mx=[shared])
    plain = world.domain(shared)
    for d in (lax, plain):
        assert delivered(world, relay, d).peer is shared
    put_off(world, relay, strict)
    submit(relay, f"a@{strict}", f"a@{lax}", f"a@{plain}")
    world.ledger.one(f"a@{lax}"), world.ledger.one(f"a@{plain}")
    relay.log.one("delivery.deferred", to=f"a@{strict}")
    assert not world.ledger.of(domain=strict)


@conformance(
    "RFC 8461 5",
    "one host; a domain without policy, then one with",
    f"{TLS}; {WEBPKI}; on a connection of its own",
)
def test_31_an_unverified_connection_is_never_used_for_an_enforced_domain(
    world, relay
):
    shared = world.peer()
    plain = world.domain(shared)
    strict = world.sts(world.domain(shared), mx=[shared])
    first = delivered(world, relay, plain)
    second = delivered(world, relay, strict)
    assert first.session != second.session
    seen.note("on a connection of its own")


@conformance(
    "RFC 8461 3.4",
    "a smarthost, and a recipient's policy that does not list it",
    WEBPKI,
)
def test_05_a_route_s_hosts_are_not_held_against_the_recipient_s_policy(
    world, new_relay
):
    smarthost = world.peer()
    d = world.sts(world.domain(world.peer()), mx=["mx.elsewhere.test"])
    relay = new_relay(
        {
            'route "all"': {
                "to": ["*"],
                "via": [f"{smarthost.host}:{world.mx_port}"],
                "tls": "verified",
            }
        }
    )
    assert delivered(world, relay, d).peer is smarthost


@conformance("RFC 8461 3.1", "a recipient at an internationalized domain", WRONG)
def test_04_the_policy_domain_is_in_ascii(world, relay):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.good("elsewhere.test"))
    inner = world.name()
    d = f"bücher.{inner}"
    world.sts(world.domain(peer, name=f"xn--bcher-kva.{inner}"), mx=[peer])
    mid = submit(relay, f"bob@{d}", mail_options=["SMTPUTF8"])
    assert "4.7.5" in relay.log.one("delivery.deferred", mid=mid)["reply"]


@conformance("RFC 8461 3.4", "a recipient at an address literal", TLS)
def test_04_an_address_has_no_policy(world, relay):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    submit(relay, f"bob@[{peer.ip}]")
    assert world.ledger.one(peer=peer).tls


# --- a smarthost's own policy: RFC 8461 section 3.4 ---


def smarthost(new_relay, via, tls="opportunistic"):
    return new_relay({'route "all"': {"to": ["*"], "via": [via], "tls": tls}})


@conformance(
    "RFC 8461 3.4",
    "a smarthost's domain with two hosts; its policy lists the second",
    "delivered to host 2 over TLS, WebPKI",
)
def test_05_hosts_of_a_smarthost_s_domain_are_held_against_its_policy(
    world, new_relay
):
    first, second = world.peer(), world.peer()
    d = world.sts(world.domain(first, second), mx=[second])
    relay = smarthost(new_relay, f"mx:{d}:{world.mx_port}")
    recipient = world.name()
    world.hosts_of[recipient] = [first.host, second.host]
    assert delivered(world, relay, recipient).peer is second
    assert next(first.sessions) == 1


@conformance(
    "RFC 8461 3.4",
    "a smarthost's domain; its policy lists none of its hosts; tls = verified",
    UNLISTED,
)
def test_05_a_good_certificate_does_not_do_for_a_host_that_is_not_listed(
    world, new_relay
):
    peer = world.peer()
    d = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    relay = smarthost(new_relay, f"mx:{d}:{world.mx_port}", "verified")
    put_off(world, relay, world.name(), d)
    assert next(peer.sessions) == 1


@conformance(
    "RFC 8461 3.4",
    "a smarthost by its name, with a policy; the certificate: {name}",
    {"good": WEBPKI, "expired": "waits: 4.7.5 MTA-STS, expired"},
)
@pytest.mark.parametrize("kind", ["good", "expired"])
def test_05_a_smarthost_s_name_is_a_policy_domain(world, new_relay, kind):
    host = f"smtp.{world.name()}"
    world.peer(host, cert=getattr(world.ca, kind)(host))
    world.sts(host, mx=[host])
    relay = smarthost(new_relay, f"{host}:{world.mx_port}")
    if kind == "good":
        delivered(world, relay, world.name())
    else:
        put_off(world, relay, world.name(), host)


@conformance(
    "RFC 8461 3.4",
    "a smarthost by its name; whether it has a policy can't be learnt",
    UNLISTED,
)
def test_05_a_smarthost_s_policy_that_can_t_be_learnt_makes_mail_wait(
    world, new_relay
):
    peer = world.peer()
    world.dns.behave(f"_mta-sts.{peer.host}", "servfail", "TXT")
    relay = smarthost(new_relay, f"{peer.host}:{world.mx_port}")
    put_off(world, relay, world.name())


def test_05_of_a_named_host_that_is_verified_anyway_no_policy_is_asked_for(
    world, new_relay
):
    """It could only demand what is demanded; and names that are known inside
    of a network alone often fail on the question."""
    peer = world.peer()
    world.dns.behave(f"_mta-sts.{peer.host}", "servfail", "TXT")
    relay = smarthost(new_relay, f"{peer.host}:{world.mx_port}", "verified")
    assert delivered(world, relay, world.name()).tls
    assert world.dns.asked(f"_mta-sts.{peer.host}") == 0


@pytest.mark.parametrize("how", ["all", "exemption", "none"])
def test_05_a_smarthost_s_policy_can_be_switched_off(world, new_relay, how):
    peer = world.peer(offer=False)
    d = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    route = {"to": ["*"], "via": [f"mx:{d}:{world.mx_port}"], "tls": "opportunistic"}
    config = {'route "all"': route}
    if how == "all":
        config["policy"] = {"sts": False}
    elif how == "exemption":
        lifted = {"sts": False, "reason": "lab", "until": "2099-01-01"}
        config[f'domain "{d}"'] = lifted
    else:
        route["tls"] = "none"
    assert delivered(world, new_relay(config), world.name()).peer is peer


def test_05_tls_required_no_passes_by_a_smarthost_s_policy(world, new_relay):
    peer = world.peer(offer=False)
    d = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    relay = smarthost(new_relay, f"mx:{d}:{world.mx_port}")
    recipient = world.name()
    data = message(extra=["TLS-Required: No"])
    submit(relay, f"bob@{recipient}", data=data)
    assert world.ledger.one(domain=recipient).tls is None


# --- what the operator says ---


def test_a_local_rule_may_ask_for_more_than_testing_does(world, new_relay):
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    d = world.sts(world.domain(peer), mode="testing", mx=[peer])
    relay = new_relay({f'domain "{d}"': {"tls": "verified"}})
    put_off(world, relay, d)


def test_an_exemption_switches_the_policy_off_for_one_domain(world, new_relay):
    peer = world.peer()
    d = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    e = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    relay = new_relay(
        {f'domain "{d}"': {"sts": False, "reason": "lab", "until": "2099-01-01"}}
    )
    said = relay.log.one("policy.exempt", domain=d)
    assert (said["reason"], said["level"]) == ("lab", "warning")
    assert said["until"].startswith("2099-01-0"), said
    assert delivered(world, relay, d).peer is peer
    assert relay.log.one("policy.decided", destination=d)["exempt"] == "lab"
    put_off(world, relay, e)
    assert "exempt" not in relay.log.one("policy.decided", destination=e)


def test_an_exemption_that_has_ended_exempts_nobody(world, new_relay):
    peer = world.peer()
    d = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    relay = new_relay(
        {f'domain "{d}"': {"sts": False, "reason": "lab", "until": "2020-01-01"}}
    )
    put_off(world, relay, d)
    assert not relay.log.find("policy.exempt")


@pytest.mark.parametrize("level", ["required", "verified"])
def test_the_general_level_holds_where_nothing_is_published(
    world, new_relay, level
):
    """required takes any certificate, and no clear text; verified neither."""
    relay = new_relay({"policy": {"tls": level}})
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    d = world.domain(peer)
    if level == "required":
        assert delivered(world, relay, d).tls
        d = world.domain(world.peer(offer=False))
    put_off(world, relay, d)


def test_enforce_report_tells_what_would_be_refused_and_delivers(world, new_relay):
    relay = new_relay({"policy": {"enforce": "report"}})
    host = f"mx.{world.name()}"
    peer = world.peer(host, cert=world.ca.expired(host))
    listed = world.sts(world.domain(peer), mx=[peer])
    moved = world.sts(world.domain(peer), mx=["mx.elsewhere.test"])
    for d in (listed, moved):
        submit(relay, f"bob@{d}")
        assert world.ledger.one(domain=d)
    assert relay.log.one("policy.shadow", destination=listed)["would"] == "pkix"
    assert relay.log.wait("policy.shadow", destination=moved, would="refuse")
