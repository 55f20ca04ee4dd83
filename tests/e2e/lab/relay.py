"""The relay under test: its configuration, its life and its log."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from . import leaks
from .patience import PATIENCE

HOSTNAME = "relay.lab.test"


def binary():
    path = os.environ.get("SEALPOST_BIN")
    if not path:
        path = str(pathlib.Path(__file__).parents[3] / "build" / "sealpost")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there: set SEALPOST_BIN")
    return path


def environment(**more):
    """Ours, without what the relay would take for a setting."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SEALPOST_")}
    # Nobody is trusted but the lab; and a start takes less time.
    return {**kept, "SSL_CERT_FILE": "/dev/null", **more}


def _value(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, (list, tuple)):
        return "{" + ", ".join(_value(x) for x in v) + "}"
    return '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _setting(key, v, indent):
    """A dict is a section within a section."""
    if not isinstance(v, dict):
        return [f"{indent}{key} = {_value(v)}"]
    inner = [_setting(k, x, indent + "  ")[0] for k, x in v.items()]
    return [f"{indent}{key} {{", *inner, f"{indent}}}"]


def config_text(sections):
    """{"": {"hostname": ...}, 'route "a"': {...}} as a configuration file."""
    lines = [f"{k} = {_value(v)}" for k, v in sections.get("", {}).items()]
    for name, keys in sections.items():
        if name:
            lines += [f"{name} {{"]
            for k, v in keys.items():
                lines += _setting(k, v, "  ")
            lines += ["}"]
    return "\n".join(lines) + "\n"


def _merged(base, extra):
    out = {name: dict(keys) for name, keys in base.items()}
    for name, keys in (extra or {}).items():
        out.setdefault(name, {}).update(keys)
    return out


class Log:
    """The lines of the relay's log, as they come."""

    def __init__(self, pipe):
        self.events = []
        self.garbage = []
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe):
        for line in pipe:
            with self._changed:
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    self.garbage.append(line)
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _matching(self, events, fields):
        return [
            e
            for e in self.events
            if e.get("event") in events
            and all(e.get(k) == v for k, v in fields.items())
        ]

    def find(self, event, **fields):
        with self._changed:
            return self._matching((event,), fields)

    def wait(self, event, count=1, timeout=PATIENCE, **fields):
        """The lines, once there are `count` of them with these fields.  event:
        a name, or several of which any will do."""
        events = (event,) if isinstance(event, str) else event
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                found = self._matching(events, fields)
                if len(found) >= count:
                    return found
                left = until - time.monotonic()
                if left <= 0 or self._over:
                    break
                self._changed.wait(left)
        raise AssertionError(self._missed(found, count, event, fields))

    def _missed(self, found, count, event, fields):
        mid = fields.get("mid")
        last = [e for e in self.events if mid in (None, e.get("mid"))][-12:]
        return "\n".join(
            [f"{len(found)} of {count} {event} {fields}; the last lines:"]
            + [str(e) for e in last]
        )

    def one(self, event, timeout=PATIENCE, **fields):
        return self.wait(event, 1, timeout, **fields)[0]

    def join(self):
        self._thread.join(5)


