"""What the MX hosts accepted, written down before they said so."""

import collections
import threading
import time

from .patience import PATIENCE

Delivery = collections.namedtuple(
    "Delivery", "peer host mail mail_args rcpts rcpt_args tls data session time"
)
# tls: None in clear, else the facts of the connection.
Tls = collections.namedtuple("Tls", "version cipher sni")


class Ledger:
    def __init__(self):
        self.deliveries = []
        self._changed = threading.Condition(threading.RLock())

    def add(self, delivery):
        with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()

    def of(self, rcpt=None, domain=None, peer=None):
        """Deliveries to an address, to anybody of a domain, or at a peer."""
        with self._changed:
            return [
                d
                for d in self.deliveries
                if (rcpt is None or rcpt in d.rcpts)
                and (
                    domain is None
                    or any(r.rpartition("@")[2] == domain for r in d.rcpts)
                )
                and (peer is None or d.peer is peer)
            ]

    def wait(self, rcpt=None, domain=None, peer=None, count=1, timeout=PATIENCE):
        """The deliveries, once there are `count` of them."""
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                found = self.of(rcpt, domain, peer)
                if len(found) >= count:
                    return found
                left = until - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"{len(found)} of {count} deliveries to"
                        f" {rcpt or domain or peer} after {timeout} s"
                    )
                self._changed.wait(left)

    def one(self, rcpt=None, domain=None, peer=None, timeout=PATIENCE):
        return self.wait(rcpt, domain, peer, 1, timeout)[0]
