import shutil
import tempfile

import pytest


@pytest.fixture
def folder():
    """Not pytest's own: a socket's path has to be short."""
    path = tempfile.mkdtemp(prefix="fault-")
    yield path
    shutil.rmtree(path, ignore_errors=True)
