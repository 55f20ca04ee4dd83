"""Packages of npm that tests send mail with, kept between runs."""

import os
import pathlib
import subprocess

PACKAGES = {"nodemailer": "6.9.16", "mailauth": "4.8.6"}


def folder():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "sealpost-e2e"


def environment():
    """For node: where the packages are, once they are there."""
    where = folder()
    for name, version in PACKAGES.items():
        if (where / "node_modules" / name / "package.json").exists():
            continue
        where.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-save"]
            + ["--prefix", str(where), f"{name}@{version}"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"npm can't install {name}:\n{done.stderr}"
    return {**os.environ, "NODE_PATH": str(where / "node_modules")}
