"""Reports about TLS (RFC 8460) as seen from outside: sessions are counted by
policy and kind of failure, and the report goes where the domain wants it."""

import datetime
import email
import email.policy
import gzip
import json
import re
import ssl
import time

import pytest

from lab import net, seen
from lab.collector import Collector
from lab.dane_cases import publish, unknown, wrong
from lab.patience import PATIENCE
from lab.script import ACCEPT, EHLO_TLS, GREETING, STARTTLS
from lab.tlsa import of_host
from lab.send import message, submit
from lab.signatures import Key, signatures, signing, verified
from lab.tlsrpt import complaints, policy_complaints, told

conformance = pytest.mark.conformance


def today():
    return datetime.datetime.utcnow().strftime("%Y-%m-%d")


def wanted(world, domain, *places):
    """The domain wants reports, there; else at a mailbox of its own."""
    text = ",".join(places or [f"mailto:tls@{domain}"])
    world.dns.txt(f"_smtp._tls.{domain}", f"v=TLSRPTv1; rua={text}")
    return domain


def counted(relay, domain, succeeded, failed):
    """What `report show` has, once it has that many sessions."""
    until = time.monotonic() + PATIENCE
    while True:
        done = relay.cli("report", "show", today(), domain, "--json", check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else None
        if found and (found["succeeded"], found["failed"]) == (succeeded, failed):
            assert policy_complaints(found["policies"]) == []
            seen.note_only(told(found["policies"]))
            return found
        assert time.monotonic() < until, (done, found)
        time.sleep(0.1)


def sent(relay, code=0):
    done = relay.cli("report", "send", today(), "--json", check=False)
    assert done.returncode == code, done
    return json.loads(done.stdout)


def refused(world, relay, domain, times=1):
    """A message that policy puts off, and how often it was tried; then it is
    taken out of the queue."""
    mid = submit(relay, f"bob@{domain}")
    relay.log.wait("delivery.deferred", times, mid=mid)
    relay.cli("queue", "delete", mid)
    return len(relay.log.find("delivery.deferred", mid=mid))


def check_document(doc, domain):
    """The rules of RFC 8460 section 4.4 for every field."""
    assert complaints(doc) == []
    day = today()
    assert doc["date-range"] == {
        "start-datetime": f"{day}T00:00:00Z",
        "end-datetime": f"{day}T23:59:59Z",
    }
    assert {p["policy"]["policy-domain"] for p in doc["policies"]} == {domain}
    seen.note_only("no complaint of the schema")


def check_name(name, domain):
    """RFC 8460 section 5.1; with what it has to have for words."""
    day = datetime.datetime.strptime(today(), "%Y-%m-%d")
    begin = int(day.replace(tzinfo=datetime.timezone.utc).timestamp())
    parts = ["relay.lab.test", domain, str(begin), str(begin + 24 * 3600 - 1)]
    *found, unique = name.split("!")
    assert found == parts and re.fullmatch(r"\w+\.json\.gz", unique), name
    words = dict(zip(parts, ["SENDER", "DOMAIN", "BEGIN", "END"]))
    unique = re.sub(r"^\w+", "UNIQUE", unique)
    return "!".join([words[x] for x in found] + [unique])


def read_mail(delivery, domain):
    """The document in a report that came by mail."""
    mail = email.message_from_bytes(delivery.data, policy=email.policy.default)
    assert mail["TLS-Report-Domain"] == domain
    assert mail["TLS-Report-Submitter"] == "relay.lab.test"
    assert mail["TLS-Required"] == "No"
    assert mail["Message-ID"] and mail["Date"] and mail["From"]
    assert re.fullmatch(
        rf"Report Domain: {domain} Submitter: relay.lab.test Report-ID: <\S+>",
        mail["Subject"],
    )
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "tlsrpt"
    text, attached = mail.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    name = check_name(attached.get_filename(), domain)
    seen.note_only(
        f"{mail.get_content_type()}: {text.get_content_type()},"
        f" {attached.get_content_type()} {name}; TLS-Required: {mail['TLS-Required']}"
    )
    return json.loads(gzip.decompress(attached.get_content()))


@pytest.fixture
def own(new_relay):
    """A relay whose reports are its own; it tries again every second."""
    return new_relay({"retry": {"schedule": ["1s"]}})


@pytest.fixture
def collector(world):
    host = f"tls.{world.name()}"
    c = Collector(world.loop, world.ca.good(host), net.address(), net.free_port())
    world.dns.put(host, "A", c.ip)
    c.url = f"https://{host}:{c.port}/v1/tlsrpt?x=y"
    yield c
    c.close()


# In the order of the rows that bring them about.
POLICY_FAILURES = ("sts-policy-fetch-error", "sts-webpki-invalid", "sts-policy-invalid")
MAIL = (
    "multipart/report: text/plain, application/tlsrpt+gzip"
    " SENDER!DOMAIN!BEGIN!END!UNIQUE.json.gz; TLS-Required: No"
)


# --- counting ---


@conformance("RFC 8460 4.2.1", "MTA-STS enforce; good sessions", "sts: success")
def test_a_success_under_a_policy_is_counted_once_a_session(world, own):
    good = world.peer()
    d = wanted(world, world.sts(world.domain(good), mx=[good]))
    for _ in range(3):
        submit(own, f"bob@{d}")
    sessions = {x.session for x in world.ledger.wait(domain=d, count=3)}
    report = counted(own, d, len(sessions), 0)
    [p] = report["policies"]
    assert p["policy"]["policy-type"] == "sts"
    assert p["policy"]["mx-host"] == [good.host]
    assert "mode: enforce" in p["policy"]["policy-string"]
    assert "failure-details" not in p


@pytest.mark.parametrize(
    "fault, result",
    [
        ("wrong name", "certificate-host-mismatch"),
        ("expired", "certificate-expired"),
        ("stranger", "certificate-not-trusted"),
        ("no tls", "starttls-not-supported"),
    ],
)
@pytest.mark.parametrize("mode", ["enforce", "testing"])
@conformance("RFC 8460 4.3.1", "MTA-STS {mode}; the host has: {fault}", "sts: {result}")
def test_a_failure_is_counted_by_its_kind(world, own, mode, fault, result):
    host = f"mx.{world.name()}"
    certs = {
        "wrong name": lambda: world.ca.good("elsewhere.test"),
        "expired": lambda: world.ca.expired(host),
        "stranger": lambda: world.stranger.good(host),
        "no tls": lambda: None,
    }
    cert = certs[fault]()
    peer = world.peer(host, tls=cert is not None, cert=cert)
    d = wanted(world, world.sts(world.domain(peer), mode, mx=[peer]))
    if mode == "enforce":
        times = refused(world, own, d)
    else:
        submit(own, f"bob@{d}")
        assert world.ledger.one(domain=d)
        times = 1
    [p] = counted(own, d, 0, times)["policies"]
    assert p["policy"]["policy-type"] == "sts"
    [detail] = p["failure-details"]
    assert detail["result-type"] == result
    assert detail["receiving-mx-hostname"] == host
    assert detail["receiving-ip"] == peer.ip
    assert detail["sending-mta-ip"].startswith("127.")
    if fault == "no tls":
        assert detail["receiving-mx-helo"] == host


@conformance(
    "RFC 8460 4.3.1",
    "no policy; a host with TLS, and one without",
    "no-policy-found: success; no-policy-found: starttls-not-supported",
)
def test_without_a_policy_tls_as_such_is_what_counts(world, own):
    tls, clear = world.peer(), world.peer(tls=False)
    a, b = wanted(world, world.domain(tls)), wanted(world, world.domain(clear))
    for d in (a, b):
        submit(own, f"bob@{d}")
        assert world.ledger.one(domain=d)
    [p] = counted(own, a, 1, 0)["policies"]
    assert p["policy"] == {"policy-type": "no-policy-found", "policy-domain": a}
    [p] = counted(own, b, 0, 1)["policies"]
    assert p["failure-details"][0]["result-type"] == "starttls-not-supported"


@conformance(
    "RFC 8460 4.2.2",
    "no policy; STARTTLS is refused, and the mail goes in clear",
    "no-policy-found: starttls-not-supported; 1 failure",
)
def test_a_handshake_that_fails_is_one_failure_and_the_clear_session_none(world, own):
    peer = world.peer()
    peer.replies["STARTTLS"] = ["454 4.7.0 not now"]
    d = wanted(world, world.domain(peer))
    submit(own, f"bob@{d}")
    assert world.ledger.one(domain=d).tls is None
    [p] = counted(own, d, 0, 1)["policies"]
    [detail] = p["failure-details"]
    assert detail["result-type"] == "starttls-not-supported"
    seen.note(f"{detail['failed-session-count']} failure")


@pytest.mark.parametrize("mode", ["enforce", "testing"])
@conformance(
    "RFC 8460 4.3.2.2",
    "MTA-STS {mode}; the policy lists another host",
    "sts: validation-failure; mtasts-policy-mx-mismatch",
)
def test_a_host_that_the_policy_does_not_list_is_a_failure(world, own, mode):
    peer = world.peer()
    d = wanted(world, world.sts(world.domain(peer), mode, mx=["mx.elsewhere.test"]))
    if mode == "enforce":
        times = refused(world, own, d)
    else:
        submit(own, f"bob@{d}")
        assert world.ledger.one(domain=d)
        times = 1
    [p] = counted(own, d, 0, times)["policies"]
    [detail] = p["failure-details"]
    assert detail["result-type"] == "validation-failure"
    assert detail["failure-reason-code"] == "mtasts-policy-mx-mismatch"
    seen.note(detail["failure-reason-code"])
    assert detail["receiving-mx-hostname"] == peer.host


@conformance(
    "RFC 8460 4.3.2.2",
    "policy host: answers 500, has the wrong certificate, has no policy",
    "; ".join(f"no-policy-found: success + sts: {x}" for x in POLICY_FAILURES),
)
def test_a_policy_that_can_t_be_had_is_a_failure_of_its_own(world, own):
    rows = (
        dict(status=500),
        dict(cert=world.stranger.good("mta-sts.x.test")),
        dict(text="version: STSv7\r\n"),
    )
    for result, options in zip(POLICY_FAILURES, rows):
        peer = world.peer()
        d = wanted(world, world.sts(world.domain(peer), mx=[peer], **options))
        submit(own, f"bob@{d}")
        assert world.ledger.one(domain=d)
        policies = counted(own, d, 1, 1)["policies"]
        by_type = {p["policy"]["policy-type"]: p for p in policies}
        [detail] = by_type["sts"]["failure-details"]
        assert detail["result-type"] == result
        assert by_type["no-policy-found"]["summary"] == {
            "total-successful-session-count": 1,
            "total-failure-session-count": 0,
        }


def test_what_tls_required_no_passes_by_is_a_failure_all_the_same(world, own):
    bad = world.peer(cert=world.ca.good("elsewhere.test"))
    d = wanted(world, world.sts(world.domain(bad), mx=[bad]))
    submit(own, f"bob@{d}", data=message(extra=["TLS-Required: No"]))
    assert world.ledger.one(domain=d).tls
    [p] = counted(own, d, 0, 1)["policies"]
    [detail] = p["failure-details"]
    assert detail["result-type"] == "certificate-host-mismatch"


def test_what_is_only_reported_here_is_a_failure_all_the_same(signed, signed_relay):
    relay = signed_relay(config={"policy": {"enforce": "report"}})
    peer = unknown(signed, wrong(signed, "3 1 1"))
    d = wanted(signed, signed.sts(signed.domain(peer), mx=[peer]))
    wanted(signed, peer.host, "mailto:t@x.lab")
    submit(relay, f"bob@{d}")
    assert signed.ledger.one(domain=d).tls
    for place, result in (
        (peer.host, "validation-failure"),
        (d, "certificate-not-trusted"),
    ):
        [p] = counted(relay, place, 0, 1)["policies"]
        assert p["failure-details"][0]["result-type"] == result


def test_a_policy_that_can_t_be_renewed_is_a_failure_beside_the_session(
    world, new_relay
):
    """RFC 8461 section 5.1: the one that is kept applies, and it is told."""
    own = new_relay({"delivery": {"messages_per_connection": 1}})
    peer = world.peer()
    d = world.domain(peer, ttl=1)
    wanted(world, world.sts(d, mx=[peer], ttl=1))
    submit(own, f"a@{d}")
    counted(own, d, 1, 0)
    world.policies.withdraw(d)
    world.sts_record(d, "2", ttl=1)
    time.sleep(1.3)
    submit(own, f"b@{d}")
    assert world.ledger.one(f"b@{d}").tls
    [p] = counted(own, d, 2, 1)["policies"]
    assert p["policy"]["policy-type"] == "sts"
    [detail] = p["failure-details"]
    assert detail["result-type"] == "sts-policy-fetch-error"


def wants_a_certificate(world, host):
    """TLS 1.3: the client is through with its handshake when it is told no."""
    context = world.ca.good(host).context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(world.ca.path)

    def shake(c):
        c.sock = context.wrap_socket(
            c.sock, server_side=True, do_handshake_on_connect=False
        )
        try:
            c.sock.do_handshake()
        except ssl.SSLError:
            time.sleep(0.3)  # so that the alert is read before the end

    return [GREETING, *EHLO_TLS, *STARTTLS, shake]


@pytest.mark.parametrize("policy", ["none", "enforce"])
def test_a_handshake_that_is_refused_at_its_end_is_a_failure(world, own, policy):
    host = f"mx.{world.name()}"
    dialog = wants_a_certificate(world, host)
    if policy == "none":
        peer = world.scripted(dialog, ACCEPT, host=host)
    else:
        peer = world.scripted(dialog, host=host)
    d = wanted(world, world.domain(peer))
    if policy == "enforce":
        world.sts(d, mx=[host])
        times = refused(world, own, d)
    else:
        mid = submit(own, f"bob@{d}")
        own.log.one("delivery.sent", mid=mid)
        assert len(peer.bodies()) == 1
        times = 1
    [p] = counted(own, d, 0, times)["policies"]
    assert {x["result-type"] for x in p["failure-details"]} == {"validation-failure"}


@conformance(
    "RFC 8460 3",
    "domains: no record, rua=ftp://, rua=mailto:",
    "no-policy-found: success; counted: the last",
)
def test_who_wants_no_report_is_not_counted(world, own):
    quiet, bad = world.domain(world.peer()), world.domain(world.peer())
    world.dns.txt(f"_smtp._tls.{bad}", "v=TLSRPTv1; rua=ftp://x.test/")
    for d in (quiet, bad):
        submit(own, f"bob@{d}")
        assert world.ledger.one(domain=d)
    loud = wanted(world, world.domain(world.peer()))
    submit(own, f"bob@{loud}")
    counted(own, loud, 1, 0)
    listed = json.loads(own.cli("report", "list", "--json").stdout)
    assert [r["domain"] for r in listed] == [loud]
    seen.note("counted: the last")


RECORDS = {
    "two of them": (["v=TLSRPTv1; rua={}"], ["v=TLSRPTv1; rua={}; n=2"]),
    "another version": (["v=TLSRPTv2; rua={}"],),
    "no rua": (["v=TLSRPTv1;"],),
    "one of several strings": (["v=TLSRP", "Tv1; r", "ua={}"],),
    "an unknown field": (["v=TLSRPTv1; rua={}; new=thing"],),
    "an unknown scheme besides": (["v=TLSRPTv1; rua=ftp://x.test/,{}"],),
    "another TXT record beside it": (["v=TLSRPTv1; rua={}"], ["v=spf1 -all"]),
}
UNSOUND_RECORDS = ("two of them", "another version", "no rua")


@conformance(
    "RFC 8460 3",
    "the record: {name}",
    {r: "not counted" if r in UNSOUND_RECORDS else "counted" for r in RECORDS},
)
@pytest.mark.parametrize("record", RECORDS)
def test_which_records_ask_for_reports(world, own, record):
    d = world.domain(world.peer())
    for strings in RECORDS[record]:
        texts = [s.format(f"mailto:tls@{d}") for s in strings]
        world.dns.txt(f"_smtp._tls.{d}", *texts)
    submit(own, f"bob@{d}")
    assert world.ledger.one(domain=d)
    loud = wanted(world, world.domain(world.peer()))
    submit(own, f"bob@{loud}")
    counted(own, loud, 1, 0)
    if record not in UNSOUND_RECORDS:
        counted(own, d, 1, 0)
    listed = [r["domain"] for r in json.loads(own.cli("report", "list", "--json").stdout)]
    seen.only("counted" if d in listed else "not counted")


def test_whom_the_operator_excludes_is_told_nothing(world, new_relay, collector):
    about, home = world.domain(world.peer()), world.domain(world.peer())
    both = wanted(world, world.domain(world.peer()), f"mailto:t@{home}", collector.url)
    only = wanted(world, world.domain(world.peer()), f"mailto:t@{home}")
    wanted(world, about)
    relay = new_relay({"tlsrpt": {"exclude": [about, home.upper()]}})
    for d in (about, both, only):
        submit(relay, f"bob@{d}")
        assert world.ledger.one(domain=d)
    for d in (both, only):
        counted(relay, d, 1, 0)
    assert sent(relay) == {"sent": 1, "unwanted": 1, "failed": 0}
    assert len(collector.posts) == 1 and not world.ledger.of(domain=home)
    assert not relay.log.find("tlsrpt.sent", domain=about)


def test_mail_by_a_route_is_nobody_s_business(world, new_relay):
    peer = world.peer()
    d = wanted(world, world.domain(peer))
    relay = new_relay(
        {'route "r"': {"to": ["*"], "via": [f"{peer.host}:{peer.port}"]}}
    )
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    time.sleep(0.5)
    assert json.loads(relay.cli("report", "list", "--json").stdout) == []


def test_nothing_is_counted_when_reports_are_off(world, new_relay):
    relay = new_relay({"tlsrpt": {"enabled": False}})
    d = wanted(world, world.domain(world.peer()))
    submit(relay, f"bob@{d}")
    assert world.ledger.one(domain=d)
    time.sleep(0.5)
    assert json.loads(relay.cli("report", "list", "--json").stdout) == []


def test_counts_survive_a_restart(world, own):
    d = wanted(world, world.domain(world.peer()))
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    own.stop()
    shown = own.cli("report", "show", today(), d, "--json", "-c", str(own.config_file))
    assert json.loads(shown.stdout)["succeeded"] == 1
    own.start()
    counted(own, d, 1, 0)


# --- sending ---


@conformance("RFC 8460 5.3", "a report by mail", f"sts: certificate-host-mismatch; {MAIL}; no complaint of the schema")
def test_a_report_goes_by_mail(world, own):
    bad = world.peer(cert=world.ca.good("elsewhere.test"))
    d = world.sts(world.domain(bad), mx=[bad])
    home = world.domain(world.peer())
    wanted(world, d, f"mailto:tls@{home}")
    times = refused(world, own, d)
    counted(own, d, 0, times)
    assert sent(own) == {"sent": 1, "unwanted": 0, "failed": 0}
    delivery = world.ledger.one(domain=home)
    doc = read_mail(delivery, d)
    check_document(doc, d)
    [p] = doc["policies"]
    assert p["failure-details"][0]["failed-session-count"] == times
    assert json.loads(own.cli("report", "list", "--json").stdout) == []
    line = own.log.one("tlsrpt.sent", domain=d)
    assert line["result"] == "ok" and line["to"] == f"tls@{home}"


@conformance(
    "RFC 8460 3",
    "a report by mail, and two keys of its sender",
    "DKIM: 2 of 2 verified; signed are TLS-Report-Domain and TLS-Report-Submitter",
)
def test_a_report_by_mail_is_signed(world, new_relay, tmp_path):
    """RFC 8460 section 3: in the name of its sender, whole, its own fields
    too."""
    keys = [
        Key(world, tmp_path, "relay.lab.test", f"r{kind}", kind)
        for kind in ("2048", "ed25519")
    ]
    relay = new_relay(signing(*keys))
    d = world.domain(world.peer())
    homes = [world.domain(world.peer()) for _ in range(2)]
    wanted(world, d, *(f"mailto:tls@{home}" for home in homes))
    submit(relay, f"bob@{d}")
    counted(relay, d, 1, 0)
    assert sent(relay) == {"sent": 1, "unwanted": 0, "failed": 0}
    for home in homes:
        delivery = world.ledger.one(domain=home)
        check_document(read_mail(delivery, d), d)
        good = verified(world, delivery.data)
        assert good == sorted(k.signature for k in keys)
        for s in signatures(delivery.data):
            names = s["h"].lower().split(":")
            assert {"tls-report-domain", "tls-report-submitter"} <= set(names)
            assert "l" not in s
    seen.only(
        f"DKIM: {len(good)} of {len(keys)} verified;"
        " signed are TLS-Report-Domain and TLS-Report-Submitter"
    )


@conformance(
    "RFC 8460 3",
    "a report to a domain whose MTA-STS policy bars its host",
    f"sts: certificate-host-mismatch; {MAIL}; counted: nothing",
)
def test_a_report_goes_through_where_tls_is_what_is_broken(world, own):
    """And is not counted itself: two that report to each other would never
    end."""
    bad = world.peer(cert=world.ca.good("elsewhere.test"))
    d = wanted(world, world.sts(world.domain(bad), mx=[bad]))
    counted(own, d, 0, refused(world, own, d))
    sent(own)
    read_mail(world.ledger.one(domain=d), d)
    time.sleep(0.5)
    assert json.loads(own.cli("report", "list", "--json").stdout) == []
    seen.note("counted: nothing")


@conformance(
    "RFC 8460 5.4",
    "a report by POST",
    "no-policy-found: success; POST, application/tlsrpt+gzip; no complaint of the schema",
)
def test_a_report_goes_by_https(world, own, collector):
    d = wanted(world, world.domain(world.peer()), collector.url)
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    assert sent(own)["sent"] == 1
    [post] = collector.posts
    assert post.line == "POST /v1/tlsrpt?x=y HTTP/1.1"
    assert post.headers["Content-Type"] == "application/tlsrpt+gzip"
    seen.note(f"POST, {post.headers['Content-Type']}")
    assert post.headers["Host"] == collector.url.split("/")[2]
    check_document(json.loads(gzip.decompress(post.body)), d)


@conformance(
    "RFC 8460 3",
    "two places; the first does not take it",
    "no-policy-found: success; failed, ok",
)
def test_one_place_that_takes_it_is_enough(world, own, collector):
    collector.status = 500
    home = world.domain(world.peer())
    d = world.domain(world.peer())
    wanted(world, d, collector.url, f"mailto:tls@{home}")
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    assert sent(own) == {"sent": 1, "unwanted": 0, "failed": 0}
    assert len(collector.posts) == 1
    world.ledger.one(domain=home)
    results = [e["result"] for e in own.log.find("tlsrpt.sent", domain=d)]
    assert results == ["failed", "ok"]
    seen.note(", ".join(results))


@pytest.mark.parametrize("status", [500, 404, 302])
@conformance(
    "RFC 8460 5.5",
    "a collector answers {status}, then 204",
    "no-policy-found: success; failed 1, then sent 1",
)
def test_a_report_that_nobody_takes_is_kept(world, own, collector, status):
    collector.status = status
    d = wanted(world, world.domain(world.peer()), collector.url)
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    failed = sent(own)["failed"]
    assert failed == 1
    counted(own, d, 1, 0)
    collector.status = 204
    now = sent(own)["sent"]
    assert now == 1
    seen.note(f"failed {failed}, then sent {now}")


def test_a_collector_s_certificate_has_to_be_good(world, own):
    host = f"tls.{world.name()}"
    c = Collector(world.loop, world.stranger.good(host), net.address(), net.free_port())
    world.dns.put(host, "A", c.ip)
    d = wanted(world, world.domain(world.peer()), f"https://{host}:{c.port}/")
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    assert sent(own)["failed"] == 1
    assert c.posts == []
    c.close()


def test_without_leave_no_collector_in_this_network_is_posted_to(
    world, own, collector
):
    d = wanted(world, world.domain(world.peer()), collector.url)
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    own.write_config({"delivery": {"allow_private": False}})
    own.cli("reload")
    assert sent(own)["failed"] == 1
    assert collector.posts == []


@conformance(
    "RFC 8460 3",
    "the record is gone when the report is due",
    "no-policy-found: success; unwanted",
)
def test_a_record_that_is_gone_ends_the_count(world, own):
    d = wanted(world, world.domain(world.peer()))
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    world.dns.drop(f"_smtp._tls.{d}")
    own.stop()
    own.start()
    assert sent(own) == {"sent": 0, "unwanted": 1, "failed": 0}
    seen.note("unwanted")
    assert json.loads(own.cli("report", "list", "--json").stdout) == []


@conformance(
    "RFC 8460 5.5",
    "the record can't be asked for when the report is due",
    "no-policy-found: success; failed",
)
def test_a_record_that_can_t_be_asked_for_keeps_it(world, own):
    d = wanted(world, world.domain(world.peer()))
    submit(own, f"bob@{d}")
    counted(own, d, 1, 0)
    world.dns.behave(f"_smtp._tls.{d}", "servfail")
    assert sent(own)["failed"] == 1
    counted(own, d, 1, 0)
    seen.note("failed")


def test_the_reporter_is_who_the_configuration_says(world, new_relay, collector):
    relay = new_relay(
        {
            "tlsrpt": {
                "organization": "Läb Org",
                "contact": "help@lab.test",
                "from": "reports@sender.lab.test",
            }
        }
    )
    d = wanted(world, world.domain(world.peer()), collector.url)
    submit(relay, f"bob@{d}")
    counted(relay, d, 1, 0)
    assert sent(relay)["sent"] == 1
    doc = json.loads(gzip.decompress(collector.posts[0].body))
    assert doc["organization-name"] == "Läb Org"
    assert doc["contact-info"] == "help@lab.test"
    assert doc["report-id"].endswith("@sender.lab.test")


def test_the_commands_speak_to_people(world, own):
    d = wanted(world, world.domain(world.peer(tls=False)))
    assert "nothing" in own.cli("report", "list").stdout
    submit(own, f"bob@{d}")
    counted(own, d, 0, 1)
    assert d in own.cli("report", "list").stdout
    shown = own.cli("report", "show", today(), d).stdout
    assert "starttls-not-supported" in shown
    assert "1 sent" in own.cli("report", "send", today()).stdout
    for words, code in (
        (("show", today()), 64),
        (("show", "2026-02-31", d), 65),
        (("show", "2020-01-01", d), 66),
        (("send", "tomorrow"), 65),
        (("send",), 64),
    ):
        assert own.cli("report", *words, check=False).returncode == code, words


# --- the schema ---


def sound_report():
    details = {
        "result-type": "certificate-expired",
        "sending-mta-ip": "2001:db8::1",
        "receiving-mx-hostname": "mx.a.test",
        "receiving-ip": "192.0.2.1",
        "failed-session-count": 2,
    }
    return {
        "organization-name": "Lab",
        "date-range": {
            "start-datetime": "2026-11-23T00:00:00Z",
            "end-datetime": "2026-11-23T23:59:59Z",
        },
        "contact-info": "help@lab.test",
        "report-id": "1@lab.test",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: testing"],
                    "policy-domain": "a.test",
                    "mx-host": ["mx.a.test"],
                },
                "summary": {
                    "total-successful-session-count": 0,
                    "total-failure-session-count": 2,
                },
                "failure-details": [details],
            }
        ],
    }


