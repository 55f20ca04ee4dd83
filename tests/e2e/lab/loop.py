"""One asyncio loop, in a thread of its own, for all servers of the lab."""

import asyncio
import threading

from .patience import PATIENCE


class Loop:
    def __init__(self):
        self.asyncio = asyncio.new_event_loop()
        self.asyncio.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        asyncio.set_event_loop(self.asyncio)
        self.asyncio.run_forever()

    def run(self, coroutine, timeout=PATIENCE):
        """Runs it on the loop and hands back what it gives."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.asyncio)
        return future.result(timeout)

    def call(self, function, *args):
        self.asyncio.call_soon_threadsafe(function, *args)

    def close(self):
        self.asyncio.call_soon_threadsafe(self.asyncio.stop)
        self._thread.join(5)
