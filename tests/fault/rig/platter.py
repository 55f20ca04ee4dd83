"""A disk as a power cut leaves it.

It is fed with a trace.  What was synced is on it; of the rest of what had been
written, each 512 octets may be or not be, whatever their order, and so may each
change of a name that no sync of the directory has followed."""

import os
import pathlib

SECTOR = 512
# Of what was not synced: nothing, all, some of the calls, some of the sectors.
MODES = ("drop", "keep", "subset", "torn")


class Image:
    """Octets, and zeros behind them up to the size."""

    def __init__(self, data=b"", size=0):
        self.data = bytearray(data)
        self.size = size

    def copy(self):
        return Image(self.data, self.size)

    def apply(self, kind, at, data):
        if kind == "w":
            if at > len(self.data):
                self.data.extend(bytes(at - len(self.data)))
            self.data[at : at + len(data)] = data
            self.size = max(self.size, at + len(data))
        elif kind == "t":
            del self.data[at:]
            self.size = at
        else:
            self.size = max(self.size, at)

    def is_same(self, octets):
        return (
            len(octets) == self.size
            and octets.startswith(self.data)
            and octets.count(0, len(self.data)) == self.size - len(self.data)
        )


class File:
    def __init__(self, image=None):
        self.kept = image or Image()
        self.pending = []  # (kind, at, data) of what no sync has followed

    def sync(self):
        for change in self.pending:
            self.kept.apply(*change)
        self.pending.clear()

    def after(self, mode, rng):
        image = self.kept.copy()
        if mode == "drop":
            return image
        chance = rng.choice((0.1, 0.5, 0.9))
        for kind, at, data in self.pending:
            if mode == "torn" and kind == "w":
                tear(image, at, data, rng, chance)
            elif mode == "keep" or rng.random() < chance:
                image.apply(kind, at, data)
        return image


def tear(image, at, data, rng, chance):
    begin = 0
    while begin < len(data):
        end = begin + SECTOR - (at + begin) % SECTOR
        if rng.random() < chance:
            image.apply("w", at + begin, data[begin:end])
        begin = end


def rename(names, kind, name, other):
    """`other`: the file, or the new name."""
    if kind == "l":
        names[name] = other
    elif name in names:
        file = names.pop(name)
        if kind == "r":
            names[other] = file


class Platter:
    """`images`: what it holds at first.  `lies_about`: for which names it says
    that it has synced them and has not; "" is the directory."""

    def __init__(self, images=None, lies_about=lambda name: False):
        self.kept = {name: File(image) for name, image in (images or {}).items()}
        self.names = dict(self.kept)  # as the system shows them
        self.pending = []  # changes of names
        self.files = {}  # by their inodes
        self.lies_about = lies_about

    def feed(self, record):
        r = record
        if r.kind in "wta":
            self._file(r).pending.append((r.kind, r.at, r.data))
        elif r.kind == "l":
            self.files[r.inode] = File()
            self._rename("l", r.name, self.files[r.inode])
        elif r.kind in "ur":
            self._rename(r.kind, r.name, r.data.decode())
        elif r.kind == "s" and not self.lies_about(r.name):
            self._file(r).sync()
        elif r.kind == "f":
            self._file(r).pending.clear()
        elif r.kind == "d" and not self.lies_about(""):
            self.kept = dict(self.names)
            self.pending.clear()

    def _file(self, r):
        if r.inode not in self.files:
            self.files[r.inode] = self.names[r.name]
        return self.files[r.inode]

    def _rename(self, *change):
        rename(self.names, *change)
        self.pending.append(change)

    def _names_after(self, mode, rng):
        names = dict(self.kept)
        if mode == "drop":
            return names
        changes = self.pending
        if mode == "subset":  # as a file system with a journal does it
            changes = changes[: rng.randint(0, len(changes))]
        for change in changes:
            if mode != "torn" or rng.random() < 0.5:
                rename(names, *change)
        return names

    def after_cut(self, mode, rng):
        """The images by name.  The platter itself goes on as it was."""
        names = self._names_after(mode, rng)
        return {name: file.after(mode, rng) for name, file in sorted(names.items())}


def write_images(images, directory):
    directory = pathlib.Path(directory)
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        if path.name not in images:
            path.unlink()
    for name, image in images.items():
        fd = os.open(directory / name, os.O_RDWR | os.O_CREAT, 0o600)
        with open(fd, "wb", buffering=0) as f:
            f.write(image.data)
            f.truncate(len(image.data))
            f.truncate(image.size)
