import shutil
import tempfile

import pytest

# A program of its own, which ctest runs.
collect_ignore = ["store_test.py"]


@pytest.fixture
def folder():
    """Not pytest's own: a socket's path has to be short."""
    path = tempfile.mkdtemp(prefix="fault-")
    yield path
    shutil.rmtree(path, ignore_errors=True)
