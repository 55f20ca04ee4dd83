"""What DANE has to tell apart: each case builds a domain of its own.

A case is a function of the world; it gives the domain and its hosts, best
first.  What comes of it is one of

    deferred        delivered to nobody
    N verified      delivered to host N, which was authenticated by DANE
    N encrypted     delivered to host N over TLS, whoever that is
    N clear         delivered to host N in clear
    N half          as verified, but the MX records are not authentic

`clause` is the section that demands it, of RFC 7672 if no other is named, and
`code` the status with which mail waits.  `postfix` is what Postfix does, where
that is something else, and `why` says on whose side the RFC is.
"""

import collections
import ssl

from .tlsa import of_authority, of_host

Case = collections.namedtuple("Case", "build clause want code postfix why")
Built = collections.namedtuple("Built", "domain hosts")

CASES = {}

KINDS_EE = ["3 0 0", "3 0 1", "3 0 2", "3 1 0", "3 1 1", "3 1 2"]
KINDS_TA = ["2 0 0", "2 0 1", "2 0 2", "2 1 0", "2 1 1", "2 1 2"]


def case(clause, want, name=None, code="4.7.5", postfix=None, why="", cases=CASES):
    def keep(build):
        key = name or build.__name__.replace("_", "-")
        assert key not in cases
        section = clause if " " in clause else f"7672 {clause}"
        cases[key] = Case(build, f"RFC {section}", want, code, postfix or want, why)
        return build

    return keep


def told(want, code=None):
    """The same in the words of lab/seen.py."""
    if want == "panic":
        return "panics"
    if want == "deferred":
        return f"waits: {code}" if code else "waits"
    where, what = want.split()
    where = f" to host {int(where) + 1}" if int(where) else ""
    how = {
        "verified": "over TLS, DANE",
        "half": "over TLS, DANE insecure-mx",
        "encrypted": "over TLS",
        "clear": "in clear",
    }
    return f"delivered{where} {how[what]}"


def columns(cases, by):
    """For the mark of a test with the parameter `name`: all of them as rows."""
    return (
        {name: case.clause for name, case in cases.items()},
        {name: name.replace("-", " ") for name in cases},
        {
            name: told(case.postfix) if by == "Postfix" else told(case.want, case.code)
            for name, case in cases.items()
        },
    )


def reasons(cases):
    return {name: case.why for name, case in cases.items()}


def publish(w, host, *records, port=25):
    w.dns.add(f"_{port}._tcp.{getattr(host, 'host', host)}", "TLSA", *records)


def host_name(w):
    return f"mx.{w.name()}"


def unknown(w, *records, name=None, **options):
    """A host whose certificate nobody knows but by its TLSA records; "3 1 1"
    among them becomes that record, and "2 1 1" that of its authority."""
    name = name or host_name(w)
    cert = options.pop("cert", None) or w.stranger.chained(w.stranger.good(name))
    peer = w.peer(name, cert=cert, **options)
    publish(w, name, *(fill(w, r, cert) for r in records))
    return peer


def fill(w, text, cert):
    if len(text) > len("3 1 1"):
        return text
    if text.startswith("2"):
        return of_authority(text, w.stranger)
    return of_host(text, cert)


def wrong(w, kind):
    """A record of that kind that no certificate of the stranger matches."""
    if kind.startswith("2"):
        return of_authority(kind, w.ca)
    return of_host(kind, w.ca.good("mx.elsewhere.lab"))


def built(w, *hosts, name=None):
    return Built(w.domain(*hosts, name=name), hosts)


# --- each kind of record ---


def of_openssl(w, kind, of=None, sent=("leaf", "middle", "root")):
    """A host with a chain of three that the openssl command made, and that
    record of it."""
    name = host_name(w)
    chain = w.openssl.chain(name, sent)
    return built(w, unknown(w, chain.record(kind, of), name=name, cert=chain))


def _kinds():
    for kind in KINDS_EE + KINDS_TA:

        def match(w, kind=kind):
            return of_openssl(w, kind)

        def mismatch(w, kind=kind):
            return built(w, unknown(w, wrong(w, kind)))

        clause = "3.1.2" if kind.startswith("2") else "3.1.1"
        dashed = kind.replace(" ", "-")
        case(clause, "0 verified", f"{dashed}-matches")(match)
        case(clause, "deferred", f"{dashed}-does-not-match")(mismatch)


_kinds()


@case("3.1.2", "0 verified", "2-0-1-of-an-intermediate")
def _of_an_intermediate(w):
    return of_openssl(w, "2 0 1", "middle")


