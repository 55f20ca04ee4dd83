"""Where mail comes in: ports, sockets, limits and rules of each listener."""

import os
import signal
import smtplib
import socket
import stat

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
