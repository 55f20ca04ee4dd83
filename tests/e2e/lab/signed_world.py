"""The lab with a signed root: everything of lab/world.py, on an island.

    relay -- trust ----> resolver (Unbound) --.
    relay -- validate ----------------------> front --> zones (Knot)
"""

import pathlib

from . import net
from .openssl import OpensslMaker
from .signed import Front, Unbound, Zones
from .world import World

PORT = 25  # of MX hosts


class _Dns:
    """The zones and the front, seen as lab/dns.py is; asked by way of the
    resolver."""

    def __init__(self, zones, front, resolver):
        self.ip, self.port = resolver.ip, resolver.port
        self.add, self.put, self.drop = zones.add, zones.put, zones.drop
        self.txt = zones.txt
        self.behave, self.asked = front.behave, front.asked


class SignedWorld(World):
    suffix = "lab"

    def __init__(self, has_resolver=True):
        """Without a resolver, relays have to validate."""
        self._has_resolver = has_resolver
        super().__init__()
        self.mx_port = PORT
        self.openssl = OpensslMaker(self.folder)

    def _start_dns(self):
        folder = pathlib.Path(self.folder)
        self.front = Front(self.loop, net.address())
        self.zones = Zones(folder / "knot", self.front.ip)
        self.front.upstream = self.zones
        self.resolver = None
        if self._has_resolver:
            self.resolver = Unbound(self.zones, folder / "unbound")
        return _Dns(self.zones, self.front, self.resolver or self.front)

    def craft(self, name, kind, *rdatas):
        """Records in octets, however odd, with signatures that are in order."""
        self.dns.txt(name, "the name exists")
        self.front.crafted[name, kind] = self.zones.signed(name, kind, rdatas)

    def insecure_name(self):
        """A domain that nobody has used before, outside of DNSSEC."""
        return self.name().rpartition(".")[0] + ".plain"

    def stripping(self):
        """A forwarder that knows no DNSSEC, in front of the resolver."""
        return Front(self.loop, net.address(), self.resolver, strip=True)

    def lying(self):
        """A forwarder that validates nothing and calls all authentic."""
        return Front(self.loop, net.address(), self.zones, lie=True)

    def slow(self, seconds):
        """A forwarder that takes so long over what the relay asks first."""
        front = Front(self.loop, net.address(), self.zones)
        front.delays["org"] = seconds
        return front

    def settings(self, dnssec, server, anchor=None):
        """The relay's section `resolver`."""
        return {
            "servers": [f"{server.ip}:{server.port}"],
            "dnssec": dnssec,
            "trust_anchor": self.zones.anchor if anchor is None else anchor,
            "timeout": "5s",
        }

    def relay(self, config=None, way="trust", **options):
        """way: trust (the resolver) or validate (in process)."""
        config = dict(config or {})
        server = self.resolver if way == "trust" else self.front
        config.setdefault("resolver", self.settings(way, server))
        return super().relay(config, **options)

    def close(self):
        super().close()
        if self.resolver:
            self.resolver.close()
        self.zones.close()
