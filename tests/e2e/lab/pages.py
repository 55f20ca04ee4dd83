"""Commands and configurations that stand in a document, run as they stand.

    page = Page("etc/runbook.md")
    page.run("Disk full", relay, ID=mid, **{"example.org": domain})

A block that begins with `# stopped` is run while the relay is not.  `# exits 0
or 1` behind a command says with what it may end, where that is not 0."""

import os
import pathlib
import re
import subprocess

from .relay import binary, environment

TOP = pathlib.Path(__file__).parents[3]
OWN_CONFIG = ("version", "completion")  # commands that read none


class Page:
    def __init__(self, path):
        self.text = (TOP / path).read_text()

    def section(self, heading):
        (text,) = [
            s
            for s in re.split(r"^##+ ", self.text, flags=re.M)
            if s.startswith(heading + "\n")
        ]
        return text

    def blocks(self, heading, kind="sh"):
        return re.findall(rf"^```{kind}\n(.*?)^```$", self.section(heading), re.M | re.S)

    def run(self, heading, relay, blocks=None, **words):
        """All blocks, or those with these numbers; gives what each command said."""
        found = self.blocks(heading)
        said = []
        for block in found if blocks is None else [found[n] for n in blocks]:
            stopped = block.startswith("# stopped\n")
            if stopped and relay.is_up():
                relay.stop()
            elif not stopped and not relay.is_up():
                relay.start()
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#"):
                    said.append(run_line(line, relay, words))
        return said


def run_line(line, relay, words):
    command, _, remark = line.partition("  #")
    codes = [int(n) for n in re.findall(r"\d+", remark)] if "exits" in remark else [0]
    for there, here in {**places(relay), **words}.items():
        command = re.sub(rf"(?<![\w.-]){re.escape(there)}(?![\w-])", str(here), command)
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True, text=True, timeout=60, cwd=relay.folder,
        env=environment(
            PATH=f"{program(relay)}:{os.environ['PATH']}", NEW_PASSWORD="a new one"
        ),
    )
    assert done.returncode in codes, (command, done)
    return done.stdout + done.stderr


def places(relay):
    return {
        "/var/lib/sealpost": relay.config[""]["state_directory"],
        "/etc/sealpost": relay.folder,
        "/var/backups": relay.folder / "backups",
    }


def program(relay):
    """A folder with `sealpost`, which reads the configuration of the relay."""
    folder = relay.folder / "bin"
    folder.mkdir(exist_ok=True)
    (relay.folder / "backups").mkdir(exist_ok=True)
    script = folder / "sealpost"
    ours, config = os.path.abspath(binary()), f"--config {relay.config_file}"
    script.write_text(
        "#!/bin/sh\n"
        "case $1 in\n"
        f'{"|".join(OWN_CONFIG)}) exec {ours} "$@" ;;\n'
        f'send) shift; exec {ours} send {config} "$@" ;;\n'
        f'*) exec {ours} "$@" {config} ;;\n'
        "esac\n"
    )
    script.chmod(0o755)
    return folder
