"""MTA-STS as seen from outside; numbers are those of the checklist that the
project keeps for RFC 8461.  Enforce: nothing is sent, 451 4.7.5 and again
later.  Testing: everything is sent, and what would have failed is noted."""

import time

import pytest

from lab import seen
from lab.https_policy import policy
from lab.send import submit

conformance = pytest.mark.conformance

PLAIN = ["mx.elsewhere.test"]
# What is seen where a host has the wrong certificate, or is not the one.
WAITS = "waits: 4.7.5 MTA-STS, wrong name"
UNLISTED = "waits: 4.7.5 MTA-STS"
TLS = "delivered over TLS"
WEBPKI = "delivered over TLS, WebPKI"


def clause_of(row):
    """Of a row of the checklist below."""
    return "RFC 8461 4.1" if row.startswith("16") else "RFC 8461 3.2"


def delivered(world, relay, domain):
    """Sends one message and gives its delivery."""
    submit(relay, f"bob@{domain}")
    return world.ledger.one(domain=domain)


def refused(world, relay, domain, *words, code="4.7.5"):
    """Sends one message, which must be put off for policy, with these words
    in the reason; gives the log line."""
    mid = submit(relay, f"bob@{domain}")
    line = relay.log.one("delivery.deferred", mid=mid)
    assert code in line["reply"], line["reply"]
    for word in words:
        assert word in line["reply"], line["reply"]
    assert not world.ledger.of(domain=domain), "it was delivered all the same"
    return line


def decided(relay, domain):
    line = relay.log.wait("policy.decided", destination=domain)[-1]
    seen.note(f"policy {line['sts']}")
    return line


def fetches(world, domain):
    count = len(world.policies.requests(domain))
    seen.note(f"policy fetched {count} times")
    return count


@pytest.fixture
def good(world):
    """An MX host whose certificate is in order."""
    return world.peer()


@pytest.fixture
def bad(world):
    """An MX host whose certificate is for another name."""
    host = f"mx.{world.name()}"
    return world.peer(host, cert=world.ca.good("elsewhere.test"))


# --- discovery ---


@conformance("RFC 8461 3.1", "a TXT record of several strings", WAITS)
def test_01_the_record_is_at__mta_sts_and_its_strings_are_joined(world, relay, bad):
    d = world.sts(world.domain(bad), mx=[bad])
    world.dns.drop(f"_mta-sts.{d}")
    world.dns.txt(f"_mta-sts.{d}", "v=STS", "v1; id=", "20261123;")
    refused(world, relay, d)


@pytest.mark.parametrize(
    "records",
    [
        ("v=STSv1; id=1;", "v=STSv1; id=2;"),
        ("v=STSv2; id=1;",),
        ("V=stsv1; id=1;",),
        ("v=STSv1;",),
        ("v=STSv1; id=not/good;",),
        ("v=STSv1; id=" + "1" * 33 + ";",),
        ("something else",),
    ],
    ids=[
        "two of them",
        "version 2",
        "version in the wrong case",
        "no id",
        "an id with a slash",
        "an id of 33 octets",
        "none at all",
    ],
)
@conformance("RFC 8461 3.1", "no sound TXT record: {name}", TLS)
def test_02_03_without_exactly_one_sound_record_there_is_no_policy(
    world, relay, bad, records
):
    d = world.sts(world.domain(bad), mx=[bad])
    world.dns.drop(f"_mta-sts.{d}")
    for text in records:
        world.dns.txt(f"_mta-sts.{d}", text)
    delivered(world, relay, d)
    assert world.policies.requests(d) == []


@pytest.mark.parametrize(
    "record",
    ["v=STSv1; id=1", "v=STSv1;id=a1;new=thing;", "v=STSv1; id=1; x=y;  "],
)
@conformance("RFC 8461 3.1", "TXT record `{record}`", WAITS)
def test_03_extensions_and_spaces_are_no_harm(world, relay, bad, record):
    d = world.sts(world.domain(bad), mx=[bad])
    world.dns.drop(f"_mta-sts.{d}")
    world.dns.txt(f"_mta-sts.{d}", record)
    refused(world, relay, d)


