"""The PROXY protocol: who the client is, by HAProxy, curl, swaks and by hand."""

import smtplib
import socket
import struct
import subprocess
import time

import pytest

from lab.haproxy import HAProxy
from lab.send import SENDER, Wire, insecure, message

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client, port=4711):
    family = "TCP6" if ":" in client else "TCP4"
    us = "::1" if ":" in client else "198.51.100.2"
    return f"PROXY {family} {client} {us} {port} 25\r\n".encode()


def v2(client, port=4711, tlvs=b""):
    six = ":" in client
    family = socket.AF_INET6 if six else socket.AF_INET
    body = (
        socket.inet_pton(family, client)
        + socket.inet_pton(family, "::1" if six else "198.51.100.2")
        + struct.pack(">HH", port, 25)
        + tlvs
    )
    return SIGNATURE + (b"\x21\x21" if six else b"\x21\x11") + struct.pack(
        ">H", len(body)
    ) + body


@pytest.fixture(scope="module")
def behind(world):
    """Believes headers of 127.0.0.0/8, relays for 192.0.2.0/24 and fd00::/8."""
    way = {"proxy_from": ["127.0.0.0/8", "unix"], "connections_per_client": 3}
    relay = world.relay(start=False)
    relay.write_config(
        {
            'listener "app"': way,
            'listener "tls"': way,
            'listener "smtps"': way,
            'listener "unix"': {
                "address": f"unix:{relay.folder}/smtp.sock",
                "proxy_from": ["unix"],
            },
            'listener "plain"': {"address": f"{relay.ip}:2600"},
            'listener "inside"': {
                "address": f"{relay.ip}:2601",
                "proxy_from": ["127.0.0.0/8"],
                "networks": ["192.0.2.7/32"],
            },
            'listener "paced"': {
                "address": f"{relay.ip}:2602",
                "proxy_from": ["127.0.0.0/8"],
                "connection_rate": "2/1h",
            },
            "access": {"networks": ["192.0.2.0/24", "fd00::/8"]},
        }
    )
    relay.start()
    yield relay
    relay.close()


class Source(smtplib.SMTP):
    """From an address of one's choice."""

    def _get_socket(self, host, port, timeout):
        return socket.create_connection((host, port), timeout, ("127.9.8.7", 0))


def wire(relay, header, port=None):
    c = Wire(relay.ip, port or relay.port, greeting=0)
    c.send(header)
    return c


# --- by HAProxy ---


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("way", ["clear", "starttls", "implicit", "unix"])
def test_behind_haproxy_the_client_is_who_it_is(world, new_relay, way, option):
    relay = new_relay(start=False)
    proxied = {"proxy_from": ["127.0.0.0/8"]}
    relay.write_config(
        {
            'listener "app"': proxied,
            'listener "tls"': proxied,
            'listener "smtps"': proxied,
            'listener "unix"': {
                "address": f"unix:{relay.folder}/s",
                "proxy_from": ["unix"],
                "socket_mode": "0666",
            },
            "access": {"networks": ["127.9.8.7/32"]},
        }
    )
    relay.start()
    server = {
        "clear": f"{relay.ip}:{relay.port}",
        "starttls": f"{relay.ip}:{relay.tls_port}",
        "implicit": f"{relay.ip}:{relay.smtps_port}",
        "unix": f"{relay.folder}/s",
    }[way]
    d = world.domain(world.peer())
    with HAProxy(world.address(), {2580: f"{server} {option}"}) as proxy:
        if way == "implicit":
            raw = socket.create_connection((proxy.ip, 2580), 15, ("127.9.8.7", 0))
            c = smtplib.SMTP()
            c.sock = insecure().wrap_socket(raw)
            c.file = None
            assert c.getreply()[0] == 220
        else:
            c = Source(proxy.ip, 2580, "c.lab.test", 15)
        c.ehlo("c.lab.test")
        if way == "starttls":
            c.starttls(context=insecure())
        c.sendmail(SENDER, [f"bob@{d}"], message())
        c.quit()
    data = world.ledger.one(f"bob@{d}").data
    assert b"Received: from c.lab.test ([127.9.8.7])" in data
    relay.log.one("message.accepted", client="127.9.8.7 (c.lab.test)")


def test_haproxy_finds_out_by_its_own_checks_that_we_live(world, new_relay):
    relay = new_relay({'listener "app"': {"proxy_from": ["127.0.0.0/8"]}})
    check = "send-proxy-v2 check check-send-proxy inter 100"
    ip = world.address()
    with HAProxy(ip, {2581: f"{relay.ip}:{relay.port} {check}"}) as proxy:
        time.sleep(0.5)  # some checks
        with Wire(proxy.ip, 2581) as c:
            c.ready()
    assert not relay.log.find("session.reject")


# --- by other clients ---


def test_curl_sends_a_header(world, new_relay, tmp_path):
    relay = new_relay({'listener "app"': {"proxy_from": ["127.0.0.0/8"]}})
    d = world.domain(world.peer())
    (tmp_path / "m").write_bytes(message())
    done = subprocess.run(
        ["curl", "-sS", "--haproxy-protocol", f"smtp://{relay.ip}:{relay.port}/c.lab.test",
         "--mail-from", SENDER, "--mail-rcpt", f"bob@{d}", "-T", str(tmp_path / "m")],
        capture_output=True, text=True, timeout=30,
    )
    assert done.returncode == 0, done
    world.ledger.one(f"bob@{d}")