@case("3.1.2", "0 verified", "2-1-1-of-an-intermediate-and-the-root-is-not-sent")
def _of_an_intermediate_without_root(w):
    return of_openssl(w, "2 1 1", "middle", ("leaf", "middle"))


@case("7671 5.2.2", "deferred", "2-0-1-and-the-intermediate-is-not-sent")
def _without_intermediate(w):
    return of_openssl(w, "2 0 1", "root", ("leaf", "root"))


def _without_anchor(kind):
    """The host sends its own certificate alone."""

    def build(w):
        name = host_name(w)
        cert = w.stranger.good(name)
        return built(w, unknown(w, kind, name=name, cert=cert))

    return build


case("3.1.2", "0 verified", "2-0-0-and-the-anchor-is-not-sent")(_without_anchor("2 0 0"))
case("7671 5.2.3", "0 verified", "2-1-0-and-the-anchor-is-not-sent")(_without_anchor("2 1 0"))
case("7671 5.2.2", "deferred", "2-0-1-and-the-anchor-is-not-sent")(_without_anchor("2 0 1"))
case("7671 5.2.2", "deferred", "2-1-1-and-the-anchor-is-not-sent")(_without_anchor("2 1 1"))


# --- what of the certificate counts ---


def _faulty(kind, make):
    def build(w):
        name = host_name(w)
        cert = w.stranger.chained(make(w.stranger, name))
        return built(w, unknown(w, kind, name=name, cert=cert))

    return build


# And the clauses for usage 3 and for usage 2.
FAULTS = {
    "expired": (lambda ca, name: ca.expired(name), "3.1.1", "3.1.2"),
    "not-yet-valid": (lambda ca, name: ca.not_yet_valid(name), "3.1.1", "3.1.2"),
    "of-another-name": (lambda ca, name: ca.good("mx.elsewhere.lab"), "3.2.1", "3.2.2"),
}
for _fault, (_make, _of_3, _of_2) in FAULTS.items():
    case(_of_3, "0 verified", f"3-1-1-{_fault}")(_faulty("3 1 1", _make))
    case(_of_2, "deferred", f"2-1-1-{_fault}")(_faulty("2 1 1", _make))


@case("3.2.2", "0 verified")
def anchor_and_a_certificate_for_the_next_hop(w):
    """RFC 7672 section 3.2.2: the domain of the mail is a name too."""
    domain = w.name()
    cert = w.stranger.chained(w.stranger.good(domain))
    return built(w, unknown(w, "2 1 1", cert=cert), name=domain)


@case("3.2.2", "0 verified")
def anchor_and_a_certificate_for_what_the_next_hop_is_an_alias_of(w):
    domain, target = w.name(), w.name()
    cert = w.stranger.chained(w.stranger.good(target))
    peer = unknown(w, "2 1 1", cert=cert)
    w.domain(peer, name=target)
    w.dns.add(domain, "CNAME", f"{target}.")
    return Built(domain, (peer,))


@case("3.2.3", "0 verified")
def anchor_and_a_wildcard(w):
    name = host_name(w)
    base = name.partition(".")[2]
    cert = w.stranger.chained(w.stranger.good(f"*.{base}"))
    return built(w, unknown(w, "2 1 1", name=name, cert=cert))


# --- more than one record ---


@case("7671 8.1", "0 verified")
def roll_over_one_of_two_matches(w):
    return built(w, unknown(w, wrong(w, "3 1 1"), "3 1 1"))


@case("7671 8.1", "0 verified")
def an_anchor_besides_a_host_key_of_the_past(w):
    return built(w, unknown(w, wrong(w, "3 1 1"), "2 1 1"))


@case("7671 9", "deferred")
def the_stronger_digest_alone_counts(w):
    """RFC 7671 section 9."""
    return built(w, unknown(w, wrong(w, "3 1 2"), "3 1 1"))


@case("7671 9", "0 verified")
def digests_of_different_selectors_count_each(w):
    return built(w, unknown(w, wrong(w, "3 0 2"), "3 1 1"))


@case("2.2", "deferred")
def an_unusable_record_does_not_excuse_a_mismatch(w):
    return built(w, unknown(w, wrong(w, "3 1 1"), "1 1 1 " + "ab" * 32))