@conformance("RFC 8461 3.1", "another TXT record beside it", WAITS)
def test_02_other_records_beside_it_do_not_count(world, relay, bad):
    d = world.sts(world.domain(bad), mx=[bad])
    world.dns.txt(f"_mta-sts.{d}", "v=spf1 -all")
    refused(world, relay, d)


@conformance("RFC 8461 8.2", "the TXT record is behind a CNAME", WAITS)
def test_03_the_record_may_be_behind_a_cname(world, relay, bad):
    d, hosted = world.domain(bad), world.name()
    world.sts(d, mx=[bad])
    world.dns.drop(f"_mta-sts.{d}")
    world.dns.add(f"_mta-sts.{d}", "CNAME", f"_mta-sts.{hosted}.")
    world.dns.txt(f"_mta-sts.{hosted}", "v=STSv1; id=7;")
    refused(world, relay, d)


@conformance("RFC 8461 3.4", "the parent of the domain has a policy", TLS)
def test_04_a_parent_s_policy_is_not_asked_for(world, relay, bad):
    parent = world.sts(world.name(), mx=[bad])
    d = world.domain(bad, name=f"sub.{parent}")
    delivered(world, relay, d)
    assert world.dns.asked(f"_mta-sts.{parent}") == 0


@conformance("RFC 8461 3.1", "a recipient in upper case", WAITS)
def test_04_mixed_case_recipients_have_the_same_policy(world, relay, bad):
    d = world.sts(world.domain(bad), mx=[bad])
    mid = submit(relay, f"Bob@{d.upper()}")
    assert "4.7.5" in relay.log.one("delivery.deferred", mid=mid)["reply"]


@conformance(
    "RFC 8461 4.1",
    "no MX records: the policy lists another host, then the domain itself",
    f"{UNLISTED}; {WEBPKI}",
)
def test_06_without_mx_the_policy_is_held_against_the_domain_s_name(
    world, relay, good
):
    closed, open_ = world.name(), world.name()
    world.dns.add(closed, "A", good.ip)
    world.sts(closed, mx=[good])
    refused(world, relay, closed, closed)
    peer = world.peer(open_)
    world.sts(open_, mx=[open_])
    assert delivered(world, relay, open_).peer is peer


@conformance(
    "RFC 7505 3",
    "null MX, and a policy",
    "bounced: 5.1.10; policy fetched 0 times",
    group="sts",
)
def test_07_null_mx_refuses_for_good_and_no_policy_is_fetched(world, relay):
    d, home = world.name(), world.domain(world.peer())
    world.dns.add(d, "MX", "0 .")
    world.sts(d, mx=PLAIN)
    mid = submit(relay, f"bob@{d}", sender=f"app@{home}")
    assert "5.1.10" in relay.log.one("delivery.bounced", mid=mid)["reply"]
    assert fetches(world, d) == 0


# --- fetching ---


@conformance(
    "RFC 8461 3.3",
    "what is asked of the policy host",
    f"{WEBPKI}; GET /.well-known/mta-sts.txt HTTP/1.1, unconditional",
)
def test_08_the_policy_is_fetched_over_https_with_sni(world, relay, good):
    d = world.sts(world.domain(good), mx=[good])
    delivered(world, relay, d)
    (request,) = world.policies.requests(d)
    assert request.line.startswith("GET /.well-known/mta-sts.txt HTTP/1.1")
    assert request.headers["Host"].startswith(f"mta-sts.{d}")
    conditional = {"If-None-Match", "If-Modified-Since"} & set(request.headers)
    assert not conditional, "09: no HTTP caching"
    seen.note(f"{request.line}, {'' if conditional else 'un'}conditional")


