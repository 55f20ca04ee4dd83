"""Where mail comes in: ports, sockets, limits and rules of each listener."""

import os
import pathlib
import shutil
import signal
import smtplib
import socket
import stat
import sys
import time

import pytest

from lab.send import SENDER, Wire, message, submit


def listener(relay, name, **keys):
    """Another listener, on the next port that is free at the relay's address;
    gives the port."""
    port = 3000 + len(relay.config)
    relay.write_config(
        {f'listener "{name}"': {"address": f"{relay.ip}:{port}", **keys}}
    )
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    return port


class UnixSMTP(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        s = socket.socket(socket.AF_UNIX)
        s.connect(host)
        return s


# --- Unix sockets ---


def test_mail_comes_in_by_a_unix_socket_with_the_mode_it_has(world, new_relay):
    relay = new_relay(start=False)
    path = relay.folder / "smtp.sock"
    relay.write_config(
        {'listener "local"': {"address": f"unix:{path}", "socket_mode": "0622"}}
    )
    relay.start()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o622
    d = world.domain(world.peer())
    with UnixSMTP(str(path), 1, "client.lab.test") as c:
        c.sendmail(SENDER, [f"bob@{d}"], message())
    received = world.ledger.one(f"bob@{d}").data.split(b"\r\nFrom:")[0]
    assert b"Received: by relay.lab.test with ESMTP id" in received
    relay.stop()
    assert not path.exists()


# --- limits ---


def test_a_listener_has_as_many_connections_as_it_says(world, new_relay):
    relay = new_relay({'listener "app"': {"connections": 2}})
    with Wire(relay.ip, relay.port), Wire(relay.ip, relay.port):
        with Wire(relay.ip, relay.port, greeting=421) as third:
            third.expect_end()
        with Wire(relay.ip, relay.tls_port):  # others have room
            pass
    relay.log.one(
        "session.reject",
        listener="app",
        reason="too many connections at this listener",
    )
    for _ in range(10):
        with Wire(relay.ip, relay.port, greeting=0) as c:
            if c.read()[0] == 220:
                break
    else:
        raise AssertionError("no room again")


def test_a_client_that_begins_with_tls_gets_no_clear_text(world, new_relay):
    relay = new_relay({'listener "smtps"': {"connections": 1}})
    with Wire(relay.ip, relay.smtps_port, greeting=0):
        with Wire(relay.ip, relay.smtps_port, greeting=0) as second:
            second.expect_end()


# --- rules ---


def test_a_listener_has_rules_of_its_own(world, new_relay):
    relay = new_relay({"access": {"recipients_max": 5}})
    port = listener(
        relay,
        "small",
        message_size_max=2048,
        recipients_max=1,
        sender_domains=["only.lab.test"],
        recipient_domains=["there.lab.test"],
    )
    with Wire(relay.ip, port) as c:
        assert "250-SIZE 2048" in c.say("EHLO c", 250)
        c.say("MAIL FROM:<a@other.lab.test>", 550, "5.7.1")
        c.say("MAIL FROM:<a@only.lab.test> SIZE=3000", 552)
        c.say("MAIL FROM:<a@only.lab.test>", 250)
        c.say("RCPT TO:<b@elsewhere.lab.test>", 550, "5.7.1")
        c.say("RCPT TO:<b@there.lab.test>", 250)
        c.say("RCPT TO:<c@there.lab.test>", 452)
    with Wire(relay.ip, relay.port) as c:
        c.say("EHLO c", 250)
        c.say("MAIL FROM:<a@other.lab.test> SIZE=3000", 250)
        c.say("RCPT TO:<b@elsewhere.lab.test>", 250)
        c.say("RCPT TO:<c@elsewhere.lab.test>", 250)


def test_a_session_whose_listener_is_gone_is_told_to_come_again(world, new_relay):
    relay = new_relay()
    listener(relay, "gone")
    port = int(relay.config['listener "gone"']["address"].rpartition(":")[2])
    with Wire(relay.ip, port) as c:
        c.ready()
        del relay.config['listener "gone"']
        relay.write_config()
        relay.signal(signal.SIGHUP)
        relay.log.wait("config.reload", 2, result="ok")
        c.say(f"MAIL FROM:<{SENDER}>", 451, "4.3.2")
    with pytest.raises(ConnectionRefusedError):
        Wire(relay.ip, port)
    submit(relay, f"bob@{world.domain(world.peer())}")


# --- sockets that systemd has bound ---

ACTIVATE = str(pathlib.Path(__file__).parent / "lab" / "activate.py")


def activated(world, new_relay, config, *sockets):
    """A relay that was passed these sockets: "name=:port" is at its address."""
    relay = new_relay(start=False)
    passed = [s.replace("=:", f"={relay.ip}:") for s in sockets]
    relay.wrap = [sys.executable, ACTIVATE, *passed, "--"]
    relay.write_config(config)
    return relay


def test_passed_sockets_are_taken_by_name_and_by_address(world, new_relay, tmp_path):
    relay = activated(
        world,
        new_relay,
        {
            'listener "both"': {"address": "systemd:smtp"},
            'listener "path"': {"address": f"unix:{tmp_path}/s"},
        },
        "smtp=:2531", "smtp=:2532", "app=:2525", "odd=:2599", f"x={tmp_path}/s",
    )
    relay.start()
    relay.log.one("socket.unused", name="odd", address=f"{relay.ip}:2599")
    assert len(relay.log.find("socket.unused")) == 1
    d = world.domain(world.peer())
    for port in (2531, 2532, 2525, 2587):
        submit(relay, f"u{port}@{d}", port=port)
    with UnixSMTP(f"{tmp_path}/s", 1, "c.lab.test") as c:
        c.sendmail(SENDER, [f"path@{d}"], message())
    assert len(world.ledger.wait(domain=d, count=5)) == 5
    relay.stop()
    assert (tmp_path / "s").exists()  # not ours to remove


def test_a_passed_socket_survives_reloads(world, new_relay):
    relay = activated(
        world, new_relay, {'listener "one"': {"address": "systemd:one"}}, "one=:2531"
    )
    relay.start()
    with Wire(relay.ip, 2531) as c:
        block = relay.config['listener "one"']
        for count in (1, 2, 3):  # kept, closed, opened again
            if count == 2:
                del relay.config['listener "one"']
            if count == 3:
                relay.config['listener "one"'] = block
            relay.write_config()
            relay.signal(signal.SIGHUP)
            relay.log.wait("config.reload", count, result="ok")
        c.ready()
    with Wire(relay.ip, 2531) as c:
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)


