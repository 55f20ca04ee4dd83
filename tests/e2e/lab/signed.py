"""A signed root and the zones below it, served by Knot; and resolvers.

    root "."     signed; its key is the trust anchor, zones.anchor
    lab.         signed, and the root has its DS: secure; example. too
    plain.       not signed, no DS: insecure
    bogus.       signed, but the DS in the root is of another key
    expired.     signed, with signatures of last month
    org.         signed; dnssec-failed.org. below it is bogus too

Names are put into them while they are served, in the form of a zone file:

    zones.add("d.lab", "MX", "10 mx.d.lab.")

Questions come in through a Front, which can misbehave by the name:

    front.behave("_25._tcp.mx.d.lab", "servfail", "TLSA")

All of it wants port 53 of an address: see lab/island.py.
"""

import asyncio
import datetime
import pathlib
import socket
import struct
import subprocess
import time

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import net
from .dns import Question
from .patience import PATIENCE

PORT = 53
IN = dns.rdataclass.IN
KNOTD, KEYMGR, UNBOUND = "/usr/sbin/knotd", "/usr/sbin/keymgr", "/usr/sbin/unbound"
DAY = 24 * 3600

SIGNED = (".", "lab.", "example.", "org.", "bogus.", "dnssec-failed.org.")
UNSIGNED = ("plain.",)
EXPIRED = "expired."
# Child, parent and whether the DS is right.
DELEGATIONS = (
    ("lab.", ".", True),
    ("example.", ".", True),
    ("org.", ".", True),
    ("bogus.", ".", False),
    ("dnssec-failed.org.", "org.", False),
)

KNOT_CONF = """
server:
    listen: {ip}@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: {folder}
    journal-db-mode: asynchronous
acl:
  - id: lab
    address: 127.0.0.0/8
    action: update
policy:
  - id: lab
    manual: on
    single-type-signing: on
    algorithm: ECDSAP256SHA256
template:
  - id: default
    storage: {folder}
    acl: lab
    zonefile-sync: -1
    semantic-checks: soft
zone:
"""

UNBOUND_CONF = """
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    verbosity: 1
    val-log-level: 2
    num-threads: 1
    interface: {ip}@{port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    root-hints: "{hints}"
    trust-anchor-file: "{anchor}"
    module-config: "{modules}"
    qname-minimisation: no
    aggressive-nsec: no
    cache-max-negative-ttl: 0
    val-bogus-ttl: 1
remote-control:
    control-enable: no
"""


def _wait_for_port(ip, port, process, what):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((ip, port), 1).close()
            return
        except OSError:
            assert process.poll() is None, f"{what} ended"
            assert time.monotonic() < until, f"{what} does not start"
            time.sleep(0.01)


class _Program:
    """A server that runs in the foreground and complains on stderr."""

    def __init__(self, command, ip, port, log):
        self._log = open(log, "w+")
        self.log = pathlib.Path(log)
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL
        )
        try:
            _wait_for_port(ip, port, self._process, command[0])
        except AssertionError as e:
            self.close()
            raise AssertionError(f"{e}\n{self.log.read_text()}") from None

    def close(self):
        self._process.kill()
        self._process.wait(5)
        self._log.close()


def _soa(zone):
    """The TTL of what is not there is 0: it may be put there any time."""
    return f"{zone} 60 SOA ns.{zone.lstrip('.')} root.lab. 1 60 60 6000 0\n"