FAILING = {
    "08-certificate expired": lambda w, d: {"cert": w.ca.expired(f"mta-sts.{d}")},
    "08-certificate not yet valid": lambda w, d: {"cert": w.ca.not_yet_valid(f"mta-sts.{d}")},
    "08-certificate of the domain itself": lambda w, d: {"cert": w.ca.good(d)},
    "08-certificate with a common name alone": lambda w, d: {"cert": w.ca.cn_only(f"mta-sts.{d}")},
    "08-certificate signed by itself": lambda w, d: {"cert": w.ca.self_signed(f"mta-sts.{d}")},
    "08-certificate of an unknown CA": lambda w, d: {"cert": w.stranger.good(f"mta-sts.{d}")},
    "09-answers 404": lambda w, d: {"status": 404},
    "09-answers 500": lambda w, d: {"status": 500},
    "09-answers 204": lambda w, d: {"status": 204},
    "10-media type text/html": lambda w, d: {"kind": "text/html"},
    "10-no media type": lambda w, d: {"kind": None},
    "11-more than 64 KB": lambda w, d: {
        "text": policy("enforce", PLAIN) + "x: y\r\n" * 12000
    },
    "11-a body that is cut short": lambda w, d: {"headers": {"Content-Length": "5000"}},
    "09-answers in SMTP": lambda w, d: {"raw": b"220 mail ESMTP\r\n"},
    "09-hangs up": lambda w, d: {"raw": b""},
}


@pytest.mark.parametrize("row", FAILING)
@conformance("RFC 8461 3.3", "policy host: {name}", f"{TLS}; policy failed")
def test_24a_without_a_policy_to_be_had_mail_flows_as_though_there_were_none(
    world, relay, bad, row
):
    d = world.domain(bad)
    options = {"text": policy("enforce", PLAIN), **FAILING[row](world, d)}
    world.sts(d, **options)
    delivered(world, relay, d)
    got = decided(relay, d)
    assert got["sts"] == "failed" and got["sts_reason"], got


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@conformance(
    "RFC 8461 3.3",
    "policy host: redirects by {status}",
    f"{TLS}; policy failed",
)
def test_09_a_redirect_is_not_followed(world, relay, bad, status):
    d, target = world.domain(bad), world.name()
    world.sts(target, mx=PLAIN)
    where = f"https://mta-sts.{target}:{world.policies.port}/.well-known/mta-sts.txt"
    world.sts(d, mx=PLAIN, status=status, headers={"Location": where})
    delivered(world, relay, d)
    assert decided(relay, d)["sts"] == "failed"
    assert world.policies.requests(target) == []


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "TEXT/PLAIN"])
@conformance("RFC 8461 3.2", "media type {kind}", WAITS)
def test_10_parameters_and_case_of_the_media_type_do_not_matter(
    world, relay, bad, kind
):
    d = world.sts(world.domain(bad), mx=[bad], kind=kind)
    refused(world, relay, d)


@conformance("RFC 8461 3.3", "policy host: a wildcard certificate", WAITS)
def test_08_a_wildcard_certificate_serves_the_policy_host(world, relay, bad):
    d = world.domain(bad)
    world.sts(d, mx=[bad], cert=world.ca.good(f"*.{d}"))
    refused(world, relay, d)


def test_11_a_slow_policy_host_holds_up_its_own_domain_only(world, relay, good):
    slow, quick = world.domain(good), world.domain(good)
    world.sts(slow, mx=[good], delay=1.5)
    submit(relay, f"bob@{slow}")
    delivered(world, relay, quick)
    assert not world.ledger.of(domain=slow)
    assert world.ledger.one(domain=slow).tls


def test_12_policy_hosts_on_private_addresses_are_not_asked(
    world, new_relay, good
):
    """The MX hosts are private too, so that the mail itself stays here."""
    relay = new_relay({"delivery": {"allow_private": False}})
    d = world.sts(world.domain(good), mx=[good])
    mid = submit(relay, f"bob@{d}")
    relay.log.one("policy.decided", destination=d)
    assert world.policies.requests(d) == []
    assert not world.ledger.of(domain=d)
    assert relay.log.find("delivery.sent", mid=mid) == []


@conformance(
    "RFC 8461 3.3",
    "a fetch failed: the same id, then a new one",
    f"{TLS}; {UNLISTED}; policy fetched 2 times",
)
def test_13_after_a_failed_fetch_the_same_id_waits_and_a_new_one_does_not(
    world, relay, bad
):
    d = world.domain(bad, ttl=1)
    world.sts(d, mx=PLAIN, status=500, id="1", ttl=1)
    delivered(world, relay, d)
    time.sleep(1.2)  # the facts are good for as long as the TTL says
    submit(relay, f"again@{d}")
    world.ledger.one(f"again@{d}")
    assert len(world.policies.requests(d)) == 1, "asked again within minutes"
    world.sts(d, mx=PLAIN, id="2", ttl=1)
    time.sleep(1.2)
    mid = submit(relay, f"third@{d}")
    assert "4.7.5" in relay.log.one("delivery.deferred", mid=mid)["reply"]
    assert fetches(world, d) == 2


