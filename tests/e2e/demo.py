#!/usr/bin/python3
"""Strict transport, shown on loopback:  ./scripts/run --demo

Starts a signed DNS, a host for MTA-STS policies, and MX hosts with every kind
of trouble; starts the relay; sends one message to each domain; and prints
what the relay did with it, and why.  Exits 0 when each message went as the
policy of its domain demands.  Nothing leaves this machine: all of it runs in a
network namespace that has loopback and nothing else.
"""

import collections
import datetime
import email
import email.policy
import gzip
import json
import os
import subprocess
import sys
import textwrap
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.patience import PATIENCE  # noqa: E402
from lab.send import submit  # noqa: E402
from lab.signed_world import SignedWorld  # noqa: E402
from lab.tlsa import of_host  # noqa: E402

SENDER = "you@sender.example"
REPORTS = "reports.example"
Case = collections.namedtuple("Case", "domain policy what becomes asks")
Result = collections.namedtuple("Result", "case became why")

ENFORCE, TESTING, DANE = "STS enforce", "STS testing", "DANE"
DELIVERED, HELD, RETURNED = "delivered", "held back", "returned"


# --- the domains ---


class Domains:
    """Each domain with its host, and what must become of mail for it."""

    def __init__(self, world):
        self.world, self.ca = world, world.ca
        self.cases = []

    def add(self, name, policy, what, becomes, host=None, mx=None, asks="", **options):
        """host: its name, if it is another than mx.NAME."""
        host = host or f"mx.{name}"
        peer = self.world.peer(host, **options)
        self.world.domain(peer, name=name)
        if policy in (ENFORCE, TESTING):
            mode = policy.split()[1]
            self.world.sts(name, mode=mode, mx=[mx or host])
        self.cases.append(Case(name, asks or policy, what, becomes, asks))
        return peer

    def add_dane(self, name, what, becomes, served, published):
        """The certificate that is served, and the one in the TLSA record."""
        peer = self.add(name, DANE, what, becomes, cert=served)
        record = of_host("3 1 1", published)
        self.world.dns.add(f"_25._tcp.{peer.host}", "TLSA", record)


def add_sts(d):
    ca = d.ca
    d.add("good.example", ENFORCE, "good certificate", DELIVERED)
    d.add(
        *("name.example", ENFORCE, "certificate for another name", HELD),
        cert=ca.good("mx.elsewhere.example"),
    )
    d.add(
        *("expired.example", ENFORCE, "expired certificate", HELD),
        cert=ca.expired("mx.expired.example"),
    )
    d.add(
        *("self.example", ENFORCE, "self-signed certificate", HELD),
        cert=ca.self_signed("mx.self.example"),
    )
    d.add(
        *("stripped.example", ENFORCE, "STARTTLS stripped on the way", HELD),
        offer=False,
    )
    d.add(
        *("moved.example", ENFORCE, "MX is not in the policy", HELD),
        host="mx.hijacker.example",
        mx="mx.moved.example",
    )
    d.add(
        *("testing.example", TESTING, "expired certificate", DELIVERED),
        cert=ca.expired("mx.testing.example"),
    )


def add_dane(d):
    """Certificates that no authority vouches for: TLSA records do."""
    ours, theirs = d.world.stranger, d.ca
    good = ours.self_signed("mx.dane.example")
    d.add_dane(
        *("dane.example", "self-signed, its key is in DNS", DELIVERED, good, good)
    )
    d.add_dane(
        *("rogue.example", "its key is not that in DNS", HELD),
        theirs.good("mx.rogue.example"),
        ours.good("mx.rogue.example"),
    )
    good = ours.self_signed("mx.forged.example")
    d.add_dane(*("forged.example", "MX answer forged on the way", HELD, good, good))
    d.world.dns.behave("forged.example", "forge", "MX")


def add_requiretls(d):
    d.add(
        *("pledge.example", ENFORCE, "offers it, and STS enforce", DELIVERED),
        asks="REQUIRETLS",
        requiretls=True,
    )
    d.add(
        *("shrug.example", ENFORCE, "does not offer it", RETURNED),
        asks="REQUIRETLS",
    )


def add_lax(d):
    d.add("plain.example", "none", "no TLS at all", DELIVERED, tls=False)
    d.add(
        *("loose.example", "none", "self-signed certificate", DELIVERED),
        cert=d.ca.self_signed("mx.loose.example"),
    )


def build(world):
    d = Domains(world)
    for add in (add_sts, add_dane, add_requiretls, add_lax):
        add(d)
    for name in (SENDER.partition("@")[2], REPORTS):
        world.domain(world.peer(f"mx.{name}"), name=name)
    for name in ("name.example", "rogue.example", "mx.rogue.example"):
        text = f"v=TLSRPTv1; rua=mailto:tls@{REPORTS}"
        world.dns.txt(f"_smtp._tls.{name}", text)
    return d.cases


# --- what the relay does with them ---


def reason(line):
    """Why, in the words of the relay's own log."""
    if line["event"] == "delivery.sent":
        tls = line.get("tls_version")
        proof = line.get("certificate", "")
        by = " by its TLSA record" if line["proof"] == "dane" else ""
        return f"{tls}, certificate {proof}{by}" if tls else "in clear"
    reply = line["reply"]
    return reply.partition(" ")[2].partition(" ")[2] or reply


