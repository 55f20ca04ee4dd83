"""DANE for SMTP (RFC 7672), with answers authenticated in both ways: by the
resolver, and in process.  What has to come of each case is in
lab/dane_cases.py; test_dane_postfix.py asks Postfix."""

import itertools
import json
import time

import pytest

from lab import seen
from lab.dane_cases import (
    CASES,
    HALF_CASES,
    built,
    columns,
    fill,
    host_name,
    publish,
    reasons,
    told,
    unknown,
    wrong,
)
from lab.patience import PATIENCE
from lab.send import message, submit

NUMBERS = itertools.count(1)
FINAL = ("delivery.sent", "delivery.deferred", "delivery.bounced")


conformance = pytest.mark.conformance

# By whether the MX records are authentic.
PROVEN = {"dane": "verified", "dane insecure-mx": "half"}
DANE = "delivered over TLS, DANE"
MISMATCH = "waits: 4.7.5 DANE, not trusted"


@pytest.fixture(scope="module", params=["trust", "validate"])
def way(request):
    return request.param


@pytest.fixture(scope="module")
def relay_once(island, signed_once, way):
    with island:
        r = signed_once.relay(way=way)
    yield r
    r.close()


@pytest.fixture
def relay(signed, relay_once):
    assert relay_once.is_up(), "the relay died\n" + relay_once.stderr()
    yield relay_once
    assert relay_once.is_up(), "the relay died\n" + relay_once.stderr()


def outcome(signed, relay, domain, hosts):
    """In the words of lab/dane_cases.py, and the log's line."""
    rcpt = f"bob-{next(NUMBERS)}@{domain}"
    mid = submit(relay, rcpt)
    line = relay.log.one(FINAL, mid=mid)
    got = signed.ledger.of(rcpt)
    if line["event"] != "delivery.sent":
        assert line["event"] == "delivery.deferred" and not got, (line, got)
        return "deferred", line
    (got,) = got
    where = hosts.index(got.peer)
    if line["proof"] == "dane":
        assert got.tls and line["certificate"] == "verified", line
        return f"{where} {PROVEN[line['policy']]}", line
    return f"{where} {'encrypted' if got.tls else 'clear'}", line


@conformance(*columns(CASES, "relay"), why=reasons(CASES))
@pytest.mark.parametrize("name", CASES)
def test_case(signed, relay, name):
    case = CASES[name]
    domain, hosts = case.build(signed)
    got, line = outcome(signed, relay, domain, hosts)
    seen.note_only(told(got, line["reply"].split()[1]))
    assert got == case.want, line


def of(signed, relay, place):
    return outcome(signed, relay, place.domain, place.hosts)


# --- how a host is addressed ---


@conformance(
    "RFC 7672 8.1",
    "SNI: of a host, of an alias with records of its target, with its own",
    f"{DANE}; SNI: MX name, target, MX name",
)
def test_sni_is_the_name_whose_records_were_found(signed, relay):
    """RFC 7672 section 8.1."""
    said = []
    for name in (
        "3-1-1-matches",
        "alias-with-records-of-its-target",
        "alias-with-records-of-its-own",
    ):
        domain, (peer,) = CASES[name].build(signed)
        assert outcome(signed, relay, domain, [peer])[0] == "0 verified"
        sni = signed.ledger.one(domain=domain).tls.sni
        assert (sni == peer.host) == (not name.endswith("its-own")), (name, sni)
        assert signed.dns.asked(f"_25._tcp.{sni}", "TLSA")
        is_mx = sni in signed.hosts_of[domain]
        said.append("MX name" if is_mx else "target")
    seen.note(f"SNI: {', '.join(said)}")