def change(*path, to=None):
    """A change of what is there; to None: it is taken away."""

    def apply(report):
        *way, last = path
        for key in way:
            report = report[key]
        if to is None:
            del report[last]
        else:
            report[last] = to

    return apply


POLICY = ("policies", 0, "policy")
DETAIL = ("policies", 0, "failure-details", 0)
UNSOUND = {
    "no organization": change("organization-name"),
    "no range": change("date-range"),
    "no end": change("date-range", "end-datetime"),
    "a local time": change("date-range", "end-datetime", to="2026-11-23T23:59:59"),
    "an empty id": change("report-id", to=""),
    "no policies": change("policies", to=[]),
    "a policy alone": change("policies", to={}),
    "no domain": change(*POLICY, "policy-domain"),
    "no type": change(*POLICY, "policy-type"),
    "another type": change(*POLICY, "policy-type", to="dane"),
    "hosts of a TLSA policy": change(*POLICY, "policy-type", to="tlsa"),
    "the text of no policy": change(*POLICY, "policy-type", to="no-policy-found"),
    "a policy in one string": change(*POLICY, "policy-string", to="version: STSv1"),
    "one host as a string": change(*POLICY, "mx-host", to="mx.a.test"),
    "no summary": change("policies", 0, "summary"),
    "another field": change("policies", 0, "more", to=1),
    "another result": change(*DETAIL, "result-type", to="certificate-odd"),
    "no count": change(*DETAIL, "failed-session-count"),
    "a count in words": change(*DETAIL, "failed-session-count", to="2"),
    "another sum": change(*DETAIL, "failed-session-count", to=3),
    "details that are missing": change("policies", 0, "failure-details"),
    "no address": change(*DETAIL, "receiving-ip", to="192.0.2"),
}


