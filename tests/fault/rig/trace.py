"""What tracer.c has seen a relay do, in order."""

import dataclasses
import os
import pathlib
import struct

from rig.shim import library

HEAD = struct.Struct("=BBHIQq")


@dataclasses.dataclass
class Record:
    """`end`: how long the trace was with it, which is what its `size` says at
    any moment."""

    kind: str  # as tracer.c calls them
    name: str
    inode: int
    at: int
    data: bytes
    end: int


class Trace:
    def __init__(self, path, directory):
        self.path = pathlib.Path(path)
        self.directory = pathlib.Path(directory)
        self.path.touch()

    def env(self, kill=0, fail=0):
        return {
            "LD_PRELOAD": str(library("tracer.c")),
            "TRACE_FILE": str(self.path),
            "TRACE_DIRECTORY": str(self.directory),
            "TRACE_KILL": str(kill),
            "TRACE_FAIL": str(fail),
        }

    @property
    def size(self):
        return os.stat(self.path).st_size

    def read(self):
        data = self.path.read_bytes()
        records, at = [], 0
        while at < len(data):
            kind, name_len, _, length, inode, where = HEAD.unpack_from(data, at)
            name = at + HEAD.size
            at = name + name_len + length
            records.append(
                Record(
                    chr(kind),
                    data[name : name + name_len].decode(),
                    inode,
                    where,
                    data[name + name_len : at],
                    at,
                )
            )
        assert at == len(data), "the last record is cut"
        return records
