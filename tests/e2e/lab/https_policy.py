"""The web server behind every mta-sts.DOMAIN, told apart by SNI.

    hosts.publish("a.test", policy_text)
    hosts.publish("b.test", policy_text, status=302, headers={"Location": ...})
    hosts.requests("a.test")        # [Request]: path, headers, sni
"""

import asyncio
import collections
import time

Request = collections.namedtuple("Request", "time sni line headers")


def policy(mode="enforce", mx=(), max_age=86400, eol="\r\n", extra=()):
    """The text of a policy."""
    lines = ["version: STSv1", f"mode: {mode}"]
    lines += [f"mx: {name}" for name in mx]
    lines += [f"max_age: {max_age}", *extra]
    return eol.join(lines) + eol


class _Host:
    def __init__(self, context, body, status, headers, kind, delay, raw):
        self.context = context
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.headers, self.kind = status, headers or {}, kind
        self.delay, self.raw = delay, raw

    def response(self):
        if self.raw is not None:
            return self.raw
        fields = {"Content-Length": str(len(self.body)), **self.headers}
        if self.kind is not None:
            fields["Content-Type"] = self.kind
        head = f"HTTP/1.1 {self.status} Because\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in fields.items()
        )
        return head.encode() + b"\r\n" + self.body


class PolicyHosts:
    def __init__(self, loop, authority, ip, port):
        self.ip, self.port = ip, port
        self.authority = authority
        self.log = []
        self._hosts = {}
        self._loop = loop
        self._context = authority.good("nobody.test").context()
        self._context.sni_callback = self._pick
        loop.run(self._start())

    async def _start(self):
        self._server = await asyncio.start_server(
            self._serve, self.ip, self.port, ssl=self._context
        )

    def _pick(self, ssl_object, name, _context):
        ssl_object.lab_sni = name
        host = self._hosts.get(name)
        if host:
            ssl_object.context = host.context

    def publish(
        self,
        domain,
        body,
        cert=None,
        status=200,
        headers=None,
        kind="text/plain",
        delay=0,
        raw=None,
    ):
        """raw: the whole response in octets, instead of all of that."""
        name = f"mta-sts.{domain}"
        cert = cert or self.authority.good(name)
        self._hosts[name] = _Host(
            cert.context(), body, status, headers, kind, delay, raw
        )

    def withdraw(self, domain):
        """The host is still there; it answers 404."""
        self._hosts[f"mta-sts.{domain}"].raw = (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        )

    def requests(self, domain):
        return [r for r in list(self.log) if r.sni == f"mta-sts.{domain}"]

    async def _serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").split("\r\n")
            headers = dict(f.split(": ", 1) for f in fields if ": " in f)
            sni = getattr(writer.get_extra_info("ssl_object"), "lab_sni", None)
            host = self._hosts.get(sni)
            self.log.append(Request(time.monotonic(), sni, line, headers))
            if host and host.delay:
                await asyncio.sleep(host.delay)
            writer.write(
                host.response()
                if host
                else b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
