#!/usr/bin/python3
"""Strict transport, shown on loopback:  ./scripts/run --demo

Starts a DNS server, a host for MTA-STS policies, and MX hosts with every kind
of trouble; starts the relay; sends one message to each domain; and prints
what the relay did with it, and why.  Exits 0 when each message went as the
policy of its domain demands.  Nothing leaves this machine.
"""

import collections
import os
import sys
import textwrap
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.send import submit  # noqa: E402
from lab.world import World  # noqa: E402

PATIENCE = 5
Case = collections.namedtuple("Case", "domain policy what goes_out")
Result = collections.namedtuple("Result", "case went_out why")


# --- the domains ---


def build(world):
    """Each domain with its hosts, and what must become of mail for it."""
    ca = world.ca
    cases = []

    def add(name, policy, what, goes_out, peer, mx=None):
        world.domain(peer, name=name)
        if policy != "no policy":
            world.sts(name, mode=policy, mx=mx or [peer])
        cases.append(Case(name, policy, what, goes_out))

    def peer(host, cert=None, **options):
        return world.peer(host, cert=cert, **options)

    add("good.example", "enforce", "good certificate", True, peer("mx.good.example"))
    add(
        *("name.example", "enforce", "certificate for another name", False),
        peer("mx.name.example", ca.good("mx.elsewhere.example")),
    )
    add(
        *("expired.example", "enforce", "expired certificate", False),
        peer("mx.expired.example", ca.expired("mx.expired.example")),
    )
    add(
        *("self.example", "enforce", "self-signed certificate", False),
        peer("mx.self.example", ca.self_signed("mx.self.example")),
    )
    add(
        *("stripped.example", "enforce", "STARTTLS stripped on the way", False),
        peer("mx.stripped.example", offer=False),
    )
    add(
        *("moved.example", "enforce", "MX is not in the policy", False),
        peer("mx.hijacker.example"),
        mx=["mx.moved.example"],
    )
    add(
        *("testing.example", "testing", "expired certificate", True),
        peer("mx.testing.example", ca.expired("mx.testing.example")),
    )
    add(
        *("plain.example", "no policy", "no TLS at all", True),
        peer("mx.plain.example", offer=False),
    )
    add(
        *("loose.example", "no policy", "self-signed certificate", True),
        peer("mx.loose.example", ca.self_signed("mx.loose.example")),
    )
    return cases


# --- what the relay does with them ---


def reason(line):
    """Why, in the words of the relay's own log."""
    if line["event"] == "delivery.sent":
        tls = line.get("tls_version")
        proof = line.get("certificate", "")
        return f"{tls}, certificate {proof}" if tls else "in clear"
    reply = line["reply"]
    return reply.partition(" ")[2].partition(" ")[2] or reply


def send(world, relay, case):
    mid = submit(relay, f"postmaster@{case.domain}")
    events = ("delivery.sent", "delivery.deferred", "delivery.bounced")
    try:
        line = relay.log.one(events, timeout=PATIENCE, mid=mid)
    except AssertionError:
        return Result(case, None, f"no outcome within {PATIENCE} s")
    arrived = bool(world.ledger.of(domain=case.domain))
    if arrived != (line["event"] == "delivery.sent"):
        return Result(case, None, f"{line['event']}, but that is not what happened")
    return Result(case, arrived, reason(line))


# --- the table ---


class Paint:
    def __init__(self, out):
        self.on = out.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, colour, text):
        codes = {"green": 32, "red": 31, "bold": 1, "dim": 2}
        return f"\033[{codes[colour]}m{text}\033[0m" if self.on else text


def is_right(result):
    return result.went_out == result.case.goes_out


def print_table(results, out):
    paint = Paint(out)
    head = ("DOMAIN", "MTA-STS", "MX HOST", "MAIL", "AS IT MUST")
    rows = [
        (
            r.case.domain,
            r.case.policy,
            r.case.what,
            {True: "delivered", False: "held back", None: "?"}[r.went_out],
            "yes" if is_right(r) else "NO",
        )
        for r in results
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row):
        return "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths)).rstrip()

    print(paint("bold", line(head)), file=out)
    for result, row in zip(results, rows):
        print(paint("green" if is_right(result) else "red", line(row)), file=out)
        for text in textwrap.wrap(result.why, 74):
            print(paint("dim", "    " + text), file=out)


def main():
    began = time.monotonic()
    world = World()
    try:
        relay = world.relay({"": {"hostname": "relay.example"}})
        print("The relay is up, with MX hosts, DNS and policy host on loopback.\n")
        results = [send(world, relay, case) for case in build(world)]
        relay.close()
    finally:
        world.close()
    print_table(results, sys.stdout)
    right = sum(map(is_right, results))
    took = time.monotonic() - began
    print(f"\n{right} of {len(results)} as the policy demands, in {took:.1f} s")
    return 0 if right == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
