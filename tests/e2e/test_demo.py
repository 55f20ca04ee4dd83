"""The demonstration that scripts/run --demo is."""

import pathlib
import subprocess
import sys

import pytest

DEMO = pathlib.Path(__file__).with_name("demo.py")
NO_NETWORK = 77


def test_the_demo_shows_each_domain_treated_as_it_must_be():
    done = subprocess.run(
        [sys.executable, str(DEMO)], capture_output=True, text=True, timeout=120
    )
    if done.returncode == NO_NETWORK:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done
    assert "NO\n" not in done.stdout
    assert "REPORTS ABOUT TLS" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
