"""What DANE has to tell apart: each case builds a domain of its own.

A case is a function of the world; it gives the domain and its hosts, best
first.  What comes of it is one of

    deferred        delivered to nobody
    N verified      delivered to host N, which was authenticated by DANE
    N encrypted     delivered to host N over TLS, whoever that is
    N clear         delivered to host N in clear
    N half          as verified, but the MX records are not authentic

`postfix` is what Postfix does, where that is something else, and `why` says on
whose side the RFC is.
"""

import collections
import ssl

from .tlsa import of_authority, of_host

Case = collections.namedtuple("Case", "build want postfix why")
Built = collections.namedtuple("Built", "domain hosts")

CASES = {}

KINDS_EE = ["3 0 0", "3 0 1", "3 0 2", "3 1 0", "3 1 1", "3 1 2"]
KINDS_TA = ["2 0 0", "2 0 1", "2 0 2", "2 1 0", "2 1 1", "2 1 2"]


def case(want, name=None, postfix=None, why=""):
    def keep(build):
        key = name or build.__name__.replace("_", "-")
        assert key not in CASES
        CASES[key] = Case(build, want, postfix or want, why)
        return build

    return keep


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


def _kinds():
    for kind in KINDS_EE + KINDS_TA:

        def match(w, kind=kind):
            return built(w, unknown(w, kind))

        def mismatch(w, kind=kind):
            return built(w, unknown(w, wrong(w, kind)))

        dashed = kind.replace(" ", "-")
        case("0 verified", f"{dashed}-matches")(match)
        case("deferred", f"{dashed}-does-not-match")(mismatch)


_kinds()


def _without_anchor(kind):
    """The host sends its own certificate alone."""

    def build(w):
        name = host_name(w)
        cert = w.stranger.good(name)
        return built(w, unknown(w, kind, name=name, cert=cert))

    return build


case("0 verified", "2-0-0-and-the-anchor-is-not-sent")(_without_anchor("2 0 0"))
case("0 verified", "2-1-0-and-the-anchor-is-not-sent")(_without_anchor("2 1 0"))
case("deferred", "2-0-1-and-the-anchor-is-not-sent")(_without_anchor("2 0 1"))
case("deferred", "2-1-1-and-the-anchor-is-not-sent")(_without_anchor("2 1 1"))


# --- what of the certificate counts ---


def _faulty(kind, make):
    def build(w):
        name = host_name(w)
        cert = w.stranger.chained(make(w.stranger, name))
        return built(w, unknown(w, kind, name=name, cert=cert))

    return build


FAULTS = {
    "expired": lambda ca, name: ca.expired(name),
    "not-yet-valid": lambda ca, name: ca.not_yet_valid(name),
    "of-another-name": lambda ca, name: ca.good("mx.elsewhere.lab"),
}
for _fault, _make in FAULTS.items():
    case("0 verified", f"3-1-1-{_fault}")(_faulty("3 1 1", _make))
    case("deferred", f"2-1-1-{_fault}")(_faulty("2 1 1", _make))


@case("0 verified")
def anchor_and_a_certificate_for_the_next_hop(w):
    """RFC 7672 section 3.2.2: the domain of the mail is a name too."""
    domain = w.name()
    cert = w.stranger.chained(w.stranger.good(domain))
    return built(w, unknown(w, "2 1 1", cert=cert), name=domain)


@case("0 verified")
def anchor_and_a_wildcard(w):
    name = host_name(w)
    base = name.partition(".")[2]
    cert = w.stranger.chained(w.stranger.good(f"*.{base}"))
    return built(w, unknown(w, "2 1 1", name=name, cert=cert))


# --- more than one record ---


@case("0 verified")
def roll_over_one_of_two_matches(w):
    return built(w, unknown(w, wrong(w, "3 1 1"), "3 1 1"))


@case("0 verified")
def an_anchor_besides_a_host_key_of_the_past(w):
    return built(w, unknown(w, wrong(w, "3 1 1"), "2 1 1"))


@case("deferred")
def the_stronger_digest_alone_counts(w):
    """RFC 7671 section 9."""
    return built(w, unknown(w, wrong(w, "3 1 2"), "3 1 1"))


@case("0 verified")
def digests_of_different_selectors_count_each(w):
    return built(w, unknown(w, wrong(w, "3 0 2"), "3 1 1"))


