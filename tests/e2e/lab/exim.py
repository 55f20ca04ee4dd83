"""Exim, as a next hop that wants AUTH.

Debian's packages of mail servers exclude each other, so its files are taken out
of the package once and kept beside those of npm.  It insists on a user of its
own, which it finds in a list of users bound over for it alone.
"""

import os
import pathlib
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time

from . import net
from .npm import folder
from .patience import PATIENCE

USER = "Debian-exim"
UID = 64999

CONFIG = """
primary_hostname = exim.lab.test
local_interfaces = <; {ip}.{port}
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
pid_file_path = {folder}/pid
exim_user = {user}
exim_group = {user}
never_users =
keep_environment =
queue_only = true
host_lookup =
rfc1413_hosts =
tls_advertise_hosts = *
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/cert.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = rcpt
acl_smtp_data = accept

begin acl
rcpt:
  accept authenticated = *
  deny message = 5.7.0 authentication is needed

begin routers
all:
  driver = accept
  transport = file

begin transports
file:
  driver = appendfile
  file = {folder}/mail
  user = {user}
  create_directory = false

begin authenticators
{mechanisms}
"""

PLAIN = """plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{secret}}}}}}}}}
  server_set_id = $auth2
"""

LOGIN = """login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{secret}}}}}}}}}
  server_set_id = $auth1
"""

START = (
    'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group'
    ' && exec "$2" -C "$1/config" -bdf'
)


def binary():
    where = folder() / "exim"
    found = where / "usr" / "sbin" / "exim4"
    if found.exists():
        return found
    where.mkdir(parents=True, exist_ok=True)
    for words in (
        ["apt-get", "download", "-qq", "exim4-daemon-heavy"],
        ["sh", "-c", "dpkg -x exim4-daemon-heavy_*.deb ."],
    ):
        done = subprocess.run(words, cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, f"Exim can't be had:\n{done.stderr}"
    return found


class Exim:
    def __init__(self, cert, user, secret, mechanisms=(PLAIN, LOGIN)):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-exim-"))
        self.folder.chmod(0o755)
        self.ip, self.port = net.address(), net.free_port()
        (self.folder / "config").write_text(
            CONFIG.format(
                folder=self.folder,
                ip=self.ip,
                port=self.port,
                user=USER,
                mechanisms="\n".join(
                    m.format(user=user, secret=secret) for m in mechanisms
                ),
            )
        )
        shutil.copy(cert.path, self.folder / "cert.pem")
        (self.folder / "spool").mkdir()
        for name, line in (
            ("passwd", f"{USER}:x:{UID}:{UID}::/:/bin/false\n"),
            ("group", f"{USER}:x:{UID}:\n"),
        ):
            there = pathlib.Path("/etc", name).read_text()
            (self.folder / name).write_text(there + line)
        for path in (self.folder, self.folder / "spool", self.folder / "cert.pem"):
            os.chown(path, UID, UID)
        self._said = open(self.folder / "said", "w+")
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", START, "sh"]
            + [str(self.folder), str(binary())],
            stdout=self._said,
            stderr=self._said,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait()

    def _wait(self):
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with smtplib.SMTP(self.ip, self.port, timeout=5):
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    said = (self.folder / "said").read_text() + self.lines()
                    self.close()
                    raise AssertionError(f"Exim does not start: {said}") from None
                time.sleep(0.05)

    def lines(self):
        return "".join(p.read_text() for p in sorted(self.folder.glob("log-*")))

    def wait(self, words):
        until = time.monotonic() + PATIENCE
        while words not in self.lines():
            assert time.monotonic() < until, self.lines()[-3000:]
            time.sleep(0.05)

    def close(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._said.close()
        shutil.rmtree(self.folder, ignore_errors=True)
