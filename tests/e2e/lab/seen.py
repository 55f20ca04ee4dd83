"""What a test saw, in few words: what the peers wrote down, and what the
relay's log gives for the reason.

    delivered [to host N] in clear | over TLS[, DANE | , WebPKI][, REQUIRETLS]
        [ without REQUIRETLS]
    waits: CODE [POLICY][, what was wrong with the certificate]
    bounced: CODE [POLICY]

One message after the other, and each thing that happened to it once.  A test
that looks at something else than deliveries says what it saw.
"""

import itertools
import time

from .patience import PATIENCE

FAILURES = {
    "delivery.deferred": "waits",
    "delivery.bounced": "bounced",
    "delivery.expired": "expired",
}
OUTCOMES = ("delivery.sent", *FAILURES)
POLICIES = {"mta-sts": "MTA-STS", "dane": "DANE", "requiretls": "REQUIRETLS"}
PROOFS = {"pkix": ", WebPKI", "dane": ", DANE"}


class _Submission:
    def __init__(self, relay, mid, rcpts):
        self.relay, self.mid, self.rcpts = relay, mid, rcpts
        self._log = relay.log  # a restart begins another

    def _lines(self):
        logs = [self._log] + [self.relay.log] * (self.relay.log is not self._log)
        return [
            line
            for log in logs
            for line in list(log.events)
            if line.get("mid") == self.mid and line.get("event") in OUTCOMES
        ]

    def _delivery(self, rcpt):
        """The peers' word: the trace field that the relay adds has our id."""
        found = [
            d
            for d in self.relay.world.ledger.of(rcpt)
            if f"id {self.mid}".encode() in d.data
        ]
        return found[0] if found else None

    def words(self):
        """For each recipient what became of it, in order."""
        return [w for rcpt in self.rcpts for w in self._words_of(rcpt)]

    def _words_of(self, rcpt):
        until = time.monotonic() + PATIENCE
        while True:
            got = self._delivery(rcpt)
            lines = [x for x in self._lines() if x["to"].lower() == rcpt.lower()]
            is_sent = any(x["event"] == "delivery.sent" for x in lines)
            if lines and is_sent == bool(got):
                return [_word(x, got, self.relay.world) for x in lines]
            if time.monotonic() > until:
                return ["the peers and the log do not agree" if lines else "nothing"]
            time.sleep(0.01)


def _host(line, world):
    """Which of a domain's hosts, where it is not the first."""
    hosts = world.hosts_of.get(line["to"].rpartition("@")[2].lower(), [])
    if line["mx"] not in hosts[1:]:
        return ""
    return f" to host {hosts.index(line['mx']) + 1}"


def _verdict(line):
    word = line.get("certificate", "verified").partition(":")[0]
    return "" if word == "verified" else f", {word}"


def _half(line):
    """MX records that are not authentic lead to it."""
    return " insecure-mx" * (line["policy"] == "dane insecure-mx")


def _lost(line):
    """It was asked for, and the host could not be told."""
    is_lost = line["policy"].endswith(" without-requiretls")
    return " without REQUIRETLS" * is_lost


def _word(line, got, world):
    policy = line.get("policy", "").partition(" ")[0]
    if line["event"] != "delivery.sent":
        code = line["reply"].split(" ")[1]
        whose = f" {POLICIES[policy]}" if policy in POLICIES else ""
        return f"{FAILURES[line['event']]}: {code}{whose}{_verdict(line)}"
    word = f"delivered{_host(line, world)}"
    if not got.tls:
        return f"{word} in clear"
    word += " over TLS"
    if line["proof"] in PROOFS:
        word += PROOFS[line["proof"]] + _half(line) + _verdict(line)
    elif line["policy"] == "mta-sts testing":
        word += _verdict(line)
    return word + ", REQUIRETLS" * ("REQUIRETLS" in got.mail_args) + _lost(line)


class _Seen:
    def __init__(self):
        self.submissions, self.said = [], []
        self.only = False


_now = None


def begin():
    global _now
    _now = _Seen()


def end():
    """What was seen since the beginning."""
    global _now
    done, _now = _now, None
    words = [] if done.only else [w for s in done.submissions for w in s.words()]
    return "; ".join(w for w, _ in itertools.groupby(words + done.said))


def submitted(relay, mid, rcpts):
    """By lab/send.py."""
    if _now:
        _now.submissions.append(_Submission(relay, mid, rcpts))


def note(text):
    """Besides what became of the mail."""
    if _now:
        _now.said.append(str(text))


def note_only(text):
    """In its place."""
    if _now:
        _now.only = True
    note(text)


def only(text):
    """In its place, and that of all other notes."""
    if _now:
        _now.said.clear()
    note_only(text)
