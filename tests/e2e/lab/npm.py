"""Packages of npm that tests send mail and drive a browser with, kept between
runs."""

import fcntl
import json
import os
import pathlib
import subprocess

PACKAGES = {
    "nodemailer": "6.9.16",
    "smtp-server": "3.21.6",
    "mailauth": "4.8.6",
    "playwright-core": "1.65.1",
    "axe-core": "4.14.1",
    "mailparser": "3.7.2",
    "@seriousme/openapi-schema-validator": "2.11.0",
    "standardwebhooks": "1.0.0",
}


def folder(name="sealpost-e2e"):
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / name


def _is_there(where, name, version):
    about = where / "node_modules" / name / "package.json"
    return about.exists() and json.loads(about.read_text())["version"] == version


def install(where, packages):
    """All at once, as npm takes away what it was not asked for."""
    where.mkdir(parents=True, exist_ok=True)
    with open(where / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(_is_there(where, *p) for p in packages.items()):
            done = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--no-save"]
                + ["--prefix", str(where)]
                + [f"{name}@{version}" for name, version in packages.items()],
                capture_output=True,
                text=True,
                timeout=180,
            )
            assert done.returncode == 0, f"npm can't install them:\n{done.stderr}"
    return where


def environment():
    """For node: where the packages are, once they are there."""
    where = install(folder(), PACKAGES)
    return {**os.environ, "NODE_PATH": str(where / "node_modules")}
