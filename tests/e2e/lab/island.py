"""A network of its own: loopback and nothing else.

What is started inside (threads and programs) can reach nobody outside of it,
whatever it tries; and all ports are free, 25 and 53 too.  Only root may.

    island = Island()
    with island:
        ...                     # this thread, and what it starts
"""

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
NAMESPACE = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Island:
    def __init__(self):
        mainland = os.open(NAMESPACE, os.O_RDONLY)
        try:
            _check(_libc.unshare(CLONE_NEWNET))
            self._here = os.open(NAMESPACE, os.O_RDONLY)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        finally:
            _check(_libc.setns(mainland, CLONE_NEWNET))
            os.close(mainland)
        self._mainland = None

    def __enter__(self):
        self._mainland = os.open(NAMESPACE, os.O_RDONLY)
        _check(_libc.setns(self._here, CLONE_NEWNET))
        return self

    def __exit__(self, *_):
        _check(_libc.setns(self._mainland, CLONE_NEWNET))
        os.close(self._mainland)

    def close(self):
        os.close(self._here)
