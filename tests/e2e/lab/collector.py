"""A place that takes reports by HTTPS POST.

    c = Collector(loop, ca.good("tls.a.test"), ip, port)
    c.status = 500                  # what it answers from now on
    c.posts                         # [Post]: path, headers, body
"""

import asyncio
import collections

Post = collections.namedtuple("Post", "line headers body")


class Collector:
    def __init__(self, loop, cert, ip, port):
        self.ip, self.port, self.status = ip, port, 201
        self.posts = []
        self._loop = loop
        self._server = loop.run(
            asyncio.start_server(self._serve, ip, port, ssl=cert.context())
        )

    def close(self):
        self._loop.run(self._close())

    async def _close(self):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").split("\r\n")
            headers = dict(f.split(": ", 1) for f in fields if ": " in f)
            length = int(headers.get("Content-Length", 0))
            self.posts.append(Post(line, headers, await reader.readexactly(length)))
            writer.write(f"HTTP/1.1 {self.status} So\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