UNUSABLE = {
    "usage-0": "0 0 1 " + "ab" * 32,
    "usage-1": "1 1 1 " + "ab" * 32,
    "private-usage": "255 1 1 " + "ab" * 32,
    "unknown-selector": "3 9 1 " + "ab" * 32,
    "unknown-matching": "3 1 9 " + "ab" * 32,
    "short-digest": "3 1 1 " + "ab" * 31,
    "no-certificate": "2 0 0 " + "ab" * 40,
}


def _unusable():
    for name, text in UNUSABLE.items():

        def offered(w, text=text):
            return built(w, unknown(w, text))

        def stripped(w, text=text):
            return built(w, unknown(w, text, offer=False))

        clause = "3.1.3" if name in ("usage-0", "usage-1") else "6698 4.1"
        case(clause, "0 encrypted", f"unusable-{name}")(offered)
        if name in ("usage-1", "short-digest"):
            case("2.2", "deferred", f"unusable-{name}-and-starttls-stripped")(stripped)


_unusable()


@case("2.2", "0 encrypted")
def none_of_several_records_is_usable(w):
    return built(w, unknown(w, *UNUSABLE.values()))


# --- records that are cut short ---

SHORT = (
    "without its three numbers it is no TLSA record (RFC 6698 section 2.1); the relay"
    " takes an answer of nothing else for a failed look-up (RFC 7672 section 2.1.2),"
    " Postfix passes over it with a warning"
)
EMPTY = (
    "a record without data is malformed, and so unusable (RFC 6698 section 4.1);"
    " Postfix's client process panics over it, and the mail stays where it is"
)
WHOLE = bytes([3, 1, 1, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB])


def _cut():
    for length in range(len(WHOLE) + 1):

        def alone(w, length=length):
            peer = unknown(w)
            w.craft(f"_25._tcp.{peer.host}", "TLSA", WHOLE[:length])
            return built(w, peer)

        name = f"a-record-of-{length}-octets"
        if length < 3:
            case("6698 2.1", "deferred", name, postfix="0 encrypted", why=SHORT)(alone)
        elif length == 3:
            case("6698 4.1", "0 encrypted", name, postfix="panic", why=EMPTY)(alone)
        else:
            case("6698 4.1", "0 encrypted", name)(alone)


_cut()


@case("6698 4.1", "0 verified")
def a_record_of_2_octets_besides_a_good_one(w):
    name = host_name(w)
    cert = w.stranger.good(name)
    peer = w.peer(name, cert=cert)
    good = of_host("3 1 1", cert).split()
    whole = bytes(map(int, good[:3])) + bytes.fromhex(good[3])
    w.craft(f"_25._tcp.{name}", "TLSA", WHOLE[:2], whole)
    return built(w, peer)


# --- TLS ---


@case("2.2", "deferred")
def starttls_stripped(w):
    return built(w, unknown(w, "3 1 1", offer=False))


@case("2.2", "deferred")
def starttls_refused(w):
    peer = unknown(w, "3 1 1")
    peer.replies["STARTTLS"] = [["454 4.7.0 not now"]]
    return built(w, peer)


@case("8996 5", "deferred")
def tls_1_1(w):
    return built(
        w,
        unknown(
            w, "3 1 1", lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion.TLSv1_1
        ),
    )


@case("2.2", "1 verified")
def a_mismatch_and_a_next_host(w):
    return built(w, unknown(w, wrong(w, "3 1 1")), unknown(w, "3 1 1"))


@case("2.2", "1 encrypted")
def a_mismatch_and_a_next_host_without_records(w):
    return built(w, unknown(w, wrong(w, "3 1 1")), w.peer())


# --- no records ---


@case("2.2", "0 encrypted")
def no_records(w):
    return built(w, unknown(w))


@case("2.2", "0 clear")
def no_records_and_no_tls(w):
    return built(w, w.peer(tls=False))


@case("2.2.3", "0 encrypted")
def records_of_another_port(w):
    peer = unknown(w)
    publish(w, peer, wrong(w, "3 1 1"), port=587)
    return built(w, peer)


# --- look-ups that fail ---


def _tlsa_fails(how, alone):
    def build(w):
        bad = unknown(w, "3 1 1")
        w.dns.behave(f"_25._tcp.{bad.host}", how, "TLSA")
        return built(w, bad) if alone else built(w, bad, unknown(w, "3 1 1"))

    return build


for _how in ("servfail", "refused", "forge"):
    case("2.1.2", "deferred", f"tlsa-{_how}")(_tlsa_fails(_how, True))
    case("2.1.2", "1 verified", f"tlsa-{_how}-and-a-next-host")(_tlsa_fails(_how, False))


