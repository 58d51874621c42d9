"""A TCP proxy on loopback that fails on purpose: it cuts, resets or slows the connections to a server.

Belongs here: the faults of a network, for tests of backup, restore and retention. It does not know what it carries.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 1 << 16
# Linger of no time: closing sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


@dataclass
class CutProxy:
    """Carries TCP connections to `host`:`port`; change a field at any time.

    `cut_after` bytes, counted over all connections since it was set, every connection is closed and no new one gets
    through; `direction` says which bytes count: to the "server", to the "client", or "both". With `reset` it ends with
    RST. `delay` are seconds before each chunk is passed on. None of `cut_after` cuts nothing.
    """

    host: str
    port: int
    cut_after: int | None = None
    direction: str = "both"
    reset: bool = False
    delay: float = 0.0
    listens_on: int = 0
    cuts: int = 0
    passed: dict[str, int] = field(default_factory=lambda: {"server": 0, "client": 0})

    def through(self, url: str) -> str:
        """The same URL by way of this proxy."""
        parts = urlsplit(url)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.listens_on}"))

    def heal(self) -> None:
        """Carry everything again, counting from zero."""
        self.cut_after, self.passed = None, {"server": 0, "client": 0}

    def _left(self) -> int | None:
        counted = sum(n for way, n in self.passed.items() if self.direction in (way, "both"))
        return None if self.cut_after is None else max(0, self.cut_after - counted)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        ends = [writer, upstream[1]]
        ways = [(reader, upstream[1], "server"), (upstream[0], writer, "client")]
        pumps = [asyncio.create_task(self._pump(*way)) for way in ways]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for end in ends:
            if self.reset and self._left() == 0:
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.transport.abort()
            end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await asyncio.sleep(self.delay)
                left = self._left() if self.direction in (way, "both") else None
                # Counted first: who receives it may look at once.
                self.passed[way] += len(chunk[:left])
                writer.write(chunk[:left])
                await writer.drain()
                if self._left() == 0:
                    self.cuts += 1
                    return


@contextlib.contextmanager
def cut_proxy(url: str, **faults: object) -> Iterator[CutProxy]:
    """A running proxy in front of the server of `url`; `faults` are fields of CutProxy. On exit all ends."""
    parts = urlsplit(url)
    proxy = CutProxy(parts.hostname or "127.0.0.1", parts.port or 5432, **faults)  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(proxy._serve, "127.0.0.1", 0))
    proxy.listens_on = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
