"""The relay and Postfix on the same DANE cases.  Both are sent everything at
once; then each case is a row of the table, which is printed when a row is not
as expected."""

import pytest

from lab.dane_cases import CASES, HALF_CASES
from lab.postfix import Postfix
from lab.send import submit

# What each says of DANE below MX records that are, or are not, authentic.
PROVEN = {
    "dane": "verified",
    "Verified": "verified",
    "dane insecure-mx": "half",
    "Trusted": "half",
}
FINAL = ("delivery.sent", "delivery.deferred", "delivery.bounced")


def arrived(signed, rcpt, hosts):
    """Which host has it, and over TLS or not."""
    (got,) = signed.ledger.of(rcpt)
    return hosts.index(got.peer), bool(got.tls)


def word(where, tls, proven):
    return f"{where} {proven or ('encrypted' if tls else 'clear')}"


def of_relay(signed, relay, mid, rcpt, hosts):
    line = relay.log.one(FINAL, mid=mid, timeout=60)
    if line["event"] != "delivery.sent":
        return "deferred", line["reply"]
    where, tls = arrived(signed, rcpt, hosts)
    proven = line.get("proof") == "dane" and PROVEN[line["policy"]]
    return word(where, tls, proven), line.get("certificate", "")


def of_postfix(signed, postfix, rcpt, hosts):
    status, reason = postfix.wait(rcpt)
    if status != "sent":
        return status, reason
    where, tls = arrived(signed, rcpt, hosts)
    trust = postfix.trust(hosts[where])
    return word(where, tls, PROVEN.get(trust)), trust or ""


def compared(island, signed, cases, config=None):
    """name -> (the relay's, Postfix's), each a verdict and a reason."""
    with island:
        relay, postfix = signed.relay(config), Postfix(signed.resolver)
        try:
            built = {name: case.build(signed) for name, case in cases.items()}
            postfix.submit(*(f"postfix@{b.domain}" for b in built.values()))
            mids = {n: submit(relay, f"relay@{b.domain}") for n, b in built.items()}
            table = {}
            for name, (domain, hosts) in built.items():
                table[name] = (
                    of_relay(signed, relay, mids[name], f"relay@{domain}", hosts),
                    of_postfix(signed, postfix, f"postfix@{domain}", hosts),
                )
            relay.stop()
        finally:
            relay.close()
            postfix.close()
    return table


@pytest.fixture(scope="module")
def verdicts(island, signed_once):
    return compared(island, signed_once, CASES)


@pytest.fixture(scope="module")
def half_verdicts(island, signed_once):
    config = {"policy": {"dane_insecure_mx": "dane"}}
    return compared(island, signed_once, HALF_CASES, config)


def shown(verdicts):
    return "\n".join(
        f"{name:55} {ours[0]:13} {theirs[0]:13} {theirs[1][:60]}"
        for name, (ours, theirs) in verdicts.items()
    )


@pytest.mark.parametrize("name", CASES)
def test_case(verdicts, name):
    ours, theirs = verdicts[name]
    case = CASES[name]
    assert ours[0] == case.want, (ours, theirs)
    assert theirs[0] == case.postfix, (ours, theirs)


def test_every_difference_has_its_reason(verdicts):
    differ = {n for n, (ours, theirs) in verdicts.items() if ours[0] != theirs[0]}
    print(shown(verdicts))
    assert differ == {n for n, case in CASES.items() if case.why}


@pytest.mark.parametrize("name", HALF_CASES)
def test_the_relay_can_be_told_to_do_as_postfix_does(half_verdicts, name):
    """With MX records that are not authentic."""
    ours, theirs = half_verdicts[name]
    assert ours[0] == HALF_CASES[name].want, (ours, theirs)
    assert theirs[0] == HALF_CASES[name].postfix, (ours, theirs)


def test_postfix_can_be_told_to_do_as_the_relay_does(signed):
    """With MX records that are not authentic."""
    postfix = Postfix(signed.resolver, smtp_tls_dane_insecure_mx_policy="may")
    try:
        domain, hosts = CASES["insecure-mx"].build(signed)
        postfix.submit(f"bob@{domain}")
        got = of_postfix(signed, postfix, f"bob@{domain}", hosts)
        assert got[0] == CASES["insecure-mx"].want, got
    finally:
        postfix.close()
