"""A DNS server that knows all zones at once, and misbehaves by the name.

    dns.add("a.test", "MX", "10 mx.a.test.")
    dns.behave("b.test", "servfail")            # every type
    dns.behave("c.test", "timeout", "MX")       # one type
    dns.asked("a.test", "MX")                   # how often, "udp" and "tcp"

Behaviours: servfail, refused, timeout, truncate (UDP answers are cut, TCP
ones are not), nxdomain, nodata.  A name without records is NODATA when there
is something below it, else NXDOMAIN.
"""

import asyncio
import collections
import struct
import time

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Question = collections.namedtuple("Question", "time name type transport")

CNAMES_MAX = 8


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server):
        self.server = server

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        answer = self.server.answer(data, "udp")
        if answer:
            self.transport.sendto(answer, peer)


class Dns:
    def __init__(self, loop, ip, port):
        self.ip, self.port = ip, port
        self.zones = {}  # name -> {type: (ttl, [text])}
        self.behaviours = {}  # (name, type or None) -> behaviour
        self.questions = []
        self.negative_ttl = 1
        self._loop = loop
        loop.run(self._start())

    async def _start(self):
        loop = self._loop.asyncio
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Udp(self), local_addr=(self.ip, self.port)
        )
        self._tcp = await asyncio.start_server(self._serve_tcp, self.ip, self.port)

    async def _serve_tcp(self, reader, writer):
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length), "tcp")
                if answer:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    # --- what it knows ---

    def add(self, name, kind, *texts, ttl=60):
        """Adds records, in the form of a zone file."""
        records = self.zones.setdefault(name.lower(), {})
        _, old = records.get(kind, (ttl, []))
        records[kind] = (ttl, old + list(texts))

    def put(self, name, kind, *texts, ttl=60):
        """Replaces the records of one type."""
        self.drop(name, kind)
        self.add(name, kind, *texts, ttl=ttl)

    def txt(self, name, *strings, ttl=60):
        """One TXT record made of these strings."""
        quoted = " ".join('"' + s.replace('"', '\\"') + '"' for s in strings)
        self.add(name, "TXT", quoted, ttl=ttl)

    def drop(self, name, kind=None):
        if kind is None:
            self.zones.pop(name.lower(), None)
        else:
            self.zones.get(name.lower(), {}).pop(kind, None)

    def behave(self, name, how, kind=None):
        """how None: well again."""
        if how is None:
            self.behaviours.pop((name.lower(), kind), None)
        else:
            self.behaviours[name.lower(), kind] = how

    def asked(self, name, kind=None, transport=None):
        return sum(
            1
            for q in self.questions
            if q.name == name.lower()
            and kind in (None, q.type)
            and transport in (None, q.transport)
        )

    # --- what it says ---

    def answer(self, wire, transport):
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
        response = dns.message.make_response(query, recursion_available=True)
        if how in ("servfail", "refused"):
            response.set_rcode(dns.rcode.from_text(how.upper()))
        elif how == "truncate" and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind, how)
        return self._fit(query, response, transport)

    def _fit(self, query, response, transport):
        """Over UDP no more than fits, as a resolver does it."""
        wire = response.to_wire(max_size=65535)
        limit = query.payload if query.edns >= 0 else 512
        if transport == "udp" and len(wire) > max(limit, 512):
            cut = dns.message.make_response(query, recursion_available=True)
            cut.flags |= dns.flags.TC
            return cut.to_wire()
        return wire

    def _fill(self, response, name, kind, how):
        for _ in range(CNAMES_MAX):
            records = self.zones.get(name, {})
            if kind in records and how not in ("nxdomain", "nodata"):
                self._put_records(response, name, kind, *records[kind])
                return
            if "CNAME" not in records:
                break
            self._put_records(response, name, "CNAME", *records["CNAME"])
            name = records["CNAME"][1][0].rstrip(".").lower()
        exists = name in self.zones or any(
            other.endswith("." + name) for other in self.zones
        )
        if how == "nxdomain" or (not exists and how != "nodata"):
            response.set_rcode(dns.rcode.NXDOMAIN)
        ttl = self.negative_ttl
        soa = f"ns.lab.test. root.lab.test. 1 60 60 60 {ttl}"
        response.authority.append(
            dns.rrset.from_text(name.split(".")[-1] + ".", ttl, "IN", "SOA", soa)
        )

    @staticmethod
    def _put_records(response, name, kind, ttl, texts):
        response.answer.append(
            dns.rrset.from_text(name + ".", ttl, "IN", kind, *texts)
        )
