"""The lab is built once; most tests share one relay, each with domains of its
own.  A test that wants another configuration takes `new_relay`."""

import pathlib

import pytest

from lab.conformance import Table
from lab.island import Island
from lab.signed_world import SignedWorld
from lab.world import World


def pytest_addoption(parser):
    parser.addoption("--conformance", metavar="FILE", help="writes the table there")
    parser.addoption("--table", action="store_true", help="prints it")


def pytest_configure(config):
    config.conformance = Table()
    config.addinivalue_line(
        "markers", "conformance(clause, case, expected): see lab/conformance.py"
    )
    config.addinivalue_line("markers", "threads: worth a run under TSan")
    config.addinivalue_line("filterwarnings", "ignore:ssl.TLSVersion:DeprecationWarning")
    config.addinivalue_line("markers", "crash: takes longer than the rest")


def pytest_collection_finish(session):
    for item in session.items:
        session.config.conformance.add(item)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return pyfuncitem.config.conformance.run(pyfuncitem) or None


def pytest_terminal_summary(terminalreporter, config):
    where = config.getoption("--conformance")
    if where:
        pathlib.Path(where).write_text(config.conformance.page())
    if config.getoption("--table"):
        terminalreporter.write_line(config.conformance.screen())


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


@pytest.fixture(scope="session")
def island():
    try:
        here = Island()
    except PermissionError:
        pytest.skip("only root may make a network namespace")
    yield here
    here.close()


@pytest.fixture(scope="session")
def signed_once(island):
    with island:
        w = SignedWorld()
    yield w
    with island:
        w.close()


@pytest.fixture
def signed(island, signed_once):
    """The world with a signed root; the test runs where it is."""
    with island:
        yield signed_once


@pytest.fixture
def signed_relay(signed):
    """Makes relays there: signed_relay("validate", {"policy": ...})."""
    made = []

    def make(way="trust", config=None, **options):
        made.append(signed.relay(config, way=way, **options))
        return made[-1]

    yield make
    for r in made:
        r.close()
