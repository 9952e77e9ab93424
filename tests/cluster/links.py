"""The network between the nodes, as a test may cut it: one small TCP relay for each directed pair.

A node's ini names the relays as its peers' addresses, so the product knows nothing of it.  A cut link
takes connections and bytes and passes nothing on, as a network that drops packets does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable
from typing import Any

Pair = tuple[str, str]


class Links:
    """Relays in a thread of their own; a context manager."""

    def __init__(self, addresses: dict[str, tuple[str, int]]) -> None:
        """`addresses` are the nodes' real ones."""
        self._addresses = addresses
        self._cut: set[Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._open: dict[Pair, set[asyncio.StreamWriter]] = {}
        self._servers: list[asyncio.Server] = []
        self.urls: dict[Pair, str] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Links:
        self._thread.start()
        for source in self._addresses:
            for target in self._addresses:
                if source != target:
                    self._call(self._listen((source, target)))
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def cut(self, one_side: Iterable[str], other_side: Iterable[str]) -> None:
        """Pass nothing between the two sides, in either direction, from now on."""
        others = list(other_side)
        for source in one_side:
            for target in others:
                self._cut |= {(source, target), (target, source)}

    def heal(self) -> None:
        """Pass everything again; connections that hung are broken off."""
        healed, self._cut = self._cut, set()
        self._loop.call_soon_threadsafe(self._break_off, healed)

    def _break_off(self, pairs: set[Pair]) -> None:
        for pair in pairs:
            for writer in list(self._open.get(pair, ())):
                writer.transport.abort()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._break_off(set(self._open))
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, pair: Pair) -> None:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._relay(pair, reader, writer)

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        self._servers.append(server)
        self.urls[pair] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _relay(
        self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ours = self._open.setdefault(pair, set())
        ours.add(writer)
        back = None
        try:
            await self._passable(pair)
            come, back = await asyncio.open_connection(*self._addresses[pair[1]])
            ours.add(back)
            await asyncio.gather(self._copy(pair, reader, back), self._copy(pair, come, writer))
        except OSError:
            pass
        finally:
            for end in (writer, back):
                if end is not None:
                    ours.discard(end)
                    end.transport.abort()

    async def _copy(
        self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(1 << 16):
            await self._passable(pair)
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.transport.abort()

    async def _passable(self, pair: Pair) -> None:
        while pair in self._cut:
            await asyncio.sleep(0.02)