def test_the_schema_takes_a_sound_report():
    assert complaints(sound_report()) == []


@pytest.mark.parametrize("fault", UNSOUND)
def test_the_schema_refuses_what_is_no_report(fault):
    report = sound_report()
    UNSOUND[fault](report)
    assert complaints(report) != []


# --- DANE ---


@pytest.mark.parametrize("dane", ["good", "wrong"])
@pytest.mark.parametrize("web", ["good", "unknown"])
def test_a_session_under_two_policies_is_one_of_each(signed, signed_relay, dane, web):
    """Each with the result that it asks for: the host has it of its records, the
    domain of its MTA-STS policy."""
    relay = signed_relay()
    name = f"mx.{signed.name()}"
    authority = signed.ca if web == "good" else signed.stranger
    cert = authority.chained(authority.good(name))
    peer = signed.peer(name, cert=cert)
    other = signed.stranger if web == "good" else signed.ca
    right = cert if dane == "good" else other.good("elsewhere.lab")
    text = of_host("3 1 1", right)
    publish(signed, peer, text)
    d = wanted(signed, signed.sts(signed.domain(peer), mx=[peer]))
    wanted(signed, name, "mailto:t@x.lab")
    if dane == "good":
        submit(relay, f"bob@{d}")
        assert signed.ledger.one(domain=d).tls
        times = 1
    else:
        times = refused(signed, relay, d)
    sums = {True: (times, 0), False: (0, times)}
    [tlsa] = counted(relay, name, *sums[dane == "good"])["policies"]
    [sts] = counted(relay, d, *sums[web == "good"])["policies"]
    assert tlsa["policy"]["policy-type"] == "tlsa"
    assert sts["policy"]["policy-type"] == "sts"
    if dane == "wrong":
        assert tlsa["failure-details"][0]["result-type"] == "validation-failure"
    if web == "unknown":
        assert sts["failure-details"][0]["result-type"] == "certificate-not-trusted"


