"""Relays are restarted one after the other while applications send: every
message is taken after its client's retry, arrives, and does so once."""

import collections
import json
import pathlib
import smtplib
import socket
import subprocess
import sys
import threading
import time

from lab import npm
from lab.relay import PATIENCE
from lab.send import SENDER, message

ROUNDS = 3


class Nodemailer:
    """With a pool of connections, which it finds closed now and then."""

    def __init__(self, name, domain, relays):
        script = pathlib.Path(__file__).parent / "lab" / "retry.js"
        self.process = subprocess.Popen(
            ["node", script, name, domain, *(f"{r.ip}:{r.port}" for r in relays)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=npm.environment(),
        )

    def end(self):
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out)


class Smtplib:
    """A connection for each message, as scripts do it."""

    def __init__(self, name, domain, relays):
        self.name, self.domain, self.relays = name, domain, relays
        self.said = {"sent": [], "retries": [], "failed": []}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _try(self, rcpt, relay):
        try:
            with smtplib.SMTP(relay.ip, relay.port, "client.lab.test", 15) as c:
                c.sendmail(SENDER, rcpt, message())
            return True
        except (smtplib.SMTPException, OSError) as e:
            # Behind the 250 nothing matters any more.
            self.said["retries"].append(repr(e))
            return False

    def _send(self, rcpt):
        for n in range(30):
            if self._try(rcpt, self.relays[n % len(self.relays)]):
                self.said["sent"].append(rcpt)
                return
            time.sleep(0.05)
        self.said["failed"].append(rcpt)

    def _work(self):
        n = 0
        while not self.over.is_set():
            self._send(f"{self.name}-{n}@{self.domain}")
            n += 1

    def end(self):
        self.over.set()
        self.thread.join(60)
        return self.said


def roll(relays, clients):
    """Each of them in turn, several times; the next one once it is ready."""
    for _ in range(ROUNDS):
        for relay in relays:
            time.sleep(0.3)  # of load
            relay.stop()
            assert len(relay.log.find("drain")) == 2
            relay.start()
    return [c.end() for c in clients]


def check(world, domain, said):
    sent = [rcpt for one in said for rcpt in one["sent"]]
    retries = [r for one in said for r in one["retries"]]
    print(f"{len(sent)} sent, {len(retries)} retries")
    print(collections.Counter(retries))
    assert not [f for one in said for f in one["failed"]]
    assert all(one["sent"] for one in said) and retries, "no load to speak of"
    world.ledger.wait(domain=domain, count=len(sent), timeout=2 * PATIENCE)
    got = collections.Counter(
        r for m in world.ledger.of(domain=domain) for r in m.rcpts
    )
    assert got == collections.Counter(sent), "lost, or done twice"
    return sent


def test_two_relays_in_turn_take_all_mail_and_lose_none(world, new_relay):
    relays = [new_relay({"": {"workers": 1}}) for _ in range(2)]
    d = world.domain(world.peer())
    clients = [
        Nodemailer("node", d, relays),
        Smtplib("one", d, relays),
        Smtplib("two", d, relays[::-1]),
    ]
    sent = check(world, d, roll(relays, clients))
    accepted = sum(len(r.log.find("message.accepted")) for r in relays)
    assert accepted <= len(sent)
    for relay in relays:
        assert relay.queue() == []


def test_behind_a_socket_that_stays_open_nobody_is_refused(world, new_relay):
    """As under systemd: the port outlives the relay, and who comes meanwhile
    waits for the next one."""
    relay = new_relay({"": {"workers": 1}}, start=False)
    with socket.create_server((relay.ip, relay.port), backlog=100) as port:
        relay.pass_fds = [port.fileno()]
        activate = pathlib.Path(__file__).parent / "lab" / "activate.py"
        relay.wrap = [
            sys.executable,
            str(activate),
            f"app=fd:{port.fileno()}",
            "--",
        ]
        relay.start()
        d = world.domain(world.peer())
        clients = [
            Nodemailer("node", d, [relay]),
            Smtplib("one", d, [relay]),
        ]
        said = roll([relay], clients)
        check(world, d, said)
        retries = [r for one in said for r in one["retries"]]
        # SMTPSenderRefused is an answer.
        refused = ("ConnectionRefused", "ECONNREFUSED")
        assert not any(word in r for r in retries for word in refused), retries
        relay.stop()
