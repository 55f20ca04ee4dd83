"""A clock that a test turns, for one relay.

    clock = Clock(folder)
    relay = world.relay(environ=clock.env)
    clock.turn_to(clock.midnight())     # the relay's time, all of its clocks

It only ever goes forward.
"""

import datetime
import functools
import mmap
import pathlib
import struct
import subprocess
import tempfile
import time

from .relay import binary

DAY = 24 * 60 * 60


@functools.cache
def _library():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lab-clock-"))
    source = pathlib.Path(__file__).with_name("clock.c")
    subprocess.run(
        ["cc", "-O1", "-fPIC", "-shared", "-o", folder / "clock.so", source, "-ldl"],
        check=True,
    )
    return str(folder / "clock.so")


@functools.cache
def _sanitizer():
    """Wants to be the first that is loaded."""
    needed = subprocess.run(
        ["ldd", binary()], capture_output=True, text=True
    ).stdout.split()
    return [word for word in needed if word.startswith("/") and "/libasan" in word]


class Clock:
    def __init__(self, folder, ahead=0):
        path = pathlib.Path(folder) / "clock"
        path.write_bytes(bytes(mmap.PAGESIZE))
        with open(path, "r+b") as f:
            self._page = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.env = {
            "LD_PRELOAD": ":".join([*_sanitizer(), _library()]),
            "CLOCK_AHEAD": str(path),
        }
        self._ahead = 0
        self.turn(ahead)

    def turn(self, seconds):
        assert seconds >= 0
        self._ahead += seconds
        struct.pack_into("=q", self._page, 0, int(self._ahead * 1e9))

    def now(self):
        """Unix seconds, as the relay has it."""
        return time.time() + self._ahead

    def turn_to(self, when):
        self.turn(max(0, when - self.now()))

    def midnight(self):
        """The next one, UTC."""
        return (self.now() // DAY + 1) * DAY

    def day(self):
        when = datetime.datetime.utcfromtimestamp(self.now())
        return when.strftime("%Y-%m-%d")