class Relay:
    def __init__(
        self, world, config=None, start=True, wrap=(), folder=None, environ=None
    ):
        """config: sections over those of the lab.  wrap: a command to run it
        under.  folder: what to keep its files in, else a new one."""
        self.world = world
        self.wrap = list(wrap)
        self.environ = environ or {}
        self.pass_fds = ()  # what else it inherits
        self._own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="sealpost-"))
        self.ip = world.address()
        self.port, self.tls_port, self.smtps_port = 2525, 2587, 2465
        self.config = _merged(self._defaults(), config)
        self.process = None
        self.log = None
        self.logs, self.complaints = [], []  # of each start
        self.shown = []  # documents, as long as it ran
        self.secrets = set()
        if start:
            self.start()

    def _defaults(self):
        w = self.world
        return {
            "": {
                "hostname": HOSTNAME,
                "state_directory": str(self.folder / "state"),
                "workers": 2,
            },
            'listener "app"': {"address": f"{self.ip}:{self.port}"},
            'listener "tls"': {
                "address": f"{self.ip}:{self.tls_port}",
                "tls": "starttls",
            },
            'listener "smtps"': {
                "address": f"{self.ip}:{self.smtps_port}",
                "tls": "implicit",
            },
            "tls": {
                "certificate": w.relay_cert.path,
                "key": w.relay_cert.path,
            },
            # Not auto: where the lab's server has no signatures, that would ask
            # the root.
            "resolver": {
                "servers": [f"{w.dns.ip}:{w.dns.port}"],
                "timeout": "4s",
                "dnssec": "off",
            },
            "policy": {
                "https_ca": w.ca.path,
                "https_port": w.policies.port,
                "mx_ca": w.ca.path,
            },
            "delivery": {"port": w.mx_port, "allow_private": True},
            "retry": {"schedule": ["300ms", "500ms", "1s"]},
            "http": {"address": ""},
            "control": {"socket": str(self.folder / "control.sock")},
            "log": {"format": "json"},
        }

    # --- its life ---

    @property
    def config_file(self):
        return self.folder / "sealpost.conf"

    def write_config(self, changes=None):
        self.config = _merged(self.config, changes)
        self.config_file.write_text(config_text(self.config))
        (self.folder / "state").mkdir(exist_ok=True)

    def start(self, ready=True):
        self.write_config()
        self._stderr = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*self.wrap, binary(), "serve", "-c", str(self.config_file)],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=environment(**self.environ),
            pass_fds=self.pass_fds,
        )
        self.log = Log(self.process.stdout)
        self.logs.append(self.log)
        self.secrets |= leaks.of(self)
        if ready:
            try:
                self.log.one("relay.ready")
            except AssertionError as e:
                raise AssertionError(f"{e}\n{self.stderr()}") from None
        return self

    def stderr(self):
        self._stderr.seek(0)
        return self._stderr.read()

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=PATIENCE):
        """The exit code."""
        code = self.process.wait(timeout)
        self.log.join()
        self.complaints.append(self.stderr())
        return code

    def stop(self, timeout=PATIENCE):
        """SIGTERM; it must end well, and quietly."""
        self.signal(signal.SIGTERM)
        code = self.wait(timeout)
        assert code == 0, f"exit code {code}\n{self.stderr()}"
        assert "ERROR: " not in self.stderr(), self.stderr()
        assert not self.log.garbage, self.log.garbage

    def kill(self):
        if self.is_up():
            self.process.kill()
            self.wait()

    def close(self):
        """For fixtures: however it stands, nothing is left behind; and nothing
        secret was shown."""
        try:
            if self.is_up():
                self.look()
                self.stop()
            elif self.process:
                assert "Sanitizer" not in self.stderr(), self.stderr()
            found = self.leaks()
            assert not found, f"secrets are shown: {found}"
        finally:
            self.discard()

    def look(self):
        """Keeps what it shows of itself for `leaks`."""
        self.shown += [*leaks.documents(self), *leaks.checked(self)]

    def leaks(self):
        self.secrets |= leaks.of(self)
        return leaks.leaks(self.secrets, [*self.shown, *leaks.said(self)])

    def discard(self):
        self.kill()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- what it says ---

    def cli(self, *arguments, check=True, **options):
        """A subcommand, told about our control socket by the configuration."""
        verb, *rest = arguments
        done = subprocess.run(
            [binary(), verb, *rest],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(
                SEALPOST_CONTROL__SOCKET=self.config["control"]["socket"]
            ),
            **options,
        )
        assert not check or done.returncode == 0, done
        return done

    def queue(self):
        """What is queued: the messages of `queue list --json`."""
        return json.loads(self.cli("queue", "list", "--json").stdout)
