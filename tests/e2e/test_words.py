"""What somebody is told in front of a printer, or with an application's log: why
there is no mail, and what would mend it."""

import pytest

from lab.logins import WRONG, plain, with_logins
from lab.send import Wire, message

FROM = "news@app.example"


@pytest.fixture(scope="module")
def relay(world):
    made = []

    def make(config, **options):
        made.append(world.relay(config, **options))
        r = made[0]
        r.config['listener "certificate"'] = {
            "address": f"{r.ip}:2588",
            "tls": "required",
            "client_certificate": "optional",
        }
        r.config['listener "closed"'] = {
            "address": f"{r.ip}:2589",
            "networks": ["10.0.7.0/24"],
        }
        r.config['listener "plain"'] = {"address": f"{r.ip}:2590"}
        r.config['listener "offer"'] = {
            "address": f"{r.ip}:2591",
            "tls": "starttls",
            "auth": "required",
        }
        return r

    config = {
        "access": {"networks": [], "message_size_max": "64K", "rate": "1/1h"},
        "tls": {"client_ca": world.ca.path},
        'listener "tls"': {"tls": "required"},
    }
    yield with_logins(make, config)
    made[0].close()


def ready(relay, port, tls=False):
    c = Wire(relay.ip, port).ready()
    if tls:
        c.say("STARTTLS", 220)
        c.start_tls().ready()
    return c


def test_a_wrong_password(relay):
    with ready(relay, relay.port) as c:
        c.say("AUTH PLAIN " + plain("app", WRONG), 535, "wrong name or password")


def test_no_password(relay):
    with ready(relay, relay.port) as c:
        c.say(f"MAIL FROM:<{FROM}>", 530, "set a name and a password")


def test_a_password_in_clear(relay):
    with ready(relay, relay.tls_port) as c:
        c.say("AUTH PLAIN " + plain("app"), 538, "turn on STARTTLS")
        c.say(f"MAIL FROM:<{FROM}>", 530, "turn on STARTTLS")
    with ready(relay, 2591) as c:
        c.say(f"MAIL FROM:<{FROM}>", 530, "turn on STARTTLS, then set a name")


def test_a_password_where_none_is_wanted(relay):
    with ready(relay, 2590) as c:
        c.say("AUTH PLAIN " + plain("app"), 502, "set no name and password")


def test_somebody_from_elsewhere(relay):
    with ready(relay, 2590) as c:
        c.say(f"MAIL FROM:<{FROM}>", 554, "may not relay here (access.networks)")
    with Wire(relay.ip, 2589, 554) as c:
        pass
    with Wire(relay.ip, 2589, None) as c:
        c.expect(554, "127.0.0.1 may not connect here (networks)")


def test_no_certificate(relay):
    with ready(relay, 2588, tls=True) as c:
        words = "may not relay here without a certificate (tls.client_ca)"
        c.say(f"MAIL FROM:<{FROM}>", 554, words)


def test_another_s_sender(relay):
    with ready(relay, relay.port) as c:
        c.say("AUTH PLAIN " + plain("app"), 235)
        words = "this login may not send from boss@corp.example"
        c.say("MAIL FROM:<boss@corp.example>", 553, words)


def test_a_message_too_large(relay):
    with ready(relay, relay.port) as c:
        c.say("AUTH PLAIN " + plain("app"), 235)
        c.say(f"MAIL FROM:<{FROM}> SIZE=70000", 552, "larger than 65536 octets")


def test_a_quota_that_is_used_up(relay):
    with ready(relay, relay.port) as c:
        c.say("AUTH PLAIN " + plain("app"), 235)
        c.envelope("you@elsewhere.example", sender=FROM).say("DATA", 354)
        c.send(message(sender=FROM) + b".\r\n")
        c.expect(250)
        words = "too many messages for now (rate), try again in "
        c.say(f"MAIL FROM:<{FROM}>", 450, words)
