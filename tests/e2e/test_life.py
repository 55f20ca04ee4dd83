"""Start, reload, drain, crash."""

import signal
import subprocess
import time

import pytest

from lab import script as s
from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import Wire, message, submit, waiting


# --- restarts ---


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_was_queued_is_delivered_by_the_next_relay(world, new_relay, how):
    relay = new_relay()
    d, host, mids = waiting(world, relay, 20)
    relay.log.one("delivery.deferred", mid=mids[0])
    getattr(relay, how)()
    world.peer(host)
    relay.start()
    got = world.ledger.wait(domain=d, count=20)
    assert sorted(r for m in got for r in m.rcpts) == sorted(
        f"u{n}@{d}" for n in range(20)
    )
    assert submit(relay, f"u0@{d}") not in mids


def test_what_was_delivered_is_not_delivered_again(world, new_relay):
    relay = new_relay()
    d = world.domain(world.peer())
    mids = [submit(relay, f"u{n}@{d}") for n in range(10)]
    for mid in mids:
        relay.log.one("delivery.sent", mid=mid)
    relay.kill()
    relay.start()
    submit(relay, f"last@{d}")
    world.ledger.one(f"last@{d}")
    assert len(world.ledger.of(domain=d)) == 11


def test_a_large_message_survives_kill_9(world, new_relay):
    relay = new_relay()
    host = f"mx.{world.name()}"
    world.dns.put(host, "A", world.address(), ttl=1)
    d = world.domain(host, ttl=1)
    data = message(body=b"".join(b"%06d\r\n" % i for i in range(200000)))
    submit(relay, f"bob@{d}", data=data)
    relay.kill()
    world.peer(host)
    relay.start()
    assert world.ledger.one(domain=d).data.endswith(data)


# --- drain ---


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_no_signal_spoils_the_end(new_relay, number):
    relay = new_relay()
    relay.signal(signal.SIGTERM)
    while relay.process.poll() is None:
        relay.signal(number)
        time.sleep(0.002)
    assert relay.process.returncode == 0
    relay.log.join()
    assert relay.log.find("drain", state="done")


def test_sigterm_lets_a_message_under_way_come_in_whole(world, new_relay):
    relay = new_relay()
    host = f"mx.{world.name()}"
    d = world.domain(host)
    data = message()
    with Wire(relay.ip, relay.port) as c, Wire(relay.ip, relay.port) as idle:
        idle.ready()
        c.data(f"bob@{d}")
        c.send(data[:50])
        relay.signal(signal.SIGTERM)
        idle.expect(421, "4.3.2")
        idle.expect_end()
        c.send(data[50:] + b".\r\n")
        c.expect(250)
        c.expect(421, "4.3.2")
        c.expect_end()
    assert relay.wait() == 0
    world.peer(host)
    relay.start()
    assert world.ledger.one(domain=d).data.endswith(data)


def test_sigterm_waits_for_the_reply_to_a_dot(world, new_relay):
    relay = new_relay()
    peer = world.peer()
    peer.delay = 0.5
    d = world.domain(peer)
    submit(relay, f"bob@{d}")
    until = time.monotonic() + PATIENCE
    while not any(c.startswith("RCPT") for c in peer.commands):
        assert time.monotonic() < until
        time.sleep(0.01)
    relay.stop()
    assert len(world.ledger.of(domain=d)) == 1
    assert relay.log.find("delivery.sent", to=f"bob@{d}")
    relay.start()
    submit(relay, f"next@{d}")
    world.ledger.one(f"next@{d}")
    assert len(world.ledger.of(f"bob@{d}")) == 1


def test_sigterm_ends_within_ten_seconds_whatever_peers_do(world, new_relay):
    relay = new_relay()
    peer = world.scripted([*s.OPEN, *s.MAIL, s.Sleep(30)], [*s.ACCEPT])
    d = world.domain(peer)
    submit(relay, f"bob@{d}")
    with Wire(relay.ip, relay.port) as c:
        c.data(f"other@{d}")
        c.send(b"half a message")
        while not peer.connections:  # else it would not be begun any more
            time.sleep(0.01)
        began = time.monotonic()
        relay.signal(signal.SIGTERM)
        assert relay.wait() == 0
    assert time.monotonic() - began < 14
    relay.start()
    relay.log.one("delivery.sent", to=f"bob@{d}")


def test_a_second_sigterm_ends_it_at_once(world, new_relay):
    relay = new_relay()
    peer = world.scripted([*s.OPEN, *s.MAIL, s.Sleep(30)])
    submit(relay, f"bob@{world.domain(peer)}")
    with Wire(relay.ip, relay.port) as c:
        c.data("x@y.test")
        relay.signal(signal.SIGTERM)
        relay.log.one("drain")
        began = time.monotonic()
        relay.signal(signal.SIGTERM)
        assert relay.wait() == 0
        assert time.monotonic() - began < 6


