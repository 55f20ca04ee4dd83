"""All servers of the lab, and the domains that use them."""

import itertools
import shutil
import socket
import tempfile
import threading

from . import net
from .ca import Authority
from .dns import Dns
from .https_policy import PolicyHosts, policy
from .ledger import Ledger
from .loop import Loop
from .peer import Peer
from .provider import Provider
from .relay import Relay
from .script import Scripted
from .tokens import Tokens


class World:
    suffix = "test"  # of the names that it gives out

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sealpost-lab-")
        self.loop = Loop()
        self.ca = Authority(self.folder)
        self.stranger = Authority(self.folder, "Unknown CA")
        self.ledger = Ledger()
        self.mx_port = net.free_port_below_ephemeral()
        self.dns = self._start_dns()
        self.policies = PolicyHosts(
            self.loop, self.ca, net.address(), net.free_port()
        )
        self.relay_cert = self.ca.good("relay.lab.test")
        self.hosts_of = {}  # domain -> names of its MX hosts, best first
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._relays, self._peers = [], []

    def _start_dns(self):
        port = net.free_port(socket.SOCK_DGRAM)
        return Dns(self.loop, net.address(), port)

    address = staticmethod(net.address)

    def name(self, prefix="d"):
        """A domain that nobody has used before."""
        with self._lock:
            return f"{prefix}{next(self._numbers)}.{self.suffix}"

    # --- hosts ---

    def peer(self, host=None, tls=True, cert=None, port=None, kind=Peer, **options):
        """An MX host with its address in DNS; tls: with a good certificate.
        port: another one than MX hosts have."""
        host = host or f"mx.{self.name()}"
        if tls and cert is None:
            cert = self.ca.good(host)
        peer = kind(
            self.loop,
            self.ledger,
            host,
            net.address(),
            port or self.mx_port,
            cert,
            **options,
        )
        self.dns.put(host, "A", peer.ip, ttl=1)
        self._peers.append(peer)
        return peer

    def provider(self, host=None, tls=True, **options):
        """A host that wants AUTH, on a port of its own."""
        return self.peer(host, tls, kind=Provider, **options)

    def tokens(self, host=None, port=None):
        """A token endpoint; `url` is where it is."""
        host = host or f"login.{self.name()}"
        port = port or net.free_port()
        t = Tokens(self.loop, self.ca.good(host), net.address(), port)
        self.dns.put(host, "A", t.ip)
        t.url = f"https://{host}:{t.port}/tenant/oauth2/v2.0/token"
        self._peers.append(t)
        return t

    def scripted(self, *dialogs, host=None):
        host = host or f"mx.{self.name()}"
        peer = Scripted(host, net.address(), self.mx_port, *dialogs)
        self.dns.put(host, "A", peer.ip)
        self._peers.append(peer)
        return peer

    def nobody(self, host=None):
        """A host where nobody listens; gives its name."""
        host = host or f"mx.{self.name()}"
        self.dns.put(host, "A", net.address())
        return host

    # --- domains ---

    def domain(self, *hosts, name=None, ttl=60):
        """A domain with these MX hosts (peers or names), best first."""
        name = name or self.name()
        names = [getattr(host, "host", host) for host in hosts]
        self.hosts_of[name] = names
        for i, host in enumerate(names):
            self.dns.add(name, "MX", f"{10 * (i + 1)} {host}.", ttl=ttl)
        return name

    def sts(self, domain, mode="enforce", mx=(), id="1", ttl=60, text=None, **options):
        """Publishes a policy, record and all."""
        mx = [getattr(host, "host", host) for host in mx]
        self.sts_record(domain, id, ttl)
        self.dns.put(f"mta-sts.{domain}", "A", self.policies.ip, ttl=ttl)
        body = policy(mode, mx) if text is None else text
        self.policies.publish(domain, body, **options)
        return domain

    def sts_record(self, domain, id, ttl=60):
        self.dns.drop(f"_mta-sts.{domain}", "TXT")
        self.dns.txt(f"_mta-sts.{domain}", f"v=STSv1; id={id};", ttl=ttl)

    # --- the relay ---

    def relay(self, config=None, **options):
        relay = Relay(self, config, **options)
        self._relays.append(relay)
        return relay

    def close(self):
        for relay in self._relays:
            relay.discard()
        for peer in self._peers:
            peer.close()
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)