def _expired_zone(ns_ip):
    """Lines of the zone, signatures included, and its DS."""
    zone = dns.name.from_text(EXPIRED)
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), "ECDSAP256SHA256", flags=257)
    sets = [
        dns.rrset.from_text(name, 60, "IN", kind, *texts)
        for name, kind, *texts in (
            (EXPIRED, "SOA", _soa(EXPIRED).split("SOA ")[1].strip()),
            (EXPIRED, "NS", f"ns.{EXPIRED}"),
            (EXPIRED, "DNSKEY", dnskey.to_text()),
            (f"ns.{EXPIRED}", "A", ns_ip),
            # For every name there is.
            (f"*.{EXPIRED}", "MX", f"10 mx.{EXPIRED}"),
            (f"mx.{EXPIRED}", "A", ns_ip),
        )
    ]
    now = time.time()
    lines = []
    for s in sets:
        signature = dns.dnssec.sign(
            s, key, zone, dnskey, inception=now - 40 * DAY, expiration=now - 10 * DAY
        )
        lines += [s.to_text(), f"{s.name} 60 IN RRSIG {signature.to_text()}"]
    ds = dns.dnssec.make_ds(zone, dnskey, "SHA256")
    return "\n".join(lines) + "\n", ds.to_text()


class Zones:
    """knotd; `ip` is where the world asks for them (a Front)."""

    def __init__(self, folder, ip):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.front_ip = ip
        self.ip, self.port = net.address(), PORT
        self._config = self.folder / "knot.conf"
        self.anchor = str(self.folder / "anchor")
        self.hints = str(self.folder / "hints")
        self._key_ids = {}  # of each zone, as keymgr calls it
        self._write_config()
        ds = {zone: self._key(zone) for zone in SIGNED}
        pathlib.Path(self.anchor).write_text(f". IN DS {ds['.']}\n")
        pathlib.Path(self.hints).write_text(
            f". 3600 NS ns.\nns. 3600 A {self.front_ip}\n"
        )
        self._write_zones(ds)
        self._knot = _Program(
            [KNOTD, "-c", str(self._config)],
            self.ip,
            self.port,
            self.folder / "knotd.log",
        )
        self._wait_until_loaded()

    def _write_config(self):
        text = KNOT_CONF.format(ip=self.ip, port=self.port, folder=self.folder)
        for zone in (*SIGNED, *UNSIGNED, EXPIRED):
            text += f"  - domain: {zone}\n    file: zone-{zone}\n"
            if zone in SIGNED:
                text += "    dnssec-signing: on\n    dnssec-policy: lab\n"
        self._config.write_text(text)

    def _keymgr(self, zone, *words):
        return subprocess.run(
            [KEYMGR, "-c", str(self._config), zone, *words],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def _key(self, zone):
        """A new key; gives the text of its DS."""
        self._keymgr(
            zone, "generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes"
        )
        name = self._keymgr(zone, "list").split()[0]
        self._key_ids[dns.name.from_text(zone)] = name
        for line in self._keymgr(zone, "ds").splitlines():
            _, _, tag, algorithm, kind, digest = line.split()
            if kind == "2":
                return f"{tag} {algorithm} {kind} {digest}"
        raise AssertionError(f"no DS of {zone}")

    def _write_zones(self, ds):
        texts = {}
        for zone in (*SIGNED, *UNSIGNED):
            ns = f"ns.{zone.lstrip('.')}"
            texts[zone] = (
                f"{_soa(zone)}{zone} 60 NS {ns}\n{ns} 60 A {self.front_ip}\n"
            )
        texts[EXPIRED], ds[EXPIRED] = _expired_zone(self.front_ip)
        delegations = [(zone, ".", None) for zone in UNSIGNED]
        delegations += [*DELEGATIONS, (EXPIRED, ".", True)]
        for child, parent, good in delegations:
            texts[parent] += f"{child} 60 NS ns.{child}\n"
            texts[parent] += f"ns.{child} 60 A {self.front_ip}\n"
            if good is not None:
                record = ds[child] if good else ds[child][:-8] + "00000000"
                texts[parent] += f"{child} 60 DS {record}\n"
        for zone, text in texts.items():
            (self.folder / f"zone-{zone}").write_text(text)

    def _wait_until_loaded(self):
        until = time.monotonic() + PATIENCE
        for zone in (*SIGNED, *UNSIGNED, EXPIRED):
            query = dns.message.make_query(zone, "SOA")
            while True:
                answer = dns.query.tcp(query, self.ip, PATIENCE, self.port)
                if answer.rcode() == dns.rcode.NOERROR:
                    break
                assert time.monotonic() < until, self.complaints()
                time.sleep(0.01)

    def complaints(self):
        return self._knot.log.read_text()

    def close(self):
        self._knot.close()

    def signed(self, name, kind, rdatas):
        """Records of these octets, which Knot would not take, and their
        signature by the zone's key."""
        zone, kind = self._zone_of(name), dns.rdatatype.from_text(kind)
        pem = self.folder / "keys" / "keys" / f"{self._key_ids[zone]}.pem"
        key = serialization.load_pem_private_key(pem.read_bytes(), None)
        dnskey = dns.dnssec.make_dnskey(key.public_key(), "ECDSAP256SHA256", flags=257)
        rrset = dns.rrset.RRset(dns.name.from_text(name), IN, kind)
        for rdata in rdatas:
            rrset.add(dns.rdata.GenericRdata(IN, kind, rdata), 60)
        now = time.time()
        signature = dns.dnssec.sign(
            rrset, key, zone, dnskey, inception=now - DAY, expiration=now + DAY
        )
        signatures = dns.rrset.from_rdata(rrset.name, 60, signature)
        return [rrset, signatures]

    # --- what they say, by dynamic updates (RFC 2136) ---

    @staticmethod
    def _zone_of(name):
        wanted = dns.name.from_text(name)
        zones = [dns.name.from_text(z) for z in (*SIGNED, *UNSIGNED)]
        return max(
            (z for z in zones if wanted.is_subdomain(z)), key=lambda z: len(z.labels)
        )

    def _update(self, name, change):
        update = dns.update.Update(self._zone_of(name))
        change(update, dns.name.from_text(name))
        answer = dns.query.tcp(update, self.ip, PATIENCE, self.port)
        assert answer.rcode() == dns.rcode.NOERROR, (name, answer, self.complaints())

    def add(self, name, kind, *texts, ttl=60):
        def change(update, owner):
            for text in texts:
                update.add(owner, ttl, kind, text)

        self._update(name, change)

    def put(self, name, kind, *texts, ttl=60):
        """Replaces the records of one type."""

        def change(update, owner):
            update.delete(owner, kind)
            for text in texts:
                update.add(owner, ttl, kind, text)

        self._update(name, change)

    def drop(self, name, kind=None):
        self._update(
            name, lambda u, owner: u.delete(owner, kind) if kind else u.delete(owner)
        )

    def txt(self, name, *strings, ttl=60):
        quoted = " ".join('"' + s.replace('"', '\\"') + '"' for s in strings)
        self.add(name, "TXT", quoted, ttl=ttl)


class Unbound:
    """A resolver that goes from the root of these zones; it validates, unless
    modules say otherwise."""

    def __init__(self, zones, folder, ip=None, modules="validator iterator"):
        folder = pathlib.Path(folder)
        folder.mkdir()
        self.ip, self.port = ip or net.address(), PORT
        config = folder / "unbound.conf"
        config.write_text(
            UNBOUND_CONF.format(
                folder=folder,
                ip=self.ip,
                port=self.port,
                hints=zones.hints,
                anchor=zones.anchor,
                modules=modules,
            )
        )
        self._program = _Program(
            [UNBOUND, "-d", "-p", "-c", str(config)],
            self.ip,
            self.port,
            folder / "unbound.log",
        )

    def log(self):
        return self._program.log.read_text()

    def close(self):
        self._program.close()


def _forge(wire):
    """The same answer with signatures that are none."""
    message = dns.message.from_wire(wire)
    for section in (message.answer, message.authority):
        for rrset in section:
            if rrset.rdtype != dns.rdatatype.RRSIG:
                continue
            ttl, old = rrset.ttl, list(rrset)
            rrset.clear()
            for rdata in old:
                turned = rdata.replace(signature=rdata.signature[::-1])
                rrset.add(turned, ttl)
    return message.to_wire(max_size=65535)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, front):
        self.front = front

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        asyncio.ensure_future(self._serve(data, peer))

    async def _serve(self, data, peer):
        answer = await self.front.answer(data, "udp")
        if answer:
            self.transport.sendto(answer, peer)


