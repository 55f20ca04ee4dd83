"""The lab is built once; most tests share one relay, each with domains of its
own.  A test that wants another configuration takes `new_relay`."""

import pytest

from lab.world import World


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: worth a run under TSan")
    config.addinivalue_line("filterwarnings", "ignore:ssl.TLSVersion:DeprecationWarning")
    config.addinivalue_line("markers", "crash: takes longer than the rest")


@pytest.fixture(scope="session")
def world():
    w = World()
    yield w
    w.close()


@pytest.fixture(scope="session")
def shared_relay(world):
    r = world.relay()
    yield r
    r.close()


@pytest.fixture
def relay(shared_relay):
    assert shared_relay.is_up(), "the relay died\n" + shared_relay.stderr()
    yield shared_relay
    assert shared_relay.is_up(), "the relay died\n" + shared_relay.stderr()


@pytest.fixture
def new_relay(world):
    made = []

    def make(config=None, **options):
        made.append(world.relay(config, **options))
        return made[-1]

    yield make
    for r in made:
        r.close()