@conformance(
    "RFC 7672 2.2.2",
    "an insecure host, insecure MX records",
    "delivered over TLS; TLSA asked for 0 times",
)
def test_records_of_an_insecure_host_are_not_asked_for(signed, relay):
    asked = 0
    for name in ("insecure-host", "insecure-mx"):
        place = CASES[name].build(signed)
        of(signed, relay, place)
        asked += signed.dns.asked(f"_25._tcp.{place.hosts[0].host}", "TLSA")
    assert asked == 0
    seen.note(f"TLSA asked for {asked} times")


@conformance(
    "RFC 7672 2.2",
    "what a host hears that fails",
    f"{MISMATCH}; MAIL was said 0 times",
)
def test_a_host_that_failed_is_said_nothing(signed, relay):
    peer = unknown(signed, wrong(signed, "3 1 1"))
    assert of(signed, relay, built(signed, peer))[0] == "deferred"
    said = sum(c.startswith("MAIL") for c in peer.commands)
    assert said == 0
    seen.note(f"MAIL was said {said} times")


def test_the_log_and_trace_say_what_was_demanded(signed, relay):
    place = built(signed, unknown(signed, wrong(signed, "3 1 1")))
    line = of(signed, relay, place)[1]
    assert line.get("policy") == line.get("proof") == "dane", line
    assert "no matching DANE TLSA records" in line["reply"]
    assert place.hosts[0].host in line["reply"] and "4.7.5" in line["reply"]
    told = relay.cli("trace", line["mid"]).stdout
    assert "no matching DANE TLSA records" in told, told


# --- connections and sessions ---


@conformance(
    "RFC 7671 8.1",
    "the records change, and there is a connection",
    f"{DANE}; {MISMATCH}",
)
def test_a_connection_of_other_records_is_not_used_again(signed, relay):
    """Nor is its TLS session."""
    peer = unknown(signed)
    signed.dns.add(
        f"_25._tcp.{peer.host}",
        "TLSA",
        fill(signed, "3 1 1", signed.stranger.good(peer.host)),
        ttl=1,
    )
    place = built(signed, peer)
    assert of(signed, relay, place)[0] == "0 verified"
    signed.dns.put(
        f"_25._tcp.{peer.host}", "TLSA", wrong(signed, "3 1 1"), ttl=1
    )
    until = time.monotonic() + PATIENCE
    while of(signed, relay, place)[0] != "deferred":
        assert time.monotonic() < until, "the new records are not looked at"


@conformance(
    "RFC 7672 2.2.1",
    "one host with TLSA records; domains: secure twice, insecure, secure",
    f"{DANE}; delivered over TLS; {DANE}",
    group="both",
)
def test_domains_with_one_host_share_what_it_proved(signed, relay):
    peer = unknown(signed, "3 1 1")
    for _ in range(2):
        assert of(signed, relay, built(signed, peer))[0] == "0 verified"
    insecure = built(signed, peer, name=signed.insecure_name())
    assert of(signed, relay, insecure)[0] == "0 encrypted"
    assert of(signed, relay, built(signed, peer))[0] == "0 verified"


# --- with MTA-STS ---


def sts(signed, place, mode="enforce", mx=None):
    signed.sts(place.domain, mode=mode, mx=mx or place.hosts)
    return place


@conformance(
    "RFC 8461 2",
    "MTA-STS enforce; DANE holds, WebPKI does not",
    DANE,
    group="both",
)
def test_dane_is_enough_where_a_policy_demands_webpki(signed, relay):
    """A host that DANE proves needs no other proof."""
    place = sts(signed, built(signed, unknown(signed, "3 1 1")))
    assert of(signed, relay, place)[0] == "0 verified"


@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
@conformance(
    "RFC 8461 2",
    "MTA-STS {mode}; WebPKI holds, DANE does not",
    MISMATCH,
    group="both",
)
def test_no_policy_makes_up_for_a_mismatch(signed, relay, mode):
    """RFC 8461 section 2: MTA-STS must not override a DANE failure."""
    peer = signed.peer()
    publish(signed, peer, fill(signed, "2 1 1", None))  # the stranger's
    place = sts(signed, built(signed, peer), mode)
    got, line = of(signed, relay, place)
    assert got == "deferred" and line.get("proof") == "dane", line


