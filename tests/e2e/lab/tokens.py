"""A token endpoint: what RFC 6749 has a client ask, answered as ordered.

    t = Tokens(loop, ca.good("login.a.test"), ip, port)
    t.life = 5                       # of the tokens it gives from now on, s
    t.answers = [t.refusal("invalid_grant", "expired")]   # first, each once
    t.asked                          # the forms, as dicts
    t.given                          # the tokens
"""

import asyncio
import itertools
import json
import time
import urllib.parse

from .leaks import keep


class Tokens:
    def __init__(self, loop, cert, ip, port):
        self.ip, self.port = ip, port
        self.life = 3600
        self.rotates = False  # a new refresh token with each answer
        self.delay = 0  # s before each answer
        self.answers = []
        self.asked, self.given, self.times, self.heads = [], [], [], []
        self._numbers = itertools.count(1)
        self._loop = loop
        self._server = loop.run(
            asyncio.start_server(self._serve, ip, port, ssl=cert.context())
        )

    def close(self):
        self._loop.run(self._close())

    async def _close(self):
        self._server.close()

    @staticmethod
    def answer(body, status="200 OK", media_type="application/json"):
        body = body if isinstance(body, bytes) else body.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n"
        )
        return head.encode() + body

    def refusal(self, error, description="", status="400 Bad Request"):
        body = {"error": error, "error_description": description}
        return self.answer(json.dumps(body), status)

    def _grant(self):
        # Dots and dashes, as in a JWT.
        token = f"eyJ0.{next(self._numbers)}-secret-access-token.{time.monotonic_ns()}"
        self.given.append(token)
        keep("-secret-access-token.")
        body = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.life,
        }
        if self.rotates:
            body["refresh_token"] = f"rotated-refresh-token-{len(self.given)}"
            keep("rotated-refresh-token-")
        return self.answer(json.dumps(body))

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(
                f.split(": ", 1) for f in head.split("\r\n")[1:] if ": " in f
            )
            body = await reader.readexactly(int(fields.get("Content-Length", 0)))
            self.heads.append(head)
            self.asked.append(dict(urllib.parse.parse_qsl(body.decode())))
            self.times.append(time.monotonic())
            await asyncio.sleep(self.delay)
            what = self.answers.pop(0) if self.answers else self._grant()
            if what is None:  # never
                await asyncio.sleep(60)
                return
            writer.write(what)
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
