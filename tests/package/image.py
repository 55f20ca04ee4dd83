"""The container's image, built by buildah and run without an engine.

What an engine would do is done by hand: a namespace for mounts and one for
processes, the image's root bound read-only, the volume bound over its place,
and the entry point started as the user who is wanted.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

NAME = "localhost/sealpost:test"

# ROOT USER:GROUP [SOURCE PLACE]... -- COMMAND...
ENTER = """
set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
while [ "$1" != -- ]; do
    [ ! -d "$1" ] || mkdir -p "$root/$2"
    mount --bind "$1" "$root/$2"
    shift 2
done
shift
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""


def call(*command, **options):
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, f"{command}:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


class Image:
    def __init__(self, folder, base, source, packages):
        self.folder = folder
        self.driver = "overlay"
        try:
            self._import(base)
        except AssertionError:
            self.driver = "vfs"
            self._import(base)
        self._build(self._context(source), packages["sealpost"].parent)
        self.about = json.loads(self.buildah("inspect", "--type", "image", NAME))
        self.config = self.about["Docker"]["config"]
        self.container = self.buildah("from", "--pull-never", NAME).strip()
        self.root = pathlib.Path(self.buildah("mount", self.container).strip())

    def buildah(self, *words):
        return call(
            "buildah",
            "--root", self.folder / f"store-{self.driver}",
            "--runroot", self.folder / f"run-{self.driver}",
            "--storage-driver", self.driver,
            *words,
        )

    def _import(self, base):
        empty = self.buildah("from", "scratch").strip()
        self.buildah("add", "-q", empty, base, "/")
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.buildah("config", "--env", path, empty)
        self.buildah("commit", "-q", "--rm", empty, "localhost/debian:12-slim")

    def _context(self, source):
        """The repository, as far as the image is made of it."""
        context = self.folder / "context"
        names = ("etc/container", ".dockerignore")
        for name in call("git", "-C", source, "ls-files", *names).split():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, context / name)
        return context

    def _build(self, context, packages):
        self.log = self.buildah(
            "build", "--isolation", "chroot", "--format", "docker",
            "--network", "host", "--pull-never", "--timestamp", "0",
            "--build-context", f"packages={packages}",
            "--build-arg", "REVISION=0123456789ab",
            "-t", NAME, "-f", context / "etc/container/Dockerfile", context,
        )  # fmt: skip

    def close(self):
        self.buildah("rm", "--all")
        shutil.rmtree(self.folder, ignore_errors=True)


class Container:
    """One run of an image.  user: "UID:GID"; volume: a folder of ours;
    namespace: the name of a network namespace, else this machine's; mounts:
    place in the image -> file or folder of ours."""

    def __init__(
        self, image, user, volume, environment=None, namespace=None, mounts=None
    ):
        self.image, self.user = image, user
        self.mounts = {"/var/lib/sealpost": volume} | (mounts or {})
        self.environment = dict(word.split("=", 1) for word in image.config["Env"])
        self.environment.update(environment or {})
        self.enter = (
            ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
        )
        words = image.config["Entrypoint"] + image.config["Cmd"]
        self.process = subprocess.Popen(
            self._unshare(words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _unshare(self, words):
        pairs = [str(w) for place, source in self.mounts.items() for w in (source, place)]
        return [
            *self.enter,
            "unshare", "--mount", "--pid", "--ipc", "--fork",
            "sh", "-c", ENTER, "enter",
            str(self.image.root), self.user, *pairs, "--", *words,
        ]  # fmt: skip

    @property
    def pid(self):
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return int(pathlib.Path(children).read_text().split()[0])

    def execute(self, *words, **options):
        """As `docker exec` does."""
        uid, gid = self.user.split(":")
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-r"]
            + ["-S", uid, "-G", gid, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            **options,
        )

    def wait_until_healthy(self):
        words = self.image.config["Healthcheck"]["Test"]
        assert words[0] == "CMD"
        end = time.monotonic() + 60
        while True:
            try:
                done = self.execute(*words[1:])
                if done.returncode == 0:
                    return
            except (OSError, IndexError):
                done = None
            if self.process.poll() is not None or time.monotonic() > end:
                out = self.kill()
                raise AssertionError(f"{done}\n{out}")
            time.sleep(0.1)

    def stop(self):
        """As an engine does; gives the exit status and what it has said."""
        os.kill(self.pid, getattr(signal, self.image.config["StopSignal"]))
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out

    def kill(self):
        """The first process of the namespace takes all others with it."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        return self.process.communicate(timeout=60)[0]
