"""Postfix' smtp-sink, as an MX host that keeps what it gets in files."""

import pathlib
import socket
import subprocess
import time

from .patience import PATIENCE

SMTP_SINK = "/usr/sbin/smtp-sink"


class SmtpSink:
    def __init__(self, ip, port, folder):
        self.folder = pathlib.Path(folder)
        self._process = subprocess.Popen(
            [SMTP_SINK, "-d", str(self.folder / "mail."), "-u", "root"]
            + [f"{ip}:{port}", "100"],
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((ip, port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, "smtp-sink does not start"
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(5)

    def messages(self):
        """What came, each with the fields of smtp-sink in front; LF lines."""
        return [p.read_bytes() for p in sorted(self.folder.glob("mail.*"))]