@pytest.mark.parametrize("version", ["1", "2"])
def test_swaks_sends_a_header(world, behind, version):
    d = world.domain(world.peer())
    family = {"1": "TCP4", "2": "AF_INET"}[version]
    done = subprocess.run(
        ["swaks", "--server", behind.ip, "--port", str(behind.port), "--from", SENDER,
         "--to", f"bob@{d}", "--ehlo", "c.lab.test", "--proxy-version", version,
         "--proxy-family", family, "--proxy-source", "192.0.2.66",
         "--proxy-source-port", "4711", "--proxy-dest", "198.51.100.2",
         "--proxy-dest-port", "25"],
        capture_output=True, text=True, timeout=30,
    )
    assert done.returncode == 0, done.stdout
    assert b"([192.0.2.66])" in world.ledger.one(f"bob@{d}").data


# --- by hand ---


@pytest.mark.parametrize(
    "header",
    [v1("192.0.2.1"), v2("192.0.2.1"), v2("192.0.2.1", tlvs=b"\4\0\4abcd" * 100),
     v1("::ffff:192.0.2.1"), v2("::ffff:192.0.2.1"), v1("fd00::1"), v2("fd00::1")],
)
def test_who_the_header_names_may_relay_where_it_may(behind, header):
    with wire(behind, header) as c:
        c.expect(220)
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)


@pytest.mark.parametrize("header", [v1("203.0.113.9"), v2("2001:db8::9")])
def test_the_proxys_own_rights_are_not_its_clients(behind, header):
    with wire(behind, header) as c:
        c.expect(220)
        c.ready().say(f"MAIL FROM:<{SENDER}>", 554, "5.7.1")


def test_a_client_that_the_proxy_does_not_name_is_no_neighbour(world, new_relay):
    relay = new_relay({'listener "app"': {"proxy_from": ["127.0.0.0/8"]}})
    for header in (b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\0\0\0"):
        with wire(relay, header) as c:
            c.expect(220)
            c.ready().say(f"MAIL FROM:<{SENDER}>", 554, "0.0.0.0")
    with wire(relay, SIGNATURE + b"\x20\0\0\0") as c:  # the proxy itself
        c.expect(220)
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)


def test_octet_by_octet_and_with_tls_right_behind_it(behind):
    c = Wire(behind.ip, behind.smtps_port, greeting=0)
    for octet in v2("192.0.2.1"):
        c.send(bytes([octet]))
    with c.start_tls() as c:
        c.expect(220)
        c.ready().say(f"MAIL FROM:<{SENDER}>", 250)


def test_a_client_that_does_not_wait_for_the_banner_is_served_all_the_same(behind):
    with wire(behind, v1("192.0.2.1") + b"NOOP\r\n") as c:
        c.expect(220)
        c.expect(250)


@pytest.mark.parametrize(
    "octets",
    [b"EHLO x\r\n", b"\x16\x03\x01", b"PROXY TCP4 1.2.3.4\r\n", b"PROXY " + b"x" * 200,
     SIGNATURE + b"\x21\x11\0\x01x"],
)
def test_what_is_no_header_is_refused_at_once(behind, octets):
    with wire(behind, octets) as c:
        c.expect(421, "4.7.0")
        c.expect_end()
    behind.log.one("session.reject", listener="app", code=421)


@pytest.mark.parametrize("part", [b"", v1("192.0.2.1")[:20]])
def test_a_header_that_does_not_come_is_not_waited_for(behind, part):
    began = time.monotonic()
    with wire(behind, part) as c:
        c.expect(421, "PROXY header")
        c.expect_end()
    assert 4 < time.monotonic() - began < 25


def test_A60_the_header_of_anybody_else_is_a_wrong_command(behind):
    with Wire(behind.ip, 2600) as c:
        c.send(v1("192.0.2.1"))
        assert c.read()[0] in (500, 502)
        c.ready().say(f"MAIL FROM:<{SENDER}>", 554, "127.0.0.1")
    with Wire(behind.ip, 2600) as c:
        c.send(v2("192.0.2.1"))
        got = c.read()
        assert got is None or got[0] >= 421


def test_networks_of_the_listener_are_asked_about_the_client(behind):
    with wire(behind, v1("192.0.2.7"), 2601) as c:
        c.expect(220)
    with wire(behind, v1("192.0.2.8"), 2601) as c:
        c.expect(554, "network")


@pytest.mark.threads
def test_one_client_behind_the_proxy_does_not_starve_the_others(behind):
    held = []
    for _ in range(3):
        held.append(wire(behind, v1("192.0.2.20")))
        held[-1].expect(220)
    with wire(behind, v1("192.0.2.20")) as fourth:
        fourth.expect(421, "too many connections of this client")
        fourth.expect_end()
    with wire(behind, v2("192.0.2.21")) as other:
        other.expect(220)
    held.pop().sock.close()
    for _ in range(1000):
        with wire(behind, v1("192.0.2.20")) as again:
            if again.read()[0] == 220:
                break
        time.sleep(0.02)
    else:
        raise AssertionError("no room again")
    for c in held:
        c.sock.close()


def test_a_client_connects_as_often_as_it_may(behind):
    for _ in range(2):
        with wire(behind, v1("192.0.2.30"), 2602) as c:
            c.expect(220)
    with wire(behind, v1("192.0.2.30"), 2602) as c:
        c.expect(421, "too often")
    with wire(behind, v1("192.0.2.31"), 2602) as c:
        c.expect(220)


def test_a_header_under_way_holds_up_no_end(world, new_relay):
    relay = new_relay({'listener "app"': {"proxy_from": ["127.0.0.0/8"]}})
    with wire(relay, b"PROXY TCP4 ") as c:
        time.sleep(0.2)
        began = time.monotonic()
        relay.stop()
        assert time.monotonic() - began < 7
        c.expect_end()
