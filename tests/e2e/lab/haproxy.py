"""HAProxy in front of a relay."""

import pathlib
import socket
import subprocess
import tempfile
import time

from .patience import PATIENCE


class HAProxy:
    def __init__(self, ip, ways):
        """ways: {port: "SERVER OPTIONS"}, what stands behind `server relay`."""
        self.ip = ip
        self._folder = tempfile.TemporaryDirectory(prefix="haproxy-")
        path = pathlib.Path(self._folder.name)
        lines = ["defaults", "  mode tcp", "  timeout connect 5s",
                 "  timeout client 30s", "  timeout server 30s"]
        for port, server in ways.items():
            lines += [f"listen p{port}", f"  bind {ip}:{port}",
                      f"  server relay {server}"]
        (path / "haproxy.cfg").write_text("\n".join(lines) + "\n")
        self._log = open(path / "log", "w+")
        self._process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(path / "haproxy.cfg")],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL,
        )
        for port in ways:
            self._wait_for(port)

    def _wait_for(self, port):
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((self.ip, port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._log.seek(0)
                    raise AssertionError(self._log.read()) from None
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)
        self._log.close()
        self._folder.cleanup()