@pytest.mark.parametrize(
    "records, result",
    [
        ("good", "success"),
        ("wrong", "validation-failure"),
        ("unusable", "tlsa-invalid"),
        ("servfail", "dnssec-invalid"),
        ("lacking", "dane-required"),
    ],
)
@conformance(
    "RFC 8460 4.3.2.1",
    "TLSA records of the host: {records}",
    "tlsa: {result}",
)
def test_sessions_under_tlsa_records_are_counted_for_their_host(
    signed, signed_relay, records, result
):
    """RFC 8460 section 1.1: there the policy domain is the TLSA base domain."""
    if records == "lacking":
        peer = signed.peer()
    elif records == "wrong":
        peer = unknown(signed, wrong(signed, "3 1 1"))
    else:
        peer = unknown(signed, "1 1 1" if records == "unusable" else "3 1 1")
    if records == "servfail":
        signed.dns.behave(f"_25._tcp.{peer.host}", "servfail", "TLSA")
    d = signed.domain(peer)
    rules = {f'domain "{d}"': {"dane": "required"}} if records == "lacking" else {}
    relay = signed_relay(config=rules)
    signed.dns.txt(f"_smtp._tls.{peer.host}", "v=TLSRPTv1; rua=mailto:t@x.lab")
    if records in ("good", "unusable"):
        submit(relay, f"bob@{d}")
        assert signed.ledger.one(domain=d)
        times = 1
    else:
        times = refused(signed, relay, d)
    sums = (1, 0) if result == "success" else (0, times)
    [p] = counted(relay, peer.host, *sums)["policies"]
    assert p["policy"]["policy-type"] == "tlsa"
    assert p["policy"]["policy-domain"] == peer.host
    assert "mx-host" not in p["policy"]
    if records not in ("servfail", "lacking"):
        [line] = p["policy"]["policy-string"]
        assert re.fullmatch(r"[13] 1 1 [0-9a-f]{64}", line)
    if result != "success":
        [detail] = p["failure-details"]
        assert detail["result-type"] == result
        assert detail["receiving-mx-hostname"] == peer.host
