"""A receiver of webhooks: python's http.server, with TLS or without, that says
what it is told to and believes signatures only.

    r = Receiver(cert)                     # cert None: HTTP
    r.status = 500                         # from now on
    r.hold(), r.release(), r.forget()      # answers none; all; no old one
    r.one("delivery.sent", mid=...)        # an event that it took
    r.requests                             # [Request], refused ones as well
"""

import base64
import collections
import hashlib
import hmac
import http.server
import json
import os
import threading
import time

from . import net
from .patience import PATIENCE

Request = collections.namedtuple("Request", "path headers body status time")


def new_secret(folder, name="hook.secret", key=None):
    """The path of a file with it."""
    path = folder / name
    text = "whsec_" + base64.b64encode(key or os.urandom(32)).decode()
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def is_signed(secret_file, headers, body):
    """By the published scheme, and not by the relay's own code."""
    key = base64.b64decode(secret_file.read_text().strip().removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    now = abs(time.time() - int(headers["webhook-timestamp"])) < 60
    return now and headers["webhook-signature"] == "v1," + mac


class Receiver:
    def __init__(self, cert=None, ip="127.0.0.1", port=None):
        self.cert, self.ip = cert, ip
        self.port = port or net.free_port()
        self.status = 200
        self.forget()
        self.requests = []
        self._changed = threading.Condition()
        self.start()

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((self.ip, self.port), Handler)
        if self.cert:
            self._server.socket = self.cert.context().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    close = stop

    def hold(self):
        self._may_answer = threading.Event()

    def release(self):
        self._may_answer.set()

    def forget(self):
        self.hold()
        self.release()

    def take(self, request):
        status = self.status
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if not self._may_answer.wait(2 * PATIENCE):
            return
        # What it has not said yes to, it does not have.
        with self._changed:
            self.requests.append(
                Request(request.path, request.headers, body, status, time.monotonic())
            )
            self._changed.notify_all()
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def events(self):
        taken = [r for r in list(self.requests) if 200 <= r.status < 300]
        return [e for r in taken for e in json.loads(r.body)]

    def find(self, type, **data):
        return [
            e
            for e in self.events()
            if e["type"] == type and data.items() <= e["data"].items()
        ]

    def until(self, good, timeout=PATIENCE):
        end = time.monotonic() + timeout
        with self._changed:
            while not good():
                left = end - time.monotonic()
                assert left > 0, (self.events()[-5:], len(self.requests))
                self._changed.wait(left)

    def one(self, type, **data):
        self.until(lambda: self.find(type, **data))
        return self.find(type, **data)[0]
