"""Builds the packages, installs them into a Debian of its own, and makes the
container's image of them, both on one minimal system."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))

from image import Image  # noqa: E402
from lab.world import World  # noqa: E402

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


def build(source, out, **options):
    run(source / "scripts" / "package", out, **options)
    return {p.name.split("_")[0]: p for p in out.glob("*.deb")}


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Built anew, unless SEALPOST_PACKAGES is a folder that has them."""
    ready = os.environ.get("SEALPOST_PACKAGES")
    if ready:
        return {p.name.split("_")[0]: p for p in pathlib.Path(ready).glob("*.deb")}
    return build(TOP, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A minimal Debian 12 as a tar file."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a Debian")
    tar = tmp_path_factory.mktemp("base") / "debian.tar"
    run("mmdebstrap", "--variant=minbase", "bookworm", tar, MIRROR)
    yield tar
    tar.unlink()


class Debian:
    """A minimal system in a folder; commands run inside it, with our network."""

    def __init__(self, folder, base, packages):
        self.root = folder / "root"
        self.root.mkdir()
        run("tar", "--extract", "--file", base, "--directory", self.root)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "--bind", "/dev", self.root / "dev")
        for deb in packages.values():
            shutil.copy(deb, self.root / "tmp")
        self.run("apt-get", "update")
        self.run(
            "apt-get", "install", "-y", "--no-install-recommends",
            "systemd-standalone-sysusers",
            *(f"/tmp/{deb.name}" for deb in packages.values()),
        )

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
def debian(tmp_path_factory, base, packages):
    d = Debian(tmp_path_factory.mktemp("debian"), base, packages)
    yield d
    d.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory, base, packages):
    """The image that etc/container/Dockerfile builds, of these packages."""
    i = Image(tmp_path_factory.mktemp("image"), base, TOP, packages)
    yield i
    i.close()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


@pytest.fixture(scope="session")
def sbom(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sbom")
    run("dpkg-deb", "-x", packages["sealpost"], folder)
    return json.loads((folder / "usr/share/sealpost/sealpost.spdx.json").read_text())


@pytest.fixture
def volume(tmp_path, image):
    """A new volume, as an engine makes it: with the owner and the mode of the
    place in the image."""
    place = image.root / "var/lib/sealpost"
    folder = tmp_path / "volume"
    folder.mkdir()
    os.chmod(folder, place.stat().st_mode & 0o7777)
    os.chown(folder, place.stat().st_uid, place.stat().st_gid)
    return folder


ELSEWHERE = "192.0.2.1"  # an address of that network


@pytest.fixture(scope="session")
def namespace():
    """A network of its own with an address that is not loopback."""
    name = f"sealpost-image-{os.getpid()}"
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "address", "add", f"{ELSEWHERE}/32", "dev", "lo")
    yield name
    run("ip", "netns", "del", name)
