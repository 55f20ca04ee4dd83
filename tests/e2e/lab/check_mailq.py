"""check_mailq of the Monitoring Plugins, out of Debian's package and not
installed: its other half would pull half of a monitoring system in."""

import shlex
import subprocess

from .npm import folder
from .relay import environment

# What it takes from a file of the package that it does not need otherwise.
UTILS = """
package utils;
use Exporter; our @ISA = ("Exporter");
our @EXPORT_OK = qw(%ERRORS &print_revision &support &usage);
our %ERRORS = (OK => 0, WARNING => 1, CRITICAL => 2, UNKNOWN => 3);
our $TIMEOUT = 15;
our $PATH_TO_MAILQ = "@MAILQ@";
sub print_revision {} sub support {} sub usage {}
1;
"""


def plugin():
    where = folder() / "monitoring"
    found = where / "usr/lib/nagios/plugins/check_mailq"
    if not found.exists():
        where.mkdir(parents=True, exist_ok=True)
        for words in (
            ["apt-get", "download", "-qq", "monitoring-plugins-standard"],
            ["sh", "-c", "dpkg -x monitoring-plugins-standard_*.deb ."],
        ):
            done = subprocess.run(words, cwd=where, capture_output=True, text=True)
            assert done.returncode == 0, f"check_mailq can't be had:\n{done.stderr}"
    return found


def check(scratch, command, warning, critical):
    """Its exit code and what it says of the queue that `command` prints."""
    mailq = scratch / "mailq"
    line = " ".join(shlex.quote(str(w)) for w in command)
    mailq.write_text(f"#!/bin/bash\nexec -a mailq {line}\n")
    mailq.chmod(0o755)
    (scratch / "check_mailq").write_text(plugin().read_text())
    (scratch / "utils.pm").write_text(UTILS.replace("@MAILQ@", str(mailq)))
    done = subprocess.run(
        ["perl", scratch / "check_mailq", "-M", "postfix", "-w", str(warning)]
        + ["-c", str(critical)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    return done.returncode, done.stdout