@case("2.1.2", "deferred", code="4.4.3")
def mx_servfail(w):
    place = built(w, unknown(w, "3 1 1"))
    w.dns.behave(place.domain, "servfail", "MX")
    return place


@case("2.1.2", "deferred", code="4.4.3")
def mx_forged(w):
    place = built(w, unknown(w, "3 1 1"))
    w.dns.behave(place.domain, "forge", "MX")
    return place


@case("2.1.2", "1 verified")
def address_servfail_and_a_next_host(w):
    bad = unknown(w, "3 1 1")
    w.dns.behave(bad.host, "servfail")
    return built(w, bad, unknown(w, "3 1 1"))


@case("2.1.2", "1 verified")
def address_forged_and_a_next_host(w):
    bad = unknown(w, "3 1 1")
    w.dns.behave(bad.host, "forge")
    return built(w, bad, unknown(w, "3 1 1"))


# --- how far DNSSEC reaches ---

HALF = (
    "RFC 7672 section 2.2.1 lets a client look for TLSA records of hosts whose"
    " MX records are not authentic; Postfix does (smtp_tls_dane_insecure_mx_policy),"
    " which protects against less than it seems: who can forge MX records names"
    " another host"
)


def _host_in(zone):
    """The best host is in a zone that does not validate."""

    def alone(w):
        host = f"mx.{zone}" if zone == "expired" else f"{host_name(w)[:-4]}.{zone}"
        if zone != "expired":
            host = w.peer(host)
        return built(w, host)

    def of_two(w):
        return built(w, alone(w).hosts[0], unknown(w, "3 1 1"))

    return alone, of_two


for _zone, _what in (("expired", "expired-signatures"), ("bogus", "no-right-ds")):
    _alone, _of_two = _host_in(_zone)
    case("2.1.1", "deferred", f"host-in-a-zone-with-{_what}", code="4.4.3")(_alone)
    case("2.1.1", "1 verified", f"host-in-a-zone-with-{_what}-and-a-next")(_of_two)


@case("2.2.1", "0 encrypted", postfix="deferred", why=HALF)
def insecure_mx(w):
    return built(w, unknown(w, wrong(w, "3 1 1")), name=w.insecure_name())


# What becomes of them where the relay is told `dane_insecure_mx = "dane"`, and
# of Postfix, which does so unless it is told otherwise.  Its logs call such a
# host Trusted, the relay's "dane insecure-mx".
HALF_CASES = {}


def half_case(want, postfix=None, why=""):
    return case("2.2.1", want, postfix=postfix, why=why, cases=HALF_CASES)


half_case("deferred")(insecure_mx)


@half_case("0 half")
def insecure_mx_and_a_match(w):
    return built(w, unknown(w, "3 1 1"), name=w.insecure_name())


@half_case("0 half")
def insecure_mx_and_an_anchor(w):
    return built(w, unknown(w, "2 1 1"), name=w.insecure_name())


@half_case(
    "deferred",
    postfix="0 half",
    why="RFC 7672 section 3.2.2 gives the host the name of the domain where the MX"
    " records are authentic; Postfix does so in any case",
)
def insecure_mx_and_a_certificate_for_the_next_hop(w):
    domain = w.insecure_name()
    cert = w.stranger.chained(w.stranger.good(domain))
    return built(w, unknown(w, "2 1 1", cert=cert), name=domain)


@half_case("deferred")
def insecure_mx_and_starttls_stripped(w):
    return built(w, unknown(w, "3 1 1", offer=False), name=w.insecure_name())


@half_case("deferred")
def insecure_mx_and_tlsa_servfail(w):
    peer = unknown(w, "3 1 1")
    w.dns.behave(f"_25._tcp.{peer.host}", "servfail", "TLSA")
    return built(w, peer, name=w.insecure_name())


@half_case("0 encrypted")
def insecure_mx_and_no_records(w):
    return built(w, unknown(w), name=w.insecure_name())


@half_case("0 encrypted")
def insecure_mx_and_an_insecure_host(w):
    host = f"mx.{w.insecure_name()}"
    peer = unknown(w, wrong(w, "3 1 1"), name=host)
    return built(w, peer, name=w.insecure_name())


@half_case("1 half")
def insecure_mx_and_a_next_host(w):
    hosts = unknown(w, wrong(w, "3 1 1")), unknown(w, "3 1 1")
    return built(w, *hosts, name=w.insecure_name())


