"""What policies keep back, and what they would where they are only reported:
counted by destination and reason, and shown by `status`."""

import json
import time

import pytest

from lab.dane_cases import built, unknown, wrong
from lab.https_policy import policy
from lab.send import message, submit

REPORT = {"policy": {"enforce": "report"}}


def rows(relay, destination=None):
    found = json.loads(relay.cli("status", "--json").stdout)["refusals"]
    return [r for r in found if destination in (None, r["destination"])]


def row(relay, destination):
    [found] = rows(relay, destination)
    assert found["text"] and found["last"].startswith("20")
    return found["policy"], found["reason"], found["enforced"], found["count"]


def host(world, fault):
    name = f"mx.{world.name()}"
    certs = {
        "expired": lambda: world.ca.expired(name),
        "name": lambda: world.ca.good("mx.elsewhere.test"),
        "stranger": lambda: world.stranger.good(name),
    }
    if fault == "stripped":
        return world.peer(name, offer=False)
    return world.peer(name, cert=certs[fault]())


FAULTS = {
    "expired": "certificate expired",
    "name": "certificate of another name",
    "stranger": "certificate not trusted",
    "stripped": "no TLS",
}


@pytest.fixture
def enforced(world, new_relay):
    return new_relay({"retry": {"schedule": ["1h"]}})


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_refused_is_counted_by_its_reason(world, enforced, fault):
    peer = host(world, fault)
    d = world.sts(world.domain(peer), mx=[peer])
    mid = submit(enforced, f"bob@{d}")
    enforced.log.one("delivery.deferred", mid=mid)
    assert row(enforced, d) == ("mta-sts", FAULTS[fault], True, 1)


def test_a_refusal_before_any_connection_is_counted_too(world, enforced):
    unlisted = world.domain(world.peer())
    world.sts(unlisted, mx=["mx.elsewhere.test"])
    unlearnt = world.domain(world.peer())
    world.dns.behave(f"_mta-sts.{unlearnt}", "servfail")
    local = world.domain(world.peer(tls=False))
    enforced.write_config({f'domain "{local}"': {"tls": "required"}})
    enforced.cli("reload")
    for d in (unlisted, unlearnt, local):
        enforced.log.one("delivery.deferred", mid=submit(enforced, f"bob@{d}"))
    assert row(enforced, unlisted) == ("mta-sts", "host not listed", True, 1)
    assert row(enforced, unlearnt) == ("mta-sts", "policy not learnt", True, 1)
    assert row(enforced, local) == ("local", "no TLS", True, 1)


def test_what_requiretls_refuses_is_counted(world, enforced):
    home = world.domain(world.peer())
    good = world.peer()
    listed = world.sts(world.domain(good), mx=[good])
    bare = world.domain(world.peer(requiretls=True))
    for d in (listed, bare):
        mid = submit(
            enforced,
            f"bob@{d}",
            sender=f"app@{home}",
            port=enforced.tls_port,
            starttls=True,
            mail_options=["REQUIRETLS"],
        )
        enforced.log.one("delivery.bounced", mid=mid)
    assert row(enforced, listed) == ("requiretls", "no REQUIRETLS", True, 1)
    assert row(enforced, bare) == ("requiretls", "host not verifiable", True, 1)


def test_what_is_no_policy_s_doing_is_not_counted(world, enforced):
    nobody = world.domain(world.nobody())
    unlearnt = world.domain(world.peer())
    world.dns.behave(unlearnt, "servfail", "MX")
    for d in (nobody, unlearnt):
        enforced.log.one("delivery.deferred", mid=submit(enforced, f"bob@{d}"))
    good = world.peer()
    d = world.sts(world.domain(good), mx=[good])
    enforced.log.one("delivery.sent", mid=submit(enforced, f"bob@{d}"))
    assert rows(enforced) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_be_refused_is_counted_and_delivered(world, new_relay, fault):
    relay = new_relay(REPORT)
    peer = host(world, fault)
    d = world.sts(world.domain(peer), mx=[peer])
    for _ in range(3):
        relay.log.one("delivery.sent", mid=submit(relay, f"bob@{d}"))
    assert row(relay, d) == ("mta-sts", FAULTS[fault], False, 3)
    assert relay.log.wait("policy.shadow", 3, destination=d, would="refuse")
    assert "would be refused" in relay.cli("status").stdout


def test_what_a_policy_would_allow_is_not_counted(world, new_relay):
    relay = new_relay(REPORT)
    good = world.peer()
    d = world.sts(world.domain(good), mx=[good])
    plain = world.domain(world.peer(tls=False))
    for domain in (d, plain):
        relay.log.one("delivery.sent", mid=submit(relay, f"bob@{domain}"))
    assert rows(relay) == []
    assert "would be refused" not in relay.cli("status").stdout


