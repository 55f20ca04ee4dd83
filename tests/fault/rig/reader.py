"""What the store's own code finds in a directory: tests/fault/store_read."""

import os
import pathlib
import subprocess

from rig.relay import binary


def program():
    path = pathlib.Path(binary()).with_name("fault_store_read")
    assert os.access(path, os.X_OK), f"build {path}: scripts/test does"
    return path


class Found:
    def __init__(self):
        self.rcpts = []  # (id, address, sender)
        self.bodies = {}  # by id
        self.verdict = ""


class Reader:
    def __init__(self, env=None):
        self.process = subprocess.Popen(
            [program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )

    def read(self, directory):
        self.process.stdin.write(f"{directory}\n".encode())
        self.process.stdin.flush()
        found = Found()
        while not found.verdict:
            line = self.process.stdout.readline()
            assert line.endswith(b"\n"), "the reader has died"
            word, _, rest = line.decode(errors="replace").rstrip("\n").partition(" ")
            if word == "rcpt":
                found.rcpts.append(tuple(rest.split(" ")))
            elif word == "body":
                number, length = rest.split(" ")
                found.bodies[number] = self.process.stdout.read(int(length))
            else:
                found.verdict = rest
        return found

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
        self.process.stdout.close()