@conformance(
    "RFC 8461 4.1",
    "MTA-STS enforce; DANE holds for two hosts, the second is listed",
    "delivered to host 2 over TLS, DANE",
    group="both",
)
def test_hosts_that_a_policy_does_not_list_are_left_out_all_the_same(signed, relay):
    first, second = unknown(signed, "3 1 1"), unknown(signed, "3 1 1")
    place = sts(signed, built(signed, first, second), mx=[second])
    assert of(signed, relay, place)[0] == "1 verified"


@conformance(
    "RFC 7672 2.2",
    "MTA-STS enforce; TLSA records unusable; WebPKI fails, then holds",
    "waits: 4.7.5 MTA-STS, not trusted; delivered over TLS, WebPKI",
    group="both",
)
def test_unusable_records_leave_a_policy_in_force(signed, relay):
    unusable = "1 1 1 " + "ab" * 32
    stranger = sts(signed, built(signed, unknown(signed, unusable)))
    got, line = of(signed, relay, stranger)
    assert got == "deferred" and line["proof"] == "pkix", line
    known = signed.peer()
    publish(signed, known, unusable)
    got, line = of(signed, relay, sts(signed, built(signed, known)))
    assert got == "0 encrypted" and line["certificate"] == "verified", line


@conformance(
    "RFC 8461 2",
    "MTA-STS enforce; no TLSA records; WebPKI fails",
    "waits: 4.7.5 MTA-STS, not trusted",
    group="both",
)
def test_a_policy_holds_for_hosts_without_records(signed, relay):
    place = sts(signed, built(signed, unknown(signed)))
    got, line = of(signed, relay, place)
    assert got == "deferred" and line["proof"] == "pkix"


# --- what the sender and the operator say ---


@conformance(
    "RFC 8689 4.2.2",
    "TLS-Required: No; DANE fails",
    "delivered over TLS",
    group="both",
)
def test_tls_required_no_passes_by_a_mismatch(signed, relay):
    peer = unknown(signed, wrong(signed, "3 1 1"))
    domain = built(signed, peer).domain
    submit(relay, f"bob@{domain}", data=message(extra=["TLS-Required: No"]))
    assert signed.ledger.one(domain=domain).tls


@conformance(
    "RFC 8689 4.2.1",
    "REQUIRETLS; DANE holds",
    f"{DANE}, REQUIRETLS",
    group="both",
)
def test_requiretls_takes_dane_for_proof(signed, relay):
    peer = unknown(signed, "3 1 1", requiretls=True)
    domain = built(signed, peer).domain
    submit(
        relay,
        f"bob@{domain}",
        port=relay.tls_port,
        starttls=True,
        mail_options=["REQUIRETLS"],
    )
    assert "REQUIRETLS" in signed.ledger.one(domain=domain).mail_args


def test_an_exemption_switches_it_off_for_one_domain(signed, signed_relay):
    exempt = built(signed, unknown(signed, wrong(signed, "3 1 1")))
    other = built(signed, unknown(signed, wrong(signed, "3 1 1")))
    relay = signed_relay(
        config={
            f'domain "{exempt.domain}"': {
                "dane": False,
                "reason": "lab",
                "until": "2099-01-01",
            }
        }
    )
    assert of(signed, relay, exempt)[0] == "0 encrypted"
    assert of(signed, relay, other)[0] == "deferred"


def test_the_policy_section_switches_it_off_for_all(signed, signed_relay):
    relay = signed_relay(config={"policy": {"dane": False}})
    place = built(signed, unknown(signed, wrong(signed, "3 1 1")))
    assert of(signed, relay, place)[0] == "0 encrypted"
    assert not signed.dns.asked(f"_25._tcp.{place.hosts[0].host}", "TLSA")


