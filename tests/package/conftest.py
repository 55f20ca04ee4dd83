"""Builds the packages twice and installs them into a Debian of its own."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))

MIRROR = "http://deb.debian.org/debian"


def run(*command, **options):
    done = subprocess.run(
        [str(c) for c in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}"
    return done.stdout


def build(source, out):
    run(source / "scripts" / "package", out)
    return {p.name.split("_")[0]: p for p in out.glob("*.deb")}


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    return build(TOP, tmp_path_factory.mktemp("first"))


class Debian:
    """A minimal system in a folder; commands run inside it, with our network."""

    def __init__(self, folder, packages):
        self.root = folder / "root"
        debs = [str(p) for p in packages.values()]
        names = " ".join("/tmp/" + pathlib.Path(d).name for d in debs)
        run(
            "mmdebstrap",
            "--variant=minbase",
            "--customize-hook=copy-in " + " ".join(debs) + " /tmp",
            '--customize-hook=chroot "$1" apt-get install -y '
            f"--no-install-recommends {names}",
            "bookworm",
            self.root,
            MIRROR,
        )
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "--bind", "/dev", self.root / "dev")

    def command(self, *words, user=None):
        spec = [f"--userspec={user}"] if user else []
        return ["chroot", *spec, str(self.root), *map(str, words)]

    def run(self, *words, user=None, **options):
        return run(*self.command(*words, user=user), env=environment(), **options)

    def close(self):
        """Nothing of this machine may be mounted there when it is removed."""
        for name in ("dev", "proc"):
            run("umount", self.root / name)
        shutil.rmtree(self.root)


def environment():
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}


@pytest.fixture(scope="session")
def debian(tmp_path_factory, packages):
    if os.geteuid() != 0:
        pytest.skip("only root may make a Debian")
    d = Debian(tmp_path_factory.mktemp("debian"), packages)
    yield d
    d.close()
