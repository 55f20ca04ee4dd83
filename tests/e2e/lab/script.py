"""An MX host that misbehaves, by a script.

Each connection runs one list of steps; the last list serves all further
connections.  A step is

    b"octets"   sent as they are
    "VERB"      reads a command and insists that it begins so ("" takes any)
    BODY        reads up to CRLF.CRLF
    Sleep(s)    waits
    FIN, RST    ends the connection, gently or not
    Tls(cert)   shakes hands as the server
    a function  called with the connection: for everything else
"""

import collections
import socket
import struct
import threading
import time

from .patience import PATIENCE

Sleep = collections.namedtuple("Sleep", "s")
Tls = collections.namedtuple("Tls", "cert")
FIN, RST, BODY = object(), object(), object()

GREETING = b"220 mx.lab.test ESMTP\r\n"
EHLO = ["EHLO", b"250-mx.lab.test\r\n250 8BITMIME\r\n"]
EHLO_TLS = ["EHLO", b"250-mx.lab.test\r\n250 STARTTLS\r\n"]
STARTTLS = ["STARTTLS", b"220 2.0.0 go\r\n"]
MAIL = ["MAIL", b"250 2.1.0 ok\r\n"]
RCPT = ["RCPT", b"250 2.1.5 ok\r\n"]
DATA = ["DATA", b"354 go\r\n", BODY]
OPEN = [GREETING, *EHLO]  # ready for MAIL
SENT = [*OPEN, *MAIL, *RCPT, *DATA]  # the reply to the dot is due
ACCEPT = [*SENT, b"250 2.0.0 kept\r\n"]
GOODBYE = ["QUIT", b"221 bye\r\n", FIN]


class Gone(Exception):
    """The other side hung up, or said something else."""


class _Connection:
    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        self.heard = []  # commands, bodies
        self.received = b""

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except OSError as e:
            raise Gone(str(e)) from None
        if not data:
            raise Gone("closed")
        self.received += data
        self.buffer += data

    def until(self, end):
        while end not in self.buffer:
            self._more()
        got, _, self.buffer = self.buffer.partition(end)
        return got

    def command(self, verb):
        line = self.until(b"\r\n").decode("utf-8", "replace")
        self.heard.append(line)
        if not line.upper().startswith(verb):
            raise Gone(f"wanted {verb}, got {line}")

    def body(self):
        self.buffer = b"\r\n" + self.buffer  # an empty body is one too
        self.heard.append(self.until(b"\r\n.\r\n")[2:])

    def reset(self):
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def run(self, step):
        if isinstance(step, bytes):
            self.sock.sendall(step)
        elif isinstance(step, str):
            self.command(step)
        elif isinstance(step, Sleep):
            time.sleep(step.s)
        elif isinstance(step, Tls):
            self.sock = step.cert.context().wrap_socket(self.sock, server_side=True)
        elif step is BODY:
            self.body()
        elif step is RST:
            self.reset()
        elif step is FIN:
            self.sock.close()
        else:
            step(self)


class Scripted:
    """dialogs: lists of steps, one per connection."""

    def __init__(self, host, ip, port, *dialogs):
        self.host, self.ip, self.port = host, ip, port
        self.dialogs = [list(d) for d in dialogs]
        self.connections = []
        self.troubles = []
        self._changed = threading.Condition()
        self._finished = 0
        self._listener = socket.create_server((ip, port), backlog=50)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(60)
            c = _Connection(sock)
            i = min(len(self.connections), len(self.dialogs) - 1)
            self.connections.append(c)
            threading.Thread(
                target=self._run, args=(c, self.dialogs[i]), daemon=True
            ).start()

    def _run(self, c, steps):
        try:
            for step in steps:
                c.run(step)
        except (Gone, OSError) as e:
            self.troubles.append(str(e))
        finally:
            try:
                c.sock.close()
            except OSError:
                pass
            with self._changed:
                self._finished += 1
                self._changed.notify_all()

    def wait(self, count=1, timeout=PATIENCE):
        """Until so many connections are over."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._finished >= count, timeout
            ), f"{self._finished} of {count} connections at {self.host}"

    def heard(self, n=0):
        return self.connections[n].heard

    def bodies(self):
        return [h for c in self.connections for h in c.heard if isinstance(h, bytes)]

    def close(self):
        self._listener.close()