@case("2.2.2", "0 encrypted")
def insecure_host(w):
    host = f"mx.{w.insecure_name()}"
    return built(w, unknown(w, wrong(w, "3 1 1"), name=host))


@case("2.2.2", "0 encrypted")
def insecure_host_whose_server_fails_on_tlsa(w):
    """RFC 7672 section 2.2.2: it is not asked."""
    host = f"mx.{w.insecure_name()}"
    w.dns.behave(f"_25._tcp.{host}", "servfail", "TLSA")
    return built(w, unknown(w, name=host))


@case("2.2.2", "0 verified")
def implicit_mx(w):
    domain = w.name()
    return Built(domain, (unknown(w, "3 1 1", name=domain),))


def aliased(w, alias, *records, at, name=None, cert=None):
    """An MX host `alias` that is another name of a peer."""
    name = name or host_name(w)
    cert = cert or w.stranger.chained(w.stranger.good(name))
    peer = w.peer(name, cert=cert)
    w.dns.add(alias, "CNAME", f"{name}.")
    publish(w, {"alias": alias, "name": name}[at], *(fill(w, r, cert) for r in records))
    return Built(w.domain(alias), (peer,))


@case("7671 7", "0 verified")
def alias_with_records_of_its_target(w):
    return aliased(w, host_name(w), "3 1 1", at="name")


@case("7671 7", "0 verified")
def alias_with_records_of_its_own(w):
    return aliased(w, host_name(w), "3 1 1", at="alias")


@case("7671 7", "deferred")
def alias_with_wrong_records_of_its_target(w):
    return aliased(w, host_name(w), wrong(w, "3 1 1"), at="name")


@case("2.2.2", "0 verified")
def alias_of_an_insecure_name_with_records_of_its_own(w):
    """RFC 7672 section 2.2.2: the alias itself is authentic."""
    return aliased(
        w, host_name(w), "3 1 1", at="alias", name=f"mx.{w.insecure_name()}"
    )


@case("2.2.2", "deferred")
def alias_of_an_insecure_name_with_wrong_records(w):
    return aliased(
        w, host_name(w), wrong(w, "3 1 1"), at="alias", name=f"mx.{w.insecure_name()}"
    )


def chained(w, *links, records, at):
    """The MX host is the first of these aliases; the last leads to a peer."""
    name = host_name(w)
    cert = w.stranger.good(name)
    peer = w.peer(name, cert=cert)
    for alias, target in zip(links, [*links[1:], name]):
        w.dns.add(alias, "CNAME", f"{target}.")
    publish(w, name if at == "end" else links[0], *(fill(w, r, cert) for r in records))
    return Built(w.domain(links[0]), (peer,))


@case("7671 7", "0 verified")
def chain_of_three_aliases(w):
    return chained(w, *(host_name(w) for _ in range(3)), records=["3 1 1"], at="end")


@case("7671 7", "deferred")
def chain_of_three_aliases_and_a_mismatch(w):
    links = [host_name(w) for _ in range(3)]
    return chained(w, *links, records=[wrong(w, "3 1 1")], at="end")


def broken_chain(w):
    return host_name(w), f"mx.{w.insecure_name()}", host_name(w)


@case("2.2.2", "0 encrypted")
def chain_with_an_insecure_link_and_wrong_records_behind_it(w):
    return chained(w, *broken_chain(w), records=[wrong(w, "3 1 1")], at="end")


@case("2.2.2", "0 verified")
def chain_with_an_insecure_link_and_records_before_it(w):
    return chained(w, *broken_chain(w), records=["3 1 1"], at="start")


@case("2.2.2", "0 encrypted")
def insecure_alias_of_a_secure_name(w):
    return aliased(w, f"mx.{w.insecure_name()}", wrong(w, "3 1 1"), at="name")


def _tlsa_alias(target):
    def build(w):
        peer = unknown(w)
        cert = w.stranger.good(peer.host)
        where = f"tlsa.{target(w)}"
        w.dns.add(f"_25._tcp.{peer.host}", "CNAME", f"{where}.")
        text = wrong(w, "3 1 1") if where.endswith("plain") else of_host("3 1 1", cert)
        w.dns.add(where, "TLSA", text)
        return built(w, peer)

    return build


case("2.2.3", "0 verified", "records-behind-a-secure-alias")(_tlsa_alias(lambda w: w.name()))
case("2.2.3", "0 encrypted", "records-behind-an-alias-to-an-insecure-zone")(
    _tlsa_alias(lambda w: w.insecure_name())
)
