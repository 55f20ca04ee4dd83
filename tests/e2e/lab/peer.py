"""An MX host that behaves: aiosmtpd, with TLS, DSN and replies to order.

    mx = Peer(loop, ledger, "mx.a.test", ip, port, cert=ca.good("mx.a.test"))
    mx.replies["RCPT"] = {"bad@a.test": ["450 4.2.1 later", None]}
    mx.replies["DOT"] = ["451 4.3.0 not now"]

A reply is used up when given; None means "as usual", and when the list is
empty things are as usual too.  A list in a list is never used up.
"""

import asyncio
import itertools
import logging
import ssl
import time

from aiosmtpd.smtp import SMTP, TLSSetupException

from .ledger import Delivery, Tls

logging.getLogger("mail.log").setLevel(logging.CRITICAL)


def _split(arg, *known):
    """Takes the parameters that aiosmtpd does not know out of a command."""
    words, taken = (arg or "").split(" "), []
    for word in list(words[1:]):
        if word.partition("=")[0].upper() in known:
            words.remove(word)
            taken.append(word)
    return " ".join(words), taken


class _Server(SMTP):
    line_length_limit = 1 << 20

    def __init__(self, peer, **options):
        super().__init__(peer, **options)
        self.lab_peer = peer
        self.lab_number = next(peer.sessions)
        self.lab_mail_args, self.lab_rcpt_args = [], []
        self.lab_sni = None

    async def smtp_MAIL(self, arg):
        self.lab_peer.commands.append(f"MAIL {arg}")
        arg, self.lab_mail_args = _split(arg, "RET", "ENVID", "REQUIRETLS")
        self.lab_rcpt_args = []
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg):
        self.lab_peer.commands.append(f"RCPT {arg}")
        arg, self.lab_args = _split(arg, "NOTIFY", "ORCPT")
        await super().smtp_RCPT(arg)

    async def smtp_STARTTLS(self, arg):
        self.lab_peer.commands.append("STARTTLS")
        reply = self.lab_peer.reply("STARTTLS")
        if reply:
            await self.push(reply)
            return
        try:
            await super().smtp_STARTTLS(arg)
        except TLSSetupException:
            self.lab_peer.tls_failures += 1
            raise asyncio.CancelledError from None


class Peer:
    excluded = ["LOGIN", "PLAIN"]  # of aiosmtpd's own mechanisms
    def __init__(
        self,
        loop,
        ledger,
        host,
        ip,
        port,
        cert=None,
        offer=True,
        lowest=ssl.TLSVersion.TLSv1_2,
        highest=None,
        implicit=False,
        dsn=True,
        utf8=True,
        pipelining=True,
        size=0,
        says=None,
        requiretls=False,
        eightbit=True,
        client_ca=None,
    ):
        """client_ca: of clients, who have to show a certificate then.
        cert None: no TLS.  offer False: STARTTLS is stripped on the way.
        says: the name that it gives itself."""
        self.host, self.ip, self.port = host, ip, port
        self.ledger = ledger
        self.replies = {}
        self.commands = []
        self.keywords = []  # offered besides
        self.clients = {}  # address, by number of session
        self.sessions = itertools.count(1)
        self.connections = 0
        self.open = 0
        self.open_most = 0
        self.tls_failures = 0
        self.delay = 0  # s before the answer to the dot
        self._dsn, self._pipelining = dsn, pipelining
        self._requiretls, self._eightbit = requiretls, eightbit
        self._loop = loop
        self.cert = cert
        context = cert.context(lowest, highest) if cert else None
        if context and client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        if context:
            context.sni_callback = self._note_sni
        self._sni = {}
        self._options = {
            "hostname": says or host,
            "ident": "ESMTP lab",
            "enable_SMTPUTF8": utf8,
            "data_size_limit": size or None,
            "tls_context": context if offer and not implicit else None,
            "auth_require_tls": True,
            "auth_exclude_mechanism": self.excluded,
            "timeout": 60,
            "loop": loop.asyncio,
        }
        self._implicit = context if implicit else None
        self._server = loop.run(self._listen())

    async def _listen(self):
        return await self._loop.asyncio.create_server(
            lambda: _Server(self, **self._options),
            self.ip,
            self.port,
            ssl=self._implicit,
            reuse_address=True,
        )

    def close(self):
        self._loop.run(self._close())

    async def _close(self):
        self._server.close()

    def _note_sni(self, ssl_object, name, _context):
        self._sni[id(ssl_object)] = name

    def reply(self, verb, key=None):
        """The reply that was ordered, or None.  An order may be a function."""
        found = self.replies.get(verb)
        if callable(found):
            return found(key)
        if isinstance(found, dict):
            found = found.get(key)
        if not found:
            return None
        if isinstance(found[0], list):
            return found[0][0]
        return found.pop(0)

    # --- hooks of aiosmtpd ---

    async def handle_EHLO(self, server, session, envelope, name, responses):
        session.host_name = name
        self.commands.append(f"EHLO {name}")
        self.clients[server.lab_number] = session.peer[0]
        reply = self.reply("EHLO")
        if reply:
            return [reply]
        extra = ["250-DSN"] * self._dsn + ["250-PIPELINING"] * self._pipelining
        extra += [f"250-{word}" for word in self.keywords]
        # RFC 8689 section 2: inside TLS only.
        extra += ["250-REQUIRETLS"] * bool(self._requiretls and self._tls(session))
        plain = [r for r in responses if not r.startswith("250-AUTH")]
        if not self._eightbit:
            plain = [r for r in plain if "8BITMIME" not in r]
        return plain[:-1] + extra + plain[-1:]

    async def handle_MAIL(self, server, session, envelope, address, options):
        reply = self.reply("MAIL")
        if reply is None:
            # aiosmtpd takes an empty path for "no MAIL yet".
            envelope.mail_from = address or "<>"
        return reply or "250 2.1.0 ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = self.reply("RCPT", address)
        if reply is None or reply.startswith("2"):
            envelope.rcpt_tos.append(address)
            server.lab_rcpt_args.append(server.lab_args)
        return reply or "250 2.1.5 ok"

    def _tls(self, session):
        extra = session.ssl
        if extra is None and self._implicit:
            return Tls("implicit", None, None)
        if extra is None:
            return None
        o = extra["ssl_object"]
        return Tls(o.version(), o.cipher()[0], self._sni.get(id(o)))

    async def handle_DATA(self, server, session, envelope):
        if self.delay:
            await asyncio.sleep(self.delay)
        reply = self.reply("DOT")
        if reply is None or reply.startswith("2"):
            self.ledger.add(
                Delivery(
                    self,
                    self.host,
                    envelope.mail_from,
                    server.lab_mail_args,
                    list(envelope.rcpt_tos),
                    list(server.lab_rcpt_args),
                    self._tls(session),
                    bytes(envelope.content),
                    server.lab_number,
                    time.monotonic(),
                )
            )
        return reply or "250 2.0.0 kept"
