"""Postfix, an instance of its own that sends: beside the relay, on the same
domains.  Its resolver is the one given, whatever this machine's is."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time

from . import net
from .patience import PATIENCE
from .send import SENDER, message

POSTFIX = "/usr/sbin/postfix"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
multi_instance_name = postfix-lab
myhostname = postfix.lab
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_transport = error:none
alias_maps =
append_dot_mydomain = no
smtputf8_enable = no
smtp_host_lookup = dns
smtp_dns_support_level = dnssec
smtp_tls_security_level = dane
smtp_tls_loglevel = 1
default_destination_concurrency_limit = 20
"""

MASTER = """
{ip}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - 20 smtp
error unix - - n - - error
discard unix - - n - - discard
retry unix - - n - - error
showq unix n - n - - showq
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

# /etc/resolv.conf is bound over for Postfix alone.
START = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3" start-fg'


class Postfix:
    def __init__(self, resolver, port=2525, sasl=None, **settings):
        """settings: lines of main.cf, instead of ours or beside them."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-postfix-"))
        self.folder.chmod(0o755)
        self.ip, self.port = net.address(), port
        self.log = self.folder / "log"
        config = self.folder / "etc"
        config.mkdir()
        main = MAIN.format(folder=self.folder).lstrip().splitlines()
        main = [x for x in main if x.partition(" =")[0] not in settings]
        main += [f"{k} = {v}" for k, v in settings.items()]
        master = MASTER.format(ip=self.ip, port=self.port).lstrip()
        (config / "main.cf").write_text("\n".join(main) + "\n")
        if sasl:  # Debian's looks nowhere else
            (config / "sasl").mkdir()
            (config / "sasl" / "smtpd.conf").write_text(sasl)
        (config / "master.cf").write_text(master)
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {resolver.ip}\noptions edns0 trust-ad\n")
        (self.folder / "queue").mkdir()
        (self.folder / "data").mkdir()
        user = pwd.getpwnam("postfix")
        os.chown(self.folder / "data", user.pw_uid, user.pw_gid)
        self._said = open(self.folder / "said", "w+")
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", START, "sh"]
            + [str(resolv), POSTFIX, str(config)],
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
                    raise AssertionError(f"Postfix does not start: {said}") from None
                time.sleep(0.05)

    def lines(self):
        return self.log.read_text() if self.log.exists() else ""

    def submit(self, *rcpts):
        """Each a message of its own."""
        with smtplib.SMTP(self.ip, self.port, "client.lab.test", 30) as c:
            for rcpt in rcpts:
                c.sendmail(SENDER, [rcpt], message())

    def tool(self, program, *words):
        """What one of its commands says."""
        done = subprocess.run(
            [f"/usr/sbin/{program}", "-c", str(self.folder / "etc"), *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done
        return done.stdout

    def wait(self, rcpt):
        """What became of it: "sent" or "deferred", and the reason."""
        return self.wait_for_line(
            rf" to=<{re.escape(rcpt)}>.* status=(\w+) \((.*)\)"
        ).groups()

    def wait_for_line(self, pattern):
        """Of its log: the match."""
        until = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, self.lines())
            if found:
                return found
            assert time.monotonic() < until, self.lines()[-3000:]
            time.sleep(0.05)

    def trust(self, peer):
        """What it says of TLS to this host: Verified, Trusted, Untrusted,
        Anonymous; None in clear."""
        address = re.escape(f"[{peer.ip}]:{peer.port}")
        found = re.findall(rf"(\w+) TLS connection established to \S*{address}",
                           self.lines())
        return found[-1] if found else None

    def _groups(self):
        """Ours, and that of its master, which leaves ours."""
        pid = self.folder / "queue" / "pid" / "master.pid"
        master = [int(pid.read_text())] if pid.exists() else []
        return [*master, self._process.pid]

    def stop(self):
        """Its files stay."""
        for group in self._groups():
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait(10)

    def close(self):
        self.stop()
        self._said.close()
        shutil.rmtree(self.folder, ignore_errors=True)