@conformance(
    "RFC 7672 2.1.3",
    "auto; a forwarder that strips signatures; a mismatch",
    "delivered over TLS",
    group="way",
)
def test_without_authentic_answers_there_is_no_dane(signed, signed_relay):
    """And it is said at the start: see test_dnssec.py."""
    relay = signed_relay(
        config={"resolver": signed.settings("auto", signed.stripping())}
    )
    place = built(signed, unknown(signed, wrong(signed, "3 1 1")))
    assert of(signed, relay, place)[0] == "0 encrypted"


# --- MX records that are not authentic ---

HALF = {"policy": {"dane_insecure_mx": "dane"}}


@pytest.fixture(scope="module")
def half_relay(island, signed_once, way):
    with island:
        r = signed_once.relay(HALF, way=way)
    yield r
    r.close()


@conformance(*columns(HALF_CASES, "relay"), why=reasons(HALF_CASES), group="half")
@pytest.mark.parametrize("name", HALF_CASES)
def test_case_below_insecure_mx_records(signed, half_relay, name):
    case = HALF_CASES[name]
    domain, hosts = case.build(signed)
    got, line = outcome(signed, half_relay, domain, hosts)
    seen.note_only(told(got, line["reply"].split()[1]))
    assert got == case.want, line


def test_records_below_insecure_mx_records_are_shown_as_such(signed, signed_relay):
    relay = signed_relay(config=HALF)
    place = built(signed, unknown(signed, "3 1 1"), name=signed.insecure_name())
    got, line = of(signed, relay, place)
    assert got == "0 half" and line["policy"] == "dane insecure-mx", line
    assert "dane insecure-mx" in relay.cli("trace", line["mid"]).stdout
    found = json.loads(relay.cli("probe", place.domain, "--json").stdout)
    [host] = found["hosts"]
    assert (host["proof"], host["policy"]) == ("dane", "dane insecure-mx")
    assert found["mx"]["authentic"] is False
    assert "dane insecure-mx" in relay.cli("probe", place.domain).stdout


def test_records_below_insecure_mx_records_do_not_do_for_requiretls(
    signed, signed_relay
):
    """But where an MTA-STS policy vouches for the name they do."""
    relay = signed_relay(config=HALF)
    home = signed.domain(signed.peer())
    peer = unknown(signed, "3 1 1", requiretls=True)
    bare = built(signed, peer, name=signed.insecure_name())
    listed = sts(signed, built(signed, peer, name=signed.insecure_name()))
    for place in (bare, listed):
        mid = submit(
            relay,
            f"bob@{place.domain}",
            sender=f"app@{home}",
            port=relay.tls_port,
            starttls=True,
            mail_options=["REQUIRETLS"],
        )
        line = relay.log.one(FINAL, mid=mid)
        assert (line["event"] == "delivery.sent") == (place is listed), line
        assert place is listed or "5.7.10" in line["reply"]
    assert "REQUIRETLS" in signed.ledger.one(domain=listed.domain).mail_args


def test_one_domain_may_be_told_apart(signed, signed_relay):
    kinds = {}
    for name in ("told", "other"):
        peer = unknown(signed, wrong(signed, "3 1 1"))
        kinds[name] = built(signed, peer, name=signed.insecure_name())
    rule = {"dane_insecure_mx": "dane"}
    relay = signed_relay(config={f'domain "{kinds["told"].domain}"': rule})
    assert of(signed, relay, kinds["told"])[0] == "deferred"
    assert of(signed, relay, kinds["other"])[0] == "0 encrypted"


# --- where DANE is required ---

NOT_DANE = {
    "no records": lambda w: built(w, w.peer()),
    "an insecure domain": lambda w: built(
        w, unknown(w, "3 1 1"), name=w.insecure_name()
    ),
    "an insecure host": lambda w: built(w, w.peer(f"mx.{w.insecure_name()}")),
    "unusable records": lambda w: built(w, unknown(w, "1 1 1 " + "ab" * 32)),
    "a mismatch": lambda w: built(w, unknown(w, wrong(w, "3 1 1"))),
}


