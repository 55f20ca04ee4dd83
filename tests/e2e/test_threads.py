"""Everything at once: sessions, deliveries, policies, notices, reloads,
questions, and a stop in the middle.  Made for a relay under TSan, which ends
at the first race; the others have to survive it as well."""

import signal
import smtplib
import threading
import time

import pytest

from lab.send import insecure, message

SENDERS = 6
MESSAGES = 20


class Senders:
    """Threads that send to these recipients, each in its own order."""

    def __init__(self, relay, rcpts, count):
        self.relay, self.rcpts, self.count = relay, rcpts, count
        self.taken = []
        self.cut = 0
        self.threads = [
            threading.Thread(target=self._run, args=(n,)) for n in range(SENDERS)
        ]
        for t in self.threads:
            t.start()

    def _run(self, n):
        for i in range(self.count):
            rcpt = self.rcpts[(n + i) % len(self.rcpts)]
            user = f"t{n}-{i}-{rcpt}"
            body = "x" * 70 + "\r\n"
            try:
                self._send(n, user, message(body=body * (2000 if i % 5 == 0 else 5)))
                self.taken.append(user)
            except (smtplib.SMTPException, OSError):
                self.cut += 1

    def _send(self, n, rcpt, data):
        tls = n % 2 == 0
        port = self.relay.tls_port if tls else self.relay.port
        with smtplib.SMTP(self.relay.ip, port, "client.lab.test", 60) as c:
            if tls:
                c.starttls(context=insecure())
            c.sendmail(f"s{n}@{self.sender}", [rcpt], data)

    def join(self):
        for t in self.threads:
            t.join(120)
            assert not t.is_alive()


def domains(world):
    """Delivered, put off once, refused; in clear, by TLS, by policy."""
    secure, clear, busy, strict = (
        world.peer(),
        world.peer(tls=False),
        world.peer(),
        world.peer(),
    )
    busy.replies["RCPT"] = {}
    names = [world.domain(p) for p in (secure, clear, busy, strict)]
    strict.replies["RCPT"] = {}
    world.sts(names[3], mx=[strict])
    for n in range(SENDERS):
        for i in range(MESSAGES):
            busy.replies["RCPT"][f"t{n}-{i}-u@{names[2]}"] = ["451 4.2.0 later"]
            if i % 4 == 0:
                no = f"t{n}-{i}-u@{names[3]}"
                strict.replies["RCPT"][no] = [["550 5.1.1 nobody"]]
    return names, strict.replies["RCPT"]


@pytest.mark.threads
def test_all_threads_at_once(world, new_relay):
    names, refused = domains(world)
    Senders.sender = world.domain(world.peer())
    relay = new_relay({"": {"workers": 4}})
    senders = Senders(relay, [f"u@{d}" for d in names], MESSAGES)
    for i in range(6):
        relay.write_config({"delivery": {"connections_per_domain": 3 + i % 3}})
        relay.signal(signal.SIGHUP)
        relay.cli("status")
        relay.cli("queue", "list", "--json")
        time.sleep(0.3)
    senders.join()
    assert len(senders.taken) == SENDERS * MESSAGES and senders.cut == 0
    for rcpt in senders.taken:
        if rcpt not in refused:
            world.ledger.one(rcpt, timeout=60)
    bounced = [r for r in senders.taken if r in refused]
    relay.log.wait("delivery.bounced", count=len(bounced), timeout=60)
    again = Senders(relay, [f"u@{d}" for d in names[:2]], 10)
    time.sleep(0.5)
    relay.stop(timeout=60)
    again.join()
    assert "ThreadSanitizer" not in relay.stderr(), relay.stderr()