@case("deferred")
def an_unusable_record_does_not_excuse_a_mismatch(w):
    return built(w, unknown(w, wrong(w, "3 1 1"), "1 1 1 " + "ab" * 32))


UNUSABLE = {
    "pkix-ta": "0 0 1 " + "ab" * 32,
    "pkix-ee": "1 1 1 " + "ab" * 32,
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

        case("0 encrypted", f"unusable-{name}")(offered)
        if name in ("pkix-ee", "short-digest"):
            case("deferred", f"unusable-{name}-and-starttls-stripped")(stripped)


_unusable()


# --- TLS ---


@case("deferred")
def starttls_stripped(w):
    return built(w, unknown(w, "3 1 1", offer=False))


@case("deferred")
def starttls_refused(w):
    peer = unknown(w, "3 1 1")
    peer.replies["STARTTLS"] = [["454 4.7.0 not now"]]
    return built(w, peer)


@case("deferred")
def tls_1_1(w):
    return built(
        w,
        unknown(
            w, "3 1 1", lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion.TLSv1_1
        ),
    )


@case("1 verified")
def a_mismatch_and_a_next_host(w):
    return built(w, unknown(w, wrong(w, "3 1 1")), unknown(w, "3 1 1"))


@case("1 encrypted")
def a_mismatch_and_a_next_host_without_records(w):
    return built(w, unknown(w, wrong(w, "3 1 1")), w.peer())


# --- no records ---


@case("0 encrypted")
def no_records(w):
    return built(w, unknown(w))


@case("0 clear")
def no_records_and_no_tls(w):
    return built(w, w.peer(tls=False))


@case("0 encrypted")
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
    case("deferred", f"tlsa-{_how}")(_tlsa_fails(_how, True))
    case("1 verified", f"tlsa-{_how}-and-a-next-host")(_tlsa_fails(_how, False))


@case("1 verified")
def address_servfail_and_a_next_host(w):
    bad = unknown(w, "3 1 1")
    w.dns.behave(bad.host, "servfail")
    return built(w, bad, unknown(w, "3 1 1"))


@case("1 verified")
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


@case("0 encrypted", postfix="deferred", why=HALF)
def insecure_mx(w):
    return built(w, unknown(w, wrong(w, "3 1 1")), name=w.insecure_name())


# What becomes of them where the relay is told `dane_insecure_mx = "dane"`, and
# of Postfix, which does so unless it is told otherwise.  Its logs call such a
# host Trusted, the relay's "dane insecure-mx".
HALF_CASES = {}


def half_case(want, postfix=None, why=""):
    def keep(build):
        name = build.__name__.replace("_", "-")
        HALF_CASES[name] = Case(build, want, postfix or want, why)
        return build

    return keep


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


@case("0 encrypted")
def insecure_host(w):
    host = f"mx.{w.insecure_name()}"
    return built(w, unknown(w, wrong(w, "3 1 1"), name=host))


@case("0 encrypted")
def insecure_host_whose_server_fails_on_tlsa(w):
    """RFC 7672 section 2.2.2: it is not asked."""
    host = f"mx.{w.insecure_name()}"
    w.dns.behave(f"_25._tcp.{host}", "servfail", "TLSA")
    return built(w, unknown(w, name=host))


@case("0 verified")
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


@case("0 verified")
def alias_with_records_of_its_target(w):
    return aliased(w, host_name(w), "3 1 1", at="name")


@case("0 verified")
def alias_with_records_of_its_own(w):
    return aliased(w, host_name(w), "3 1 1", at="alias")


@case("deferred")
def alias_with_wrong_records_of_its_target(w):
    return aliased(w, host_name(w), wrong(w, "3 1 1"), at="name")


@case("0 verified")
def alias_of_an_insecure_name_with_records_of_its_own(w):
    """RFC 7672 section 2.2.2: the alias itself is authentic."""
    return aliased(
        w, host_name(w), "3 1 1", at="alias", name=f"mx.{w.insecure_name()}"
    )


@case("deferred")
def alias_of_an_insecure_name_with_wrong_records(w):
    return aliased(
        w, host_name(w), wrong(w, "3 1 1"), at="alias", name=f"mx.{w.insecure_name()}"
    )


@case("0 encrypted")
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


case("0 verified", "records-behind-a-secure-alias")(_tlsa_alias(lambda w: w.name()))
case("0 encrypted", "records-behind-an-alias-to-an-insecure-zone")(
    _tlsa_alias(lambda w: w.insecure_name())
)