def test_while_it_ends_nobody_is_refused_at_a_passed_socket(world, new_relay):
    relay = activated(
        world, new_relay, {'listener "one"': {"address": "systemd:one"}}, "one=:2531"
    )
    relay.start()
    with Wire(relay.ip, relay.port) as busy:
        busy.data(f"bob@{world.domain(world.peer())}")
        relay.signal(signal.SIGTERM)
        relay.log.one("drain", state="begun")
        waits = socket.create_connection((relay.ip, 2531), 5)  # for the next one
        busy.send(message() + b".\r\n")
        busy.expect(250)
    assert relay.wait() == 0
    waits.close()


def test_a_socket_that_was_not_passed_stops_the_start(world, new_relay):
    relay = activated(
        world, new_relay, {'listener "one"': {"address": "systemd:two"}}, "one=:2531"
    )
    relay.start(ready=False)
    assert relay.wait() == 78
    assert 'listener "one": systemd has passed no socket "two", but "one"' in relay.stderr()
    bare = new_relay(start=False)
    bare.write_config({'listener "one"': {"address": "systemd:two"}})
    bare.start(ready=False)
    assert bare.wait() == 78
    assert "systemd has passed no socket" in bare.stderr()


def test_systemds_own_launcher_is_understood(world, new_relay):
    launcher = shutil.which("systemd-socket-activate")
    if not launcher:
        pytest.skip("systemd is not installed")
    relay = new_relay(start=False)
    relay.write_config({'listener "one"': {"address": "systemd:one"}})
    relay.wrap = [
        launcher, "-l", f"{relay.ip}:2531", "--fdname=one", "-E", "SSL_CERT_FILE=/dev/null"
    ]
    relay.start(ready=False)
    for _ in range(200):
        try:
            c = Wire(relay.ip, 2531)
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    with c:
        relay.log.one("relay.ready")
        c.ready()


# --- ports that only root may bind ---


def test_a_low_port_is_bound_before_root_is_given_up(world, new_relay):
    if os.geteuid() != 0:
        pytest.skip("only root may")
    relay = new_relay(start=False)
    path = relay.folder / "s"
    os.chmod(relay.folder, 0o755)
    key = relay.folder / "root-only.pem"
    shutil.copy(world.relay_cert.path, key)
    key.chmod(0o600)
    state = relay.folder / "state"
    relay.write_config(
        {
            "": {"user": "nobody"},
            "tls": {"certificate": str(key), "key": str(key)},
            "policy": {"mx_ca": "", "https_ca": ""},
            'listener "low"': {"address": f"{relay.ip}:587", "tls": "starttls"},
            'listener "unix"': {"address": f"unix:{path}"},
        }
    )
    shutil.chown(state, "nobody")
    shutil.chown(relay.folder, "nobody")
    relay.start()
    status = pathlib.Path(f"/proc/{relay.process.pid}/status").read_text()
    assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
    assert path.stat().st_uid == 65534
    with Wire(relay.ip, 587) as c:
        c.ready().say("STARTTLS", 220)
        c.start_tls().ready()
    error = relay.log.one("cert.reload", level="error")["error"]
    assert str(key) in error and "nobody" in error


def test_a_port_that_one_may_not_bind_is_explained(world, new_relay):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    relay = new_relay(start=False)
    relay.config = {
        "": relay.config[""],
        'listener "low"': {"address": f"{relay.ip}:26"},
        "control": relay.config["control"],
    }
    relay.write_config()
    relay.config_file.chmod(0o644)
    os.chmod(relay.folder, 0o755)
    relay.wrap = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all"]
    relay.start(ready=False)
    assert relay.wait() != 0
    said = relay.stderr()
    assert 'listener "low"' in said and "CAP_NET_BIND_SERVICE" in said, said