OUTCOMES = {
    "delivery.sent": DELIVERED,
    "delivery.deferred": HELD,
    "delivery.bounced": RETURNED,
}


def send(relay, case):
    """Mail that asks for REQUIRETLS has to come over TLS itself."""
    rcpt = f"postmaster@{case.domain}"
    if not case.asks:
        return submit(relay, rcpt, sender=SENDER)
    return submit(
        relay,
        rcpt,
        sender=SENDER,
        port=relay.tls_port,
        starttls=True,
        mail_options=[case.asks],
    )


def result(world, relay, case, mid):
    try:
        line = relay.log.one(tuple(OUTCOMES), timeout=PATIENCE, mid=mid)
    except AssertionError:
        return Result(case, "?", f"no outcome within {PATIENCE} s")
    became, why = OUTCOMES[line["event"]], reason(line)
    arrived = world.ledger.of(domain=case.domain)
    if bool(arrived) != (became == DELIVERED):
        return Result(case, "?", f"{became}, but that is not what happened")
    if case.asks and arrived:
        passed_on = case.asks in arrived[0].mail_args
        why += f", {case.asks} {'passed on' if passed_on else 'NOT passed on'}"
        became = became if passed_on else "?"
    return Result(case, became, why)


# --- what it reports ---


def document(delivery):
    mail = email.message_from_bytes(delivery.data, policy=email.policy.default)
    _, attached = mail.iter_parts()
    return json.loads(gzip.decompress(attached.get_content()))


def is_counted(relay, day, domain):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        done = relay.cli("report", "show", day, domain, "--json", check=False)
        if done.returncode == 0 and json.loads(done.stdout)["failed"] > 0:
            return True
        time.sleep(0.1)
    return False


def reports(world, relay):
    """Sends what was counted today at once, not at the end of the day, and
    gives what arrived."""
    day = datetime.datetime.utcnow().strftime("%Y-%m-%d")
    counted = [is_counted(relay, day, d) for d in ("name.example", "mx.rogue.example")]
    relay.cli("report", "send", day, check=False)
    found = world.ledger.wait(domain=REPORTS, count=sum(counted), timeout=PATIENCE)
    return [document(d) for d in found]


def report_lines(doc):
    for p in doc["policies"]:
        for detail in p.get("failure-details", []):
            count = detail["failed-session-count"]
            yield (
                f"{p['policy']['policy-domain']}, {p['policy']['policy-type']} policy:"
                f" {count} session{'s' * (count > 1)} failed, {detail['result-type']}"
            )


# --- the table ---


class Paint:
    def __init__(self, out):
        self.on = out.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, colour, text):
        codes = {"green": 32, "red": 31, "bold": 1, "dim": 2}
        return f"\033[{codes[colour]}m{text}\033[0m" if self.on else text


def is_right(result):
    return result.became == result.case.becomes


def print_table(results, out):
    paint = Paint(out)
    head = ("DOMAIN", "POLICY", "MX HOST", "MAIL", "RIGHT")
    rows = [
        (
            r.case.domain,
            r.case.policy,
            r.case.what,
            r.became,
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


def print_reports(docs, out):
    paint = Paint(out)
    title = f"REPORTS ABOUT TLS, mailed to tls@{REPORTS}"
    print("\n" + paint("bold", title), file=out)
    for doc in docs:
        for text in report_lines(doc):
            print(f"  {text}", file=out)


def show():
    began = time.monotonic()
    world = SignedWorld(has_resolver=False)
    try:
        config = {
            "": {"hostname": "relay.example"},
            "retry": {"schedule": ["1h"]},
            "tlsrpt": {"from": "tls@relay.example"},
        }
        relay = world.relay(config, way="validate")
        print(
            "The relay is up, and so are MX hosts, a policy host and signed DNS,"
            " all on\nloopback.  It validates DNS itself, and gets a message for"
            " each domain.\n"
        )
        cases = build(world)
        mids = [send(relay, case) for case in cases]
        results = [result(world, relay, c, mid) for c, mid in zip(cases, mids)]
        docs = reports(world, relay)
        relay.close()
    finally:
        world.close()
    print_table(results, sys.stdout)
    print_reports(docs, sys.stdout)
    right = sum(map(is_right, results))
    took = time.monotonic() - began
    print(f"\n{right} of {len(results)} as the policy demands, in {took:.1f} s")
    return 0 if right == len(results) and len(docs) == 2 else 1


INSIDE = "--inside"


def main():
    """Comes back in a network of its own, which has ports of its own too."""
    if INSIDE in sys.argv:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return show()
    apart = ["unshare", "--net"]
    if os.geteuid() != 0:
        apart += ["--user", "--map-root-user"]
    if subprocess.run([*apart, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("no network namespace can be had here: try it as root", file=sys.stderr)
        return 77
    os.execvp(apart[0], [*apart, sys.executable, os.path.abspath(__file__), INSIDE])


if __name__ == "__main__":
    sys.exit(main())
