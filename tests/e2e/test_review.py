"""What a relay must survive between two events that seldom meet: a stop in the
middle of a body, a reload in the middle of a session."""

import signal
import socket
import threading

import pytest

from lab.send import SENDER, Wire, message


class Pourer:
    """A client that sends one body without end, as fast as it is taken."""

    def __init__(self, relay, rcpt):
        self.wire = Wire(relay.ip, relay.port)
        self.wire.data(rcpt)
        self.sent = 0
        self._flowing = threading.Event()
        self._thread = threading.Thread(target=self._pour, daemon=True)
        self._thread.start()
        assert self._flowing.wait(15)

    def _pour(self):
        line = b"x" * 998 + b"\r\n"
        try:
            self.wire.send(message())
            while True:
                self.wire.send(line * 64)
                self.sent += 64 * len(line)
                if self.sent > 1 << 20:
                    self._flowing.set()
        except OSError:
            self._flowing.set()

    def close(self):
        self.wire.sock.close()
        self._thread.join(15)


@pytest.mark.threads
def test_a_stop_cuts_a_body_off_and_ends_well(world, new_relay):
    for _ in range(4):
        relay = new_relay({"access": {"message_size_max": "1G"}})
        pourers = [Pourer(relay, "bob@nobody.test") for _ in range(4)]
        relay.signal(signal.SIGTERM)
        relay.signal(signal.SIGINT)  # asked twice: at once
        code = relay.wait()
        for p in pourers:
            p.close()
        assert code == 0, relay.stderr()
