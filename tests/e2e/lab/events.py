"""A reader of GET /v1/events, by curl or by a socket that reads when it is told
to."""

import json
import socket
import subprocess
import threading
import time

from .patience import PATIENCE


class Curl:
    """`curl -N` on the control socket; the events as they come."""

    def __init__(self, relay, query="", *options, url=None):
        where = ["--unix-socket", relay.config["control"]["socket"]] if not url else []
        self.events, self.comments = [], 0
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            ["curl", "-sSN", *where, *options, (url or "http://localhost") + "/v1/events" + query],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.until(lambda: self.greeted)

    greeted = False

    def _read(self):
        fields = {}
        for line in self.process.stdout:
            line = line.rstrip("\n")
            with self._changed:
                if line.startswith("retry:"):
                    self.greeted = True
                elif line.startswith(":"):
                    self.comments += 1
                elif line:
                    key, value = line.split(": ", 1)
                    assert key not in fields, "one line of data"
                    fields[key] = value
                elif fields:
                    self.events.append({**fields, "data": json.loads(fields["data"])})
                    fields = {}
                self._changed.notify_all()

    def until(self, good, timeout=PATIENCE):
        end = time.monotonic() + timeout
        with self._changed:
            while not good():
                left = end - time.monotonic()
                assert left > 0 and self.process.poll() is None, self.events[-5:]
                self._changed.wait(left)

    def named(self, name, **fields):
        return [
            e
            for e in self.events
            if e["event"] == name and fields.items() <= e["data"].items()
        ]

    def one(self, name, **fields):
        self.until(lambda: self.named(name, **fields))
        return self.named(name, **fields)[0]

    def close(self):
        self.process.terminate()
        self.process.wait()
        self._thread.join(5)


class Slow:
    """Asks, and reads nothing until `read`."""

    def __init__(self, relay, query=""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(relay.config["control"]["socket"])
        self.socket.sendall(
            f"GET /v1/events{query} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        )
        self.text = b""

    def read(self, until):
        """All that has come once `until` is in it."""
        while until.encode() not in self.text:
            piece = self.socket.recv(1 << 16)
            assert piece, self.text[-500:]
            self.text += piece
        return self.text.decode()

    def close(self):
        self.socket.close()
