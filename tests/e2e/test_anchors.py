"""Trust anchors that a domain or a route names: they stand instead of all
others, and no connection or TLS session is shared past them."""

import json

import pytest

from lab.send import submit


@pytest.fixture
def private(world):
    """A host whose certificate is from an authority that nobody knows."""
    host = f"mx.{world.name()}"
    return world.peer(host, cert=world.stranger.good(host))


def rule(world, **more):
    return {"tls": "verified", "mx_ca": world.stranger.path, **more}


def put_off(world, relay, domain, *words):
    mid = submit(relay, f"bob@{domain}")
    line = relay.log.one("delivery.deferred", mid=mid)
    assert "4.7.5" in line["reply"], line
    for word in words:
        assert word in line["reply"], line
    assert not world.ledger.of(domain=domain)


def delivered(world, relay, domain):
    mid = submit(relay, f"bob@{domain}")
    line = relay.log.one("delivery.sent", mid=mid)
    return world.ledger.one(domain=domain), line


def test_a_domain_s_own_anchors_are_believed_for_it_alone(world, new_relay, private):
    own, other = world.domain(private), world.domain(private)
    relay = new_relay(
        {"policy": {"tls": "verified"}, f'domain "{own}"': rule(world)}
    )
    line = delivered(world, relay, own)[1]
    assert (line["proof"], line["certificate"]) == ("pkix", "verified"), line
    put_off(world, relay, other, "certificate")


def test_whom_everybody_believes_is_not_believed_for_it(world, new_relay):
    public = world.peer()
    own, other = world.domain(public), world.domain(public)
    relay = new_relay({f'domain "{own}"': rule(world)})
    assert delivered(world, relay, other)[0].peer is public
    put_off(world, relay, own, "its own trust anchors")


def test_no_connection_is_shared_past_them(world, new_relay):
    """Nor kept from being shared by those who name the same."""
    host = f"mx.{world.name()}"
    peer = world.peer(host)
    public = world.domain(peer)
    own = [world.domain(peer) for _ in range(2)]
    relay = new_relay(
        {
            "": {"workers": 1},
            "policy": {"tls": "verified"},
            **{f'domain "{d}"': rule(world, mx_ca=world.ca.path) for d in own},
        }
    )
    sessions = [delivered(world, relay, d)[0].session for d in (public, *own, public)]
    assert sessions[0] == sessions[3] != sessions[1] == sessions[2]


def test_a_policy_is_verified_against_them_as_well(world, new_relay, private):
    """RFC 8461 section 4.2: an authority that the sender trusts."""
    own = world.sts(world.domain(private), mx=[private])
    other = world.sts(world.domain(private), mx=[private])
    relay = new_relay({f'domain "{own}"': rule(world)})
    assert delivered(world, relay, own)[1]["policy"] == "mta-sts enforce"
    put_off(world, relay, other, "mta-sts enforce")


def test_the_host_s_own_certificate_may_be_the_anchor(world, new_relay):
    host = f"mx.{world.name()}"
    cert = world.stranger.good(host)
    domain = world.domain(world.peer(host, cert=cert))
    relay = new_relay({f'domain "{domain}"': rule(world, mx_ca=cert.path)})
    assert delivered(world, relay, domain)[1]["certificate"] == "verified"


def test_a_reload_takes_other_anchors(world, new_relay, private):
    domain = world.domain(private)
    relay = new_relay({f'domain "{domain}"': rule(world, mx_ca=world.ca.path)})
    put_off(world, relay, domain, "its own trust anchors")
    relay.write_config({f'domain "{domain}"': rule(world)})
    relay.cli("reload")
    submit(relay, f"eve@{domain}")
    assert world.ledger.one(f"eve@{domain}").tls


def test_a_file_that_is_no_certificate_stops_the_start(world, new_relay, tmp_path):
    file = tmp_path / "anchors.pem"
    file.write_text("nothing\n")
    relay = new_relay(
        {'domain "a.test"': rule(world, mx_ca=str(file))}, start=False
    )
    relay.start(ready=False)
    assert relay.wait() != 0
    assert str(file) in relay.stderr()


@pytest.mark.parametrize("whose", ["stranger", "ca"])
def test_a_route_has_its_own(world, new_relay, private, whose):
    anchors = getattr(world, whose).path
    relay = new_relay(
        {
            'route "r"': {
                "to": ["*"],
                "via": [f"{private.host}:{private.port}"],
                "ca": anchors,
            }
        }
    )
    domain = world.name()
    if whose == "stranger":
        assert delivered(world, relay, domain)[1]["certificate"] == "verified"
    else:
        put_off(world, relay, domain, "its own trust anchors")


def test_a_probe_shows_what_they_say(world, new_relay, private):
    domain = world.domain(private)
    relay = new_relay({f'domain "{domain}"': rule(world)})
    found = json.loads(relay.cli("probe", domain, "--json").stdout)
    assert found["verdict"] == "deliverable"
    assert found["anchors"] == world.stranger.path
    assert found["hosts"][0]["tls_session"]["verdict"] == "verified"
    assert world.stranger.path in relay.cli("probe", domain).stdout