# --- the text of a policy ---

READABLE = {
    "14-lines end in LF alone": lambda mx: policy("enforce", [mx], eol="\n"),
    "14-the last line does not end": lambda mx: policy("enforce", [mx]).rstrip("\r\n"),
    "14-odd spaces": lambda mx: (
        f"version:STSv1\r\nmode: \tenforce \r\nmx:   {mx}\r\nmax_age:9999\r\n"
    ),
    "14-an unknown key": lambda mx: policy("enforce", [mx], extra=["new: thing"]),
    "14-a second mode, which does not count": lambda mx: policy("enforce", [mx], extra=["mode: none"]),
    "15-max_age above the maximum": lambda mx: policy("enforce", [mx], max_age=9999999999),
    "16-mx in upper case": lambda mx: policy("enforce", [mx.upper()]),
    "16-mx with a wildcard": lambda mx: policy("enforce", ["*." + mx.partition(".")[2]]),
}


@pytest.mark.parametrize("row", READABLE)
@conformance(
    {row: clause_of(row) for row in READABLE},
    "policy: {name}",
    "delivered to host 2 over TLS, WebPKI; policy fresh",
)
def test_a_policy_written_so_is_enforced(world, relay, good, bad, row):
    d = world.domain(bad, good)
    world.sts(d, text=READABLE[row](good.host))
    assert delivered(world, relay, d).peer is good
    assert decided(relay, d)["sts_mode"] == "enforce"


MALFORMED = {
    "14-no version": lambda mx: f"mode: enforce\r\nmx: {mx}\r\nmax_age: 99\r\n",
    "14-version 2": lambda mx: policy("enforce", [mx]).replace("STSv1", "STSv2"),
    "14-no mode": lambda mx: f"version: STSv1\r\nmx: {mx}\r\nmax_age: 99\r\n",
    "14-an unknown mode": lambda mx: policy("report", [mx]),
    "14-no mx": lambda mx: policy("enforce", []),
    "14-no max_age": lambda mx: f"version: STSv1\r\nmode: enforce\r\nmx: {mx}\r\n",
    "15-a negative max_age": lambda mx: policy("enforce", [mx], max_age=-1),
    "15-max_age in words": lambda mx: policy("enforce", [mx], max_age="long"),
    "16-a wildcard inside of mx": lambda mx: policy("enforce", ["mx.*.test"]),
    "14-JSON": lambda mx: '{"version": "STSv1", "mode": "enforce"}',
    "14-nothing": lambda mx: "",
}


@pytest.mark.parametrize("row", MALFORMED)
@conformance(
    {row: clause_of(row) for row in MALFORMED},
    "malformed policy: {name}",
    f"{TLS}; policy failed",
)
def test_a_malformed_policy_is_no_policy(world, relay, bad, row):
    d = world.domain(bad)
    world.sts(d, text=MALFORMED[row](bad.host))
    delivered(world, relay, d)
    assert decided(relay, d)["sts"] == "failed"


@pytest.mark.parametrize("inner", ["a.b", ""], ids=["two labels", "nothing"])
@conformance(
    "RFC 8461 4.1",
    "a wildcard, and a host with {name} in its place",
    UNLISTED,
)
def test_16_a_wildcard_stands_for_exactly_one_label(world, relay, inner):
    base = world.name()
    host = f"{inner}.{base}" if inner else base
    peer = world.peer(host)
    d = world.sts(world.domain(peer), mx=[f"*.{base}"])
    refused(world, relay, d, "none of them matches")


@conformance("RFC 8461 8.3", "mode none, and no host listed", f"{TLS}; policy fresh")
def test_23_mode_none_is_as_no_policy_even_without_mx(world, relay, bad):
    d = world.sts(world.domain(bad), mode="none")
    delivered(world, relay, d)
    assert decided(relay, d)["sts_mode"] == "none"
