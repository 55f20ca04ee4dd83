"""A sink, a relay with the shim, and clients one message at a time."""

import asyncio
import random

from rig.ledger import Ledger
from rig.load import Client, Refused, make, settle
from rig.relay import Relay
from rig.shim import Shim
from rig.sink import Sink


class World:
    def __init__(self, folder, program=None, more="", shim=True):
        self.folder = folder
        self.program = program
        self.more = more
        self.shim = Shim(folder) if shim else None
        self.ledger = Ledger()
        self.rng = random.Random(1)
        self.number = 1000000  # a Load counts from 1

    async def __aenter__(self):
        self.sink = await Sink(self.ledger).start()
        self.relay = Relay(
            self.folder, self.ledger, self.sink.port, self.program, self.more
        )
        return self

    async def __aexit__(self, *why):
        self.relay.close()
        self.sink.close()

    async def start(self, wrap=(), timeout=60):
        await self.relay.start(wrap, self.shim and self.shim.env, timeout)

    async def restart(self):
        """After a kill: as if nothing had been."""
        await self.relay.kill()
        self.shim.let_live()
        await self.start()

    def message(self, kinds=("ok",), size=300):
        self.number += 1
        return make(self.number, kinds, size, self.rng, self.ledger)

    async def send(self, kinds=("ok",), size=300):
        """One message on a connection of its own: the reply, "" when the
        relay is gone."""
        client = Client(self.relay.port)
        message, body = self.message(kinds, size)
        try:
            await client.open()
            reply = await client.send(message, body)
            self.ledger.ack(message)
            return reply
        except Refused as e:
            return str(e)
        except (OSError, EOFError):
            return ""
        finally:
            client.close()

    async def settle(self, timeout=30):
        """I1, at rest."""
        done = await settle(self.ledger, timeout)
        lost = self.ledger.lost()
        assert done or self.relay.is_up(), f"it died\n{self.relay.tail()}"
        assert done, f"{len(lost)} lost, {lost[:10]}\n{self.relay.tail()}"

    async def end(self):
        """Everything that must hold when all is over."""
        await self.settle()
        await self.quiet()
        await self.relay.stop()
        self.ledger.check()
        rows = self.relay.check_database()
        assert rows == {"recipient": 0, "body": 0, "spill": 0}, rows

    async def quiet(self, time=1.0):
        """Also what nobody was promised is delivered by then."""
        seen = -1
        while seen != self.sink.accepted:
            seen = self.sink.accepted
            await asyncio.sleep(time)
