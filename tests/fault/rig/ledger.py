"""Who was promised what, and what became of it.

Every recipient's address occurs once, and carries the message's number and
how the sink is to treat it: `KIND.NUMBER.INDEX@fault.test`.  The client notes
each 250; the sink notes each message before it answers."""

import collections
import dataclasses
import email
import hashlib
import re

TRACE = re.compile(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


@dataclasses.dataclass
class Message:
    number: int
    rcpts: list
    size: int
    sha: bytes
    acked: bool = False
    reply: str = ""  # that acknowledged it

    @property
    def sender(self):
        return f"s.{self.number}@fault.test"


def number_of(address):
    return int(address.split("@")[0].split(".")[1])


class Ledger:
    def __init__(self):
        self.messages = {}
        self.pending = set()  # promised, not yet delivered or bounced
        self.round = 0
        # Of each recipient: in which rounds it was delivered.
        self.delivered = collections.defaultdict(list)
        # Of each recipient: which notices (Message-ID) said that it failed.
        self.bounced = collections.defaultdict(set)
        # Which recipients the relay's log of a round calls delivered.
        self.recorded = collections.defaultdict(set)
        self.problems = []

    # --- what happens ---

    def submit(self, message):
        self.messages[message.number] = message

    def ack(self, message):
        message.acked = True
        self.pending.update(r for r in message.rcpts if not self.is_over(r))

    def accept(self, sender, rcpts, data, round_):
        """The sink has a whole message, and is about to say so."""
        if sender == "":
            self._accept_notice(rcpts, data)
            return
        message = self.messages.get(number_of(sender))
        if not message or sender != message.sender:
            self.problems.append(f"from nobody: {sender}")
            return
        self._compare(message, data)
        for r in rcpts:
            if r not in message.rcpts:
                self.problems.append(f"{message.number} was not meant for {r}")
            self.delivered[r].append(round_)
        self.pending.difference_update(rcpts)

    def _compare(self, message, data):
        body = data[len(data) - message.size :]
        trace = data[: len(data) - message.size]
        if hashlib.sha1(body).digest() != message.sha:
            self.problems.append(f"{message.number} was changed")
        elif not TRACE.fullmatch(trace):
            self.problems.append(f"{message.number} got {trace!r} in front")

    def _accept_notice(self, rcpts, data):
        notice = email.message_from_bytes(data)
        if notice.get_content_type() != "multipart/report":
            self.problems.append(f"a notice of type {notice.get_content_type()}")
            return
        status = notice.get_payload(1).get_payload()
        for part in status[1:]:
            rcpt = part["Final-Recipient"].split(";")[1].strip()
            if part["Action"] != "failed":
                self.problems.append(f"{rcpt}: {part['Action']}")
            if [f"s.{number_of(rcpt)}@fault.test"] != rcpts:
                self.problems.append(f"{rcpts} was told of {rcpt}")
            self.bounced[rcpt].add(notice["Message-ID"])
            self.pending.discard(rcpt)

    def note_log(self, event):
        if event["event"] == "delivery.sent":
            self.recorded[self.round].add(event["to"])

    # --- what it amounts to ---

    def is_over(self, rcpt):
        return rcpt in self.delivered or rcpt in self.bounced

    def acked(self):
        return [m for m in self.messages.values() if m.acked]

    def lost(self):
        """What was promised and has not happened."""
        return [r for m in self.acked() for r in m.rcpts if not self.is_over(r)]

    def in_doubt(self):
        """Deliveries that the relay did not live to record, by round."""
        doubts = collections.Counter()
        for rcpt, rounds in self.delivered.items():
            doubts.update(r for r in rounds if rcpt not in self.recorded[r])
        return doubts

    def duplicates(self):
        return sum(len(rounds) - 1 for rounds in self.delivered.values())

    def check_unchanged(self):
        """I3: nothing that was not sent, and as it was sent."""
        assert not self.problems, self.problems[:10]

    def check_duplicates(self):
        """I2: only what was in doubt was delivered again."""
        for rcpt, rounds in self.delivered.items():
            sure = [r for r in rounds if rcpt in self.recorded[r]]
            assert len(sure) <= 1, f"{rcpt}: recorded in {sure}, sent in {rounds}"
        for rcpt, notices in self.bounced.items():
            assert len(notices) == 1, f"{rcpt} bounced as {notices}"

    def check_one_end(self):
        """I8: delivered or bounced, never both, and each as it had to be."""
        both = set(self.delivered) & set(self.bounced)
        assert not both, both
        wrong = [r for r in self.bounced if not r.startswith("never.")]
        wrong += [r for r in self.delivered if r.startswith("never.")]
        assert not wrong, wrong[:10]

    def check(self):
        lost = self.lost()
        assert not lost, f"I1: {len(lost)} lost, {lost[:10]}"
        self.check_unchanged()
        self.check_duplicates()
        self.check_one_end()

    def __str__(self):
        acked = self.acked()
        doubts = self.in_doubt()
        return (
            f"{len(self.messages)} messages, {len(acked)} acknowledged with"
            f" {sum(len(m.rcpts) for m in acked)} recipients;"
            f" {len(self.delivered)} delivered, {len(self.bounced)} bounced,"
            f" {self.duplicates()} twice; in doubt {sum(doubts.values())},"
            f" at most {max(doubts.values(), default=0)} at once"
        )
