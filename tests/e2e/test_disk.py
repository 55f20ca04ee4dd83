"""A disk without room: 452 to clients, what is queued goes out, and nothing is
lost or sent twice.  The disk is a small tmpfs, in a mount namespace of the
relay's own."""

import os
import pathlib
import time

import pytest

from lab.patience import PATIENCE
from lab.send import Wire, message, waiting

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root mounts a small disk"
)


def relay_on(new_relay, megabytes):
    """The relay, and where its state directory can be reached from here."""
    relay = new_relay(start=False)
    state = relay.config[""]["state_directory"]
    relay.wrap = [
        *("unshare", "-m", "sh", "-c"),
        f'mount -t tmpfs -o size={megabytes}m none {state} && exec "$@"',
        "sh",
    ]
    relay.start()
    return relay, pathlib.Path(f"/proc/{relay.process.pid}/root{state}")


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while f.write(b"\0" * 4096):
                pass
        except OSError:
            pass


def try_to_send(c, rcpt, size):
    """The last code of one transaction."""
    for command in ("MAIL FROM:<a@sender.lab.test>", f"RCPT TO:<{rcpt}>", "DATA"):
        c.send(command.encode() + b"\r\n")
        code, _ = c.read()
        if code >= 400:
            c.say("RSET", 250)
            return code
    c.send(message(body=b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * (size // 72))
    c.send(b".\r\n")
    return c.read()[0]


def test_a_full_disk_stops_new_mail_and_not_what_is_queued(world, new_relay):
    relay, folder = relay_on(new_relay, 128)
    filler = folder / "filler"
    d, host, mids = waiting(world, relay, 20)
    fill(filler)
    with Wire(relay.ip, relay.port) as c:
        codes = [try_to_send(c.ready(), f"n{n}@{d}", 200_000) for n in range(5)]
    assert set(codes) == {452}, codes
    assert "NOT READY FOR MAIL: the disk is nearly full" in relay.cli("status").stdout
    peer = world.peer(host)
    for mid in mids:
        relay.log.one("delivery.sent", mid=mid)
    assert len(world.ledger.of(peer=peer)) == 20
    filler.unlink()
    until = time.monotonic() + PATIENCE
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        while try_to_send(c, f"after@{d}", 1000) != 250:
            assert time.monotonic() < until, "it does not recover"
            time.sleep(0.2)
    world.ledger.one(f"after@{d}")
    assert len(world.ledger.of(peer=peer)) == 21


def test_mail_that_fills_the_disk_is_kept_up_to_the_first_452(world, new_relay):
    relay, _ = relay_on(new_relay, 72)
    d, host, _ = waiting(world, relay)
    codes = []
    with Wire(relay.ip, relay.port) as c:
        c.ready()
        while 452 not in codes and len(codes) < 300:
            codes.append(try_to_send(c, f"n{len(codes)}@{d}", 500_000))
    assert codes[-1] == 452 and set(codes[:-1]) == {250}, codes
    peer = world.peer(host)
    world.ledger.wait(domain=d, count=len(codes), timeout=30)
    got = sorted(r for m in world.ledger.of(peer=peer) for r in m.rcpts)
    sent = [f"n{n}@{d}" for n in range(len(codes) - 1)]
    assert got == sorted([f"u0@{d}", *sent])