def test_while_draining_nobody_new_comes_in(world, new_relay):
    relay = new_relay()
    with Wire(relay.ip, relay.port) as c:
        c.data("x@y.test")
        relay.signal(signal.SIGTERM)
        relay.log.one("drain")
        with pytest.raises(OSError):
            with Wire(relay.ip, relay.port, greeting=None) as late:
                if late.read() is None:
                    raise ConnectionRefusedError
        c.send(b"quick\r\n.\r\n")
        c.expect(250)
    assert relay.wait() == 0


def test_signals_of_those_who_rotate_logs_end_nothing(world, relay):
    relay.signal(signal.SIGUSR1)
    relay.signal(signal.SIGUSR2)
    d = world.domain(world.peer())
    submit(relay, f"bob@{d}")
    world.ledger.one(domain=d)


# --- reload ---


def test_sighup_takes_a_new_configuration_without_losing_a_session(
    world, new_relay
):
    relay = new_relay()
    d = world.domain(world.peer())
    ip = world.address()
    with Wire(relay.ip, relay.port) as c:
        c.data(f"bob@{d}")
        relay.write_config(
            {
                'listener "more"': {"address": f"{ip}:2526"},
                "access": {"recipient_domains": ["only.test"]},
            }
        )
        relay.signal(signal.SIGHUP)
        relay.log.one("config.reload", result="ok")
        c.send(message() + b".\r\n")
        c.expect(250)
    world.ledger.one(domain=d)
    with Wire(ip, 2526) as c:
        c.ready().say("MAIL FROM:<a@b.test>", 250)
        c.send(f"RCPT TO:<bob@{d}>\r\n".encode())
        assert c.read()[0] in (550, 554)


def test_sighup_with_a_faulty_configuration_changes_nothing(world, new_relay):
    relay = new_relay()
    d = world.domain(world.peer())
    good = relay.config_file.read_text()
    for fault, words in (
        ("retri { expire = 1d }\n", "retri"),
        ('mode = "alive"\n', "mode"),
        ("}{", ""),
        (good.replace(relay.world.relay_cert.path, "/nowhere.pem"), "nowhere"),
    ):
        seen = len(relay.log.find("config.reload"))
        relay.config_file.write_text(fault if "listener" in fault else good + fault)
        relay.signal(signal.SIGHUP)
        line = relay.log.wait("config.reload", count=seen + 1)[-1]
        assert "result" not in line and words in line["error"], line
        rcpt = f"u{seen}@{d}"
        submit(relay, rcpt)
        world.ledger.one(rcpt)


def test_a_renewed_certificate_is_used_after_sighup(world, new_relay):
    relay = new_relay()

    def serial():
        with Wire(relay.ip, relay.tls_port) as c:
            c.ready().say("STARTTLS", 220)
            return c.start_tls().sock.getpeercert(binary_form=True)

    before = serial()
    cert = world.ca.good("relay.lab.test").path
    relay.write_config({"tls": {"certificate": cert, "key": cert}})
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    assert serial() != before


# --- two of them, and wrong configurations ---


def test_a_second_relay_on_the_same_state_is_refused_with_the_pid(world, new_relay):
    relay = new_relay()
    second = new_relay(start=False)
    second.config[""]["state_directory"] = relay.config[""]["state_directory"]
    second.start(ready=False)
    assert second.wait() in (75, 78)
    assert str(relay.process.pid) in second.stderr()
    d = world.domain(world.peer())
    submit(relay, f"bob@{d}")
    world.ledger.one(domain=d)


def test_a_port_that_is_taken_stops_the_start(world, new_relay):
    relay = new_relay()
    second = new_relay(start=False)
    where = f"{relay.ip}:{relay.port}"
    second.config['listener "app"']["address"] = where
    second.start(ready=False)
    assert second.wait() in (75, 78)
    assert where in second.stderr() and len(second.stderr().splitlines()) == 1


FAULTS = [
    ('hostnam = "a.test"', "hostnam", "hostname"),
    ("retry { expire = 5 }", "expire", "unit"),
    ("delivery { port = 70000 }", "delivery.port", ""),
    ('listener "x" { address = "nonsense" }', "address", ""),
    ('tls { certificate = "/nowhere.pem" key = "/nowhere.pem" }', "nowhere", ""),
    ('route "r" { to = {"*"} }', "via", ""),
    ('domain "d.test" { sts = false }', "reason", ""),
    ("workers = many", "workers", ""),
    ("listener {", "", ""),
]


@pytest.mark.parametrize("text, key, words", FAULTS, ids=[f[0][:30] for f in FAULTS])
def test_a_wrong_configuration_stops_the_start_with_file_and_line(
    tmp_path, text, key, words
):
    path = tmp_path / "sealpost.conf"
    path.write_text(f'state_directory = "{tmp_path}"\n{text}\n')
    for verb in ("serve", "check"):
        done = subprocess.run(
            [binary(), verb, "-c", path],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(),
        )
        said = done.stdout + done.stderr
        assert done.returncode == 78, said
        assert f"{path}:2" in said or f"{path}:3" in said, said
        assert key in said and words in said, said