def required(*places):
    return {f'domain "{p.domain}"': {"dane": "required"} for p in places}


@pytest.mark.parametrize("half", ["off", "dane"])
def test_required_dane_sends_to_nobody_without_it(signed, signed_relay, half):
    places = {name: build(signed) for name, build in NOT_DANE.items()}
    config = {**required(*places.values()), "policy": {"dane_insecure_mx": half}}
    relay = signed_relay(config=config)
    for name, place in places.items():
        got, line = of(signed, relay, place)
        assert got == "deferred" and "4.7.5" in line["reply"], (name, line)
        assert name == "a mismatch" or "DANE is required here" in line["reply"], line


def test_required_dane_is_satisfied_by_dane_alone(signed, signed_relay):
    good = built(signed, unknown(signed, "3 1 1"))
    second = built(signed, signed.peer(), unknown(signed, "3 1 1"))
    relay = signed_relay(config=required(good, second))
    assert of(signed, relay, good)[0] == "0 verified"
    assert of(signed, relay, second)[0] == "1 verified"
    assert of(signed, relay, built(signed, signed.peer()))[0] == "0 encrypted"


@pytest.mark.parametrize("lax", ["tls-required: no", "enforce = report"])
def test_required_dane_is_the_operator_s_and_nobody_lifts_it(
    signed, signed_relay, lax
):
    place = built(signed, signed.peer())
    wrongly = built(signed, unknown(signed, wrong(signed, "3 1 1")))
    config = required(place, wrongly)
    if lax.startswith("enforce"):
        config["policy"] = {"enforce": "report"}
    relay = signed_relay(config=config)
    extra = ["TLS-Required: No"] if lax.startswith("tls") else []
    for p in (place, wrongly):
        mid = submit(relay, f"bob@{p.domain}", data=message(extra=extra))
        assert "4.7.5" in relay.log.one("delivery.deferred", mid=mid)["reply"]
        assert not signed.ledger.of(domain=p.domain)


def test_required_dane_is_shown_by_a_probe(signed, signed_relay):
    place = built(signed, signed.peer())
    relay = signed_relay(config=required(place))
    done = relay.cli("probe", place.domain, "--json", check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["dane"], found["plan"]) == (1, "required", "defer")
    assert "DANE is required here" in found["hosts"][0]["why"]
    assert "required here" in relay.cli("probe", place.domain, check=False).stdout


# --- routes: RFC 7672 section 2.2.3, the port is the route's ---

SUBMISSION = 587


@pytest.mark.parametrize("way", ["trust", "validate"])
@pytest.mark.parametrize("records", ["match", "mismatch", "none"])
@conformance(
    "RFC 7672 2.2.3",
    "a smarthost on port 587; records of that port: {records}",
    {"match": DANE, "mismatch": MISMATCH, "none": "waits: 4.7.5, not trusted"},
)
def test_a_route_s_host_is_held_to_its_records(signed, signed_relay, way, records):
    name = host_name(signed)
    cert = signed.stranger.chained(signed.stranger.good(name))
    host = signed.peer(name, cert=cert, port=SUBMISSION)
    publish(signed, host, wrong(signed, "3 1 1"))  # of port 25: none of ours
    if records != "none":
        good = fill(signed, "3 1 1", cert)
        text = good if records == "match" else wrong(signed, "3 1 1")
        publish(signed, host, text, port=SUBMISSION)
    relay = signed_relay(
        way,
        {'route "all"': {"to": ["*"], "via": [f"{name}:{SUBMISSION}"]}},
    )
    got, line = outcome(signed, relay, signed.name(), [host])
    assert got == ("0 verified" if records == "match" else "deferred"), line
    assert line["proof"] == ("pkix" if records == "none" else "dane")
    assert signed.dns.asked(f"_{SUBMISSION}._tcp.{name}", "TLSA")
