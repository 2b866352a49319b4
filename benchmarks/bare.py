"""Servers that do nothing but answer, always the same: what the framework itself costs.

python -m benchmarks.bare http 127.0.0.1 6969 300
"""

from __future__ import annotations

import asyncio
from typing import cast

import click
from aiohttp import web


class _Constant(asyncio.DatagramProtocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's is none by its type.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._answer, addr)


@click.command()
@click.argument("protocol", type=click.Choice(["http", "udp"]))
@click.argument("address")
@click.argument("port", type=int)
@click.argument("length", type=int)
def main(protocol: str, address: str, port: int, length: int) -> None:
    """Answer every request at ADDRESS and PORT with LENGTH bytes."""
    serve = _serve_http if protocol == "http" else _serve_udp
    asyncio.run(serve(address, port, length))


async def _serve_http(address: str, port: int, length: int) -> None:
    # To who looks for peers it is as good as any.
    answer = b"5:peers6:".ljust(length, b"-")

    async def announce(_: web.Request) -> web.Response:
        return web.Response(body=answer, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/announce", announce)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    await asyncio.Event().wait()


async def _serve_udp(address: str, port: int, length: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Constant(bytes(length)), local_addr=(address, port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
