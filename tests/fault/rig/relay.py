"""The relay under test: started, killed, and started again where it was."""

import asyncio
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

CONFIG = """
hostname = "relay.test"
state_directory = "{folder}/state"
workers = 2
log {{ format = "json" }}
listener "app" {{ address = "127.0.0.1:{port}" }}
resolver {{ servers = {{"127.0.0.1:9"}} dnssec = "off" }}
http {{ address = "" }}
control {{ socket = "{folder}/control.sock" }}
retry {{ schedule = {{"100ms", "300ms", "500ms"}} expire = "1h" warn = "0s" }}
route "sink" {{
    to = {{"*"}} via = {{"127.0.0.1:{sink}"}} tls = "none" connections = 10
}}
{more}
"""


def binary(variable="SEALPOST_BIN"):
    path = os.environ.get(variable)
    assert path and os.access(path, os.X_OK), f"set {variable}: scripts/test does"
    return path


def environment(more=None):
    """Ours without the settings, which the relay would take for its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SEALPOST_")}
    return {**kept, **(more or {})}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Relay:
    def __init__(self, folder, ledger, sink_port, program=None, more=""):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.ledger = ledger
        self.program = program or binary()
        self.port = free_port()
        self.process = None
        self.log_path = self.folder / "relay.log"
        self.events = []  # of this start
        self.state.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "relay.conf"
        self.config.write_text(
            CONFIG.format(folder=self.folder, port=self.port, sink=sink_port, more=more)
        )
        self._log = open(self.log_path, "ab+", buffering=0)
        self._read_at = 0

    # --- its life ---

    def launch(self, wrap=(), env=None, log=None):
        """Starts it; it may not be ready yet.  log: where its log goes, if
        not to our file."""
        self._log.write(b"\n")  # behind a line that a kill has cut off
        self.read_log()
        self.events = []
        self.ledger.round += 1
        self.process = subprocess.Popen(
            [*wrap, self.program, "serve", "-c", str(self.config)],
            stdout=log or self._log,
            stderr=log or self._log,
            stdin=subprocess.DEVNULL,
            env=environment(env),
        )

    async def ready(self, timeout=60):
        await self.wait_for("relay.ready", timeout=timeout)

    async def start(self, wrap=(), env=None, timeout=60):
        self.launch(wrap, env)
        await self.ready(timeout)
        return self

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    async def ended(self, timeout=60):
        """The exit code."""
        until = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < until, "it does not end\n" + self.tail()
            await asyncio.sleep(0.01)
        self.read_log()
        return self.process.returncode

    async def kill(self):
        if self.is_up():
            self.process.kill()
        await self.ended()
        # What it had sent before arrives at the sink in this round.
        await asyncio.sleep(0.02)

    async def stop(self, timeout=60):
        """SIGTERM: it must end well."""
        assert self.is_up(), "it died\n" + self.tail()
        self.process.send_signal(signal.SIGTERM)
        code = await self.ended(timeout)
        assert code == 0, f"exit code {code}\n{self.tail()}"

    def close(self):
        if self.is_up():
            self.process.kill()
            self.process.wait()
        self._log.close()

    # --- what it says ---

    def read_log(self):
        data = os.pread(self._log.fileno(), 64 << 20, self._read_at)
        whole = data.rfind(b"\n") + 1
        self._read_at += whole
        for line in data[:whole].splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            self.events.append(event)
            self.ledger.note_log(event)

    def find(self, event, **fields):
        self.read_log()
        return [
            e
            for e in self.events
            if e["event"] == event and all(e.get(k) == v for k, v in fields.items())
        ]

    async def wait_for(self, event, count=1, timeout=60, **fields):
        until = time.monotonic() + timeout
        while len(found := self.find(event, **fields)) < count:
            assert self.is_up(), f"it died before {event}\n{self.tail()}"
            assert time.monotonic() < until, f"no {event}\n{self.tail()}"
            await asyncio.sleep(0.005)
        return found

    def tail(self):
        """What a failure should show; everything stays in a file as well."""
        shutil.copy(self.log_path, "/tmp/sealpost-fault.log")
        return self.log_path.read_bytes()[-3000:].decode(errors="replace")

    def cli(self, *arguments):
        return subprocess.run(
            [self.program, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment(
                {"SEALPOST_CONTROL__SOCKET": str(self.folder / "control.sock")}
            ),
        )

    # --- what it left ---

    def check_database(self):
        """A copy of what is on the disk opens, and is sound."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.state, copy)
        with sqlite3.connect(copy / "queue.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            rows = {
                table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("recipient", "body", "spill")
            }
        db.close()
        return rows
