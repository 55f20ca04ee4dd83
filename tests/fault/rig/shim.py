"""What is preloaded, compiled once, and the page through which a test drives it."""

import ctypes
import functools
import mmap
import pathlib
import subprocess
import tempfile

FOREVER = 1 << 40


@functools.cache
def library(source="shim.c"):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fault-shim-"))
    source = pathlib.Path(__file__).with_name(source)
    subprocess.run(
        ["cc", "-O1", "-fPIC", "-shared", "-o", folder / "shim.so", source, "-ldl"],
        check=True,
    )
    return folder / "shim.so"


class Fault(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("calls", "error", "skip", "count", "delay_us")
    ]

    def fail(self, error, count=FOREVER, skip=0):
        self.count = 0
        self.skip = skip
        self.error = error
        self.count = count

    def stop(self):
        self.count = 0
        self.delay_us = 0


class Control(ctypes.Structure):
    _fields_ = [
        ("steps", ctypes.c_int64),
        ("kill_at", ctypes.c_int64),
        ("kills", ctypes.c_int64),
        ("wall_ms", ctypes.c_int64),
        ("steady_ms", ctypes.c_int64),
        ("write", Fault),
        ("sync", Fault),
    ]


class Shim:
    """`env` makes a relay start with it; `control` is live."""

    def __init__(self, folder):
        path = pathlib.Path(folder) / "control"
        path.write_bytes(bytes(mmap.PAGESIZE))
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.control = Control.from_buffer(self._map)
        self.env = {"LD_PRELOAD": str(library()), "FAULT_CONTROL": str(path)}

    def kill_in(self, steps):
        """Dies before the `steps`-th step from now."""
        self.control.kills = 0
        self.control.kill_at = self.control.steps + steps

    def let_live(self):
        self.control.kill_at = 0

    def has_killed(self):
        """Since kill_in; the end of the process may still be on its way."""
        return self.control.kills > 0
