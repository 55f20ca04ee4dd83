"""A small disk for the relay's state alone: a tmpfs that only a mount
namespace of its own sees."""

import os
import pathlib
import subprocess

import pytest


class SmallDisk:
    """Mounted on `directory` for whoever is started with `wrap`."""

    def __init__(self, directory, megabytes):
        if os.geteuid() != 0:
            pytest.skip("mounting takes root")
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        mount = f'mount -t tmpfs -o size={megabytes}m tmpfs "$0" && echo && exec cat'
        self.holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", mount, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout.readline() == b"\n", "no tmpfs"
        self.wrap = ["nsenter", "-t", str(self.holder.pid), "-m", "--"]
        self.path = pathlib.Path(f"/proc/{self.holder.pid}/root{directory}")
        self.filler = self.path / "filler"

    def free(self):
        s = os.statvfs(self.path)
        return s.f_bavail * s.f_frsize

    def fill(self, leave=0):
        """Somebody else takes all the room but `leave` octets."""
        with open(self.filler, "ab", buffering=0) as f:
            while (n := self.free() - leave) > 0:
                try:
                    f.write(bytes(min(n, 1 << 20)))
                except OSError:
                    break

    def empty(self):
        self.filler.unlink()

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
