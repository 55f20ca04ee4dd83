"""Postfix on the same DANE cases as the relay (test_dane.py), all at once.  Where
it does something else, the case says whose side the RFC is on."""

import pytest

from lab import seen
from lab.dane_cases import CASES, HALF_CASES, columns, reasons, told
from lab.postfix import Postfix

conformance = pytest.mark.conformance

# A panic holds up what comes after it.
HARMLESS = [name for name, case in CASES.items() if case.postfix != "panic"]
# What it says of hosts that DANE proves, by whether the MX records are authentic.
PROVEN = {"Verified": "verified", "Trusted": "half"}


def verdict(signed, postfix, rcpt, hosts):
    """In the words of lab/dane_cases.py, and the reason."""
    status, reason = postfix.wait(rcpt)
    if status != "sent":
        return status, reason
    (got,) = signed.ledger.of(rcpt)
    trust = postfix.trust(got.peer)
    how = PROVEN.get(trust, "encrypted" if got.tls else "clear")
    return f"{hosts.index(got.peer)} {how}", trust


def panic(signed, name):
    """The verdict of a Postfix that is asked nothing else."""
    postfix = Postfix(signed.resolver)
    try:
        postfix.submit(f"postfix@{CASES[name].build(signed).domain}")
        return "panic", postfix.wait_for_line("smtp.*panic:")
    finally:
        postfix.close()


@pytest.fixture(scope="module")
def verdicts(island, signed_once):
    """Of each case and half case."""
    signed = signed_once
    with island:
        postfix = Postfix(signed.resolver)
        try:
            cases = [(CASES, name) for name in HARMLESS]
            cases += [(HALF_CASES, name) for name in HALF_CASES]
            built = [of[name].build(signed) for of, name in cases]
            postfix.submit(*(f"postfix@{b.domain}" for b in built))
            return {
                of[name]: verdict(signed, postfix, f"postfix@{domain}", hosts)
                for (of, name), (domain, hosts) in zip(cases, built)
            }
        finally:
            postfix.close()


@conformance(*columns(CASES, "Postfix"), why=reasons(CASES), by="Postfix")
@pytest.mark.parametrize("name", CASES)
def test_case(signed, verdicts, name):
    case = CASES[name]
    got, reason = verdicts[case] if case in verdicts else panic(signed, name)
    seen.note(told(got))
    assert got == case.postfix, reason


@conformance(
    *columns(HALF_CASES, "Postfix"), why=reasons(HALF_CASES), by="Postfix", group="half"
)
@pytest.mark.parametrize("name", HALF_CASES)
def test_case_below_insecure_mx_records(verdicts, name):
    got, reason = verdicts[HALF_CASES[name]]
    seen.note(told(got))
    assert got == HALF_CASES[name].postfix, reason


def test_every_difference_has_its_reason():
    for name, case in [*CASES.items(), *HALF_CASES.items()]:
        assert bool(case.why) == (case.want != case.postfix), name


def test_postfix_can_be_told_to_do_as_the_relay_does(signed):
    """With MX records that are not authentic."""
    postfix = Postfix(signed.resolver, smtp_tls_dane_insecure_mx_policy="may")
    try:
        domain, hosts = CASES["insecure-mx"].build(signed)
        postfix.submit(f"bob@{domain}")
        got = verdict(signed, postfix, f"bob@{domain}", hosts)
        assert got[0] == CASES["insecure-mx"].want, got
    finally:
        postfix.close()
