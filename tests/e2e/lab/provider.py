"""A provider that wants AUTH: a Peer with accounts.

    p = Provider(loop, ledger, "smtp.a.test", ip, port, cert=...)
    p.passwords["user"] = "secret"     # PLAIN and LOGIN
    p.tokens["user"] = {"token"}       # XOAUTH2 and OAUTHBEARER
    p.mechanisms = ["PLAIN"]           # what it offers from now on
    p.replies["AUTH"] = ["454 4.7.0 not now"]
    p.shown                            # [(mechanism, user, secret)]

What it is shown and does not take, it repeats in its reply: some do.
"""

import base64
import re

from aiosmtpd.smtp import MISSING, AuthResult

from .leaks import keep
from .peer import Peer


class Provider(Peer):
    excluded = []

    def __init__(self, *arguments, **options):
        self.passwords, self.tokens = {}, {}
        self.mechanisms = ["PLAIN", "LOGIN"]
        self.shown = []
        self.echoes = False
        self.wants_auth = True
        super().__init__(*arguments, **options)

    def users(self):
        return [user for _, user, _ in self.shown]

    async def handle_EHLO(self, server, session, envelope, name, responses):
        lines = await super().handle_EHLO(server, session, envelope, name, responses)
        if self._tls(session) and self.mechanisms:
            lines.insert(1, "250-AUTH " + " ".join(self.mechanisms))
        return lines

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.wants_auth and not session.authenticated:
            return "530 5.7.0 Authentication required"
        return await super().handle_MAIL(server, session, envelope, address, options)

    def _judge(self, mechanism, user, secret, good, raw=b""):
        self.shown.append((mechanism, user, keep(secret)))
        reply = self.reply("AUTH")
        if reply:
            return AuthResult(success=False, handled=False, message=reply)
        if good:
            return AuthResult(success=True)
        said = f" ({secret} {raw.decode('latin-1')})" if self.echoes else ""
        return AuthResult(
            success=False, handled=False, message=f"535 5.7.8 not accepted{said}"
        )

    async def _first(self, server, args):
        if len(args) > 1:
            return base64.b64decode(args[1]), args[1].encode()
        got = await server.challenge_auth("")
        return got, b"" if got is MISSING else base64.b64encode(got)

    async def auth_PLAIN(self, server, args):
        got, raw = await self._first(server, args)
        if got is MISSING:
            return AuthResult(success=False)
        _, user, secret = got.decode().split("\0")
        return self._judge(
            "PLAIN", user, secret, self.passwords.get(user) == secret, raw
        )

    async def auth_LOGIN(self, server, args):
        user = await server.challenge_auth("User Name")
        secret = await server.challenge_auth("Password")
        user, secret = user.decode(), secret.decode()
        return self._judge(
            "LOGIN", user, secret, self.passwords.get(user) == secret
        )

    async def _token(self, server, mechanism, got, raw, user):
        token = re.search(r"\x01auth=Bearer ([^\x01]*)\x01\x01$", got.decode())[1]
        if token in self.tokens.get(user, ()):
            return self._judge(mechanism, user, token, True)
        # What RFC 7628 section 3.2.2 has it say first.
        await server.challenge_auth('{"status":"401","schemes":"bearer"}')
        return self._judge(mechanism, user, token, False, raw)

    async def auth_XOAUTH2(self, server, args):
        got, raw = await self._first(server, args)
        user = re.match(r"user=([^\x01]*)\x01", got.decode())[1]
        return await self._token(server, "XOAUTH2", got, raw, user)

    async def auth_OAUTHBEARER(self, server, args):
        got, raw = await self._first(server, args)
        user = re.match(r"n,a=([^\x01]*),\x01", got.decode())[1]
        return await self._token(server, "OAUTHBEARER", got, raw, user)