class _Ask(asyncio.DatagramProtocol):
    """One question over UDP."""

    def __init__(self, question, answer):
        self._question, self._answer = question, answer

    def connection_made(self, transport):
        transport.sendto(self._question)

    def datagram_received(self, data, _peer):
        if not self._answer.done():
            self._answer.set_result(data)


class Front:
    """Hands questions on to `upstream` (anything with ip and port).  strip:
    leaves DNSSEC out of them, as forwarders do that do not know it.  lie: says
    that every answer is authentic.

    Behaviours: servfail, refused, timeout, forge (signatures are made
    useless)."""

    def __init__(self, loop, ip, upstream=None, strip=False, lie=False):
        self.ip, self.port = ip, PORT
        self.upstream, self.strip, self.lie = upstream, strip, lie
        self.behaviours = {}  # (name, type or None) -> behaviour
        self.delays = {}  # name -> s
        self.crafted = {}  # (name, type) -> records that nobody is asked for
        self.questions = []
        self._loop = loop
        loop.run(self._start())

    async def _start(self):
        self._udp, _ = await self._loop.asyncio.create_datagram_endpoint(
            lambda: _Udp(self), local_addr=(self.ip, self.port)
        )
        self._tcp = await asyncio.start_server(self._serve_tcp, self.ip, self.port)

    async def _serve_tcp(self, reader, writer):
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = await self.answer(await reader.readexactly(length), "tcp")
                if answer:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    # --- what it does with questions ---

    def behave(self, name, how, kind=None):
        """how None: well again."""
        if how is None:
            self.behaviours.pop((name.lower(), kind), None)
        else:
            self.behaviours[name.lower(), kind] = how

    def asked(self, name, kind=None, transport=None):
        return sum(
            1
            for q in list(self.questions)
            if q.name == name.lower()
            and kind in (None, q.type)
            and transport in (None, q.transport)
        )

    async def answer(self, wire, transport):
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except Exception:
            return None
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append(Question(time.monotonic(), name, kind, transport))
        how = self.behaviours.get((name, kind)) or self.behaviours.get((name, None))
        if how == "timeout":
            return None
        await asyncio.sleep(self.delays.get(name, 0))
        if how in ("servfail", "refused"):
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.from_text(how.upper()))
            return response.to_wire()
        if (name, kind) in self.crafted:
            return self._crafted(query, self.crafted[name, kind])
        if self.strip:
            query.use_edns(False)
            query.flags &= ~(dns.flags.AD | dns.flags.CD)
            wire = query.to_wire()
        answer = await self._ask(wire, transport)
        if answer and how == "forge":
            return _forge(answer)
        if answer and self.lie:
            return answer[:3] + bytes([answer[3] | dns.flags.AD]) + answer[4:]
        return answer

    @staticmethod
    def _crafted(query, rrsets):
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        response.answer = list(rrsets)
        return response.to_wire(max_size=65535)

    async def _ask(self, wire, transport):
        ask = self._ask_udp if transport == "udp" else self._ask_tcp
        try:
            return await asyncio.wait_for(ask(wire), PATIENCE)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            return None

    async def _ask_udp(self, wire):
        loop = self._loop.asyncio
        answer = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Ask(wire, answer),
            remote_addr=(self.upstream.ip, self.upstream.port),
        )
        try:
            return await answer
        finally:
            transport.close()

    async def _ask_tcp(self, wire):
        reader, writer = await asyncio.open_connection(
            self.upstream.ip, self.upstream.port
        )
        try:
            writer.write(struct.pack("!H", len(wire)) + wire)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            return await reader.readexactly(length)
        finally:
            writer.close()
