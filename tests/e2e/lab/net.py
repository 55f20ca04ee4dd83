"""Addresses and ports of 127/8, each given out once per process."""

import itertools
import os
import socket
import threading

_lock = threading.Lock()
_hosts = itertools.count(1)


def _claim():
    """An octet that no other run in this network has, and what holds it until
    this process ends: two runs side by side stay apart."""
    for n in range(200):
        octet = 10 + (os.getpid() + n) % 200
        s = socket.socket(socket.AF_UNIX)
        try:
            s.bind(f"\0sealpost-lab-{octet}")
            return octet, s
        except OSError:
            s.close()
    raise RuntimeError("no network is free")


_second, _held = _claim()


def address():
    """A loopback address that nobody else of this process has."""
    with _lock:
        n = next(_hosts)
    return f"127.{_second}.{n // 250}.{n % 250 + 1}"


def free_port(kind=socket.SOCK_STREAM, host="0.0.0.0"):
    """A port that is free on every address now."""
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def free_port_below_ephemeral():
    """A port that no outgoing connection takes by chance."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as s, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as u:
            try:
                s.bind(("0.0.0.0", port))
                u.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")