def test_one_domain_may_be_tried_out_alone(world, new_relay):
    peer = host(world, "expired")
    tried, other = (world.sts(world.domain(peer), mx=[peer]) for _ in range(2))
    rule = {"enforce": "report", "reason": "trial", "until": "2099-01-01"}
    relay = new_relay(
        {f'domain "{tried}"': rule, "retry": {"schedule": ["1h"]}}
    )
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{tried}"))
    relay.log.one("delivery.deferred", mid=submit(relay, f"bob@{other}"))
    assert row(relay, tried) == ("mta-sts", "certificate expired", False, 1)
    assert row(relay, other) == ("mta-sts", "certificate expired", True, 1)


def test_hosts_that_a_policy_would_not_list_are_counted(world, new_relay):
    relay = new_relay(REPORT)
    d = world.sts(world.domain(world.peer()), mx=["mx.elsewhere.test"])
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{d}"))
    assert row(relay, d) == ("mta-sts", "host not listed", False, 1)


def test_requiretls_and_tls_required_no_are_not_on_trial(world, new_relay):
    relay = new_relay({**REPORT, "retry": {"schedule": ["1h"]}})
    peer = host(world, "expired")
    d = world.sts(world.domain(peer), mx=[peer])
    data = message(extra=["TLS-Required: No"])
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{d}", data=data))
    assert rows(relay) == []


@pytest.mark.parametrize("records", ["match", "mismatch", "servfail"])
def test_tlsa_records_are_looked_at_where_they_are_only_reported(
    signed, signed_relay, records
):
    relay = signed_relay(config=REPORT)
    peer = unknown(signed, wrong(signed, "3 1 1") if records == "mismatch" else "3 1 1")
    if records == "servfail":
        signed.dns.behave(f"_25._tcp.{peer.host}", "servfail", "TLSA")
    d = built(signed, peer).domain
    line = relay.log.one("delivery.sent", mid=submit(relay, f"bob@{d}"))
    assert line["proof"] == "none"
    if records == "match":
        assert rows(relay) == [] and line["certificate"] == "verified", line
        assert signed.ledger.one(domain=d).tls.sni == peer.host
    elif records == "mismatch":
        assert row(relay, d) == ("dane", "no TLSA record matches", False, 1)
    else:
        assert row(relay, d) == ("dane", "policy not learnt", False, 1)


# --- policies that are about to end ---


def expiring(relay):
    return json.loads(relay.cli("status", "--json").stdout)["expiring"]


def kept(world, relay, max_age, mode="enforce"):
    """A domain whose policy is kept for so long and can't be had again."""
    peer = world.peer()
    d = world.domain(peer)
    world.sts(d, text=policy(mode, [peer.host], max_age=max_age), ttl=1)
    relay.log.one("delivery.sent", mid=submit(relay, f"bob@{d}"))
    world.policies.withdraw(d)
    done = relay.cli("policy", "refresh", d, check=False)
    assert done.returncode == 75, done
    return d


def listed(relay, domain):
    found = json.loads(relay.cli("policy", "list", "--json").stdout)
    [one] = [p for p in found if p["domain"] == domain]
    return one


def test_policies_that_end_soon_and_can_t_be_renewed_are_told_once(world, new_relay):
    relay = new_relay()
    soon = kept(world, relay, 6 * 86400)
    later = kept(world, relay, 30 * 86400)
    leaving = kept(world, relay, 86400, mode="none")
    fine = world.domain(world.peer())
    world.sts(fine, text=policy("enforce", ["mx.test"], max_age=86400))
    submit(relay, f"bob@{fine}")
    relay.stop()
    relay.start()
    line = relay.log.one("policy.failure", domain=soon)
    assert 0 < line["expires_in_s"] < 6 * 86400 and "404" in line["reason"]
    found = expiring(relay)
    assert found["count"] == 1
    assert [p["domain"] for p in found["policies"]] == [soon]
    assert listed(relay, soon)["expiring"] is True
    for d in (later, leaving, fine):
        assert listed(relay, d)["expiring"] is False
    assert "can't be fetched anew" in relay.cli("policy", "list").stdout
    assert "can't be fetched anew" in relay.cli("policy", "show", soon).stdout
    shown = relay.cli("status").stdout
    assert "policies that end soon" in shown and soon in shown
    for _ in range(3):
        submit(relay, f"bob@{soon}")
    time.sleep(1)
    assert len(relay.log.find("policy.failure")) == 1
    shown = relay.cli("policy", "list", "--json", "-c", str(relay.config_file))
    relay.stop()
    offline = relay.cli("policy", "list", "--json", "-c", str(relay.config_file))
    assert json.loads(offline.stdout) == json.loads(shown.stdout)


def test_a_policy_that_is_had_again_is_no_longer_told_of(world, new_relay):
    relay = new_relay()
    d = kept(world, relay, 86400)
    relay.stop()
    relay.start()
    relay.log.one("policy.failure", domain=d)
    peer = world.peer()
    relay.cli("policy", "forget", d)
    world.sts(d, mx=[peer], id="2", ttl=1)
    assert relay.cli("policy", "refresh", d).returncode == 0
    assert listed(relay, d)["expiring"] is False
    relay.stop()
    relay.start()
    time.sleep(0.5)
    assert expiring(relay)["count"] == 0
    assert not relay.log.find("policy.failure")
