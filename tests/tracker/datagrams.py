"""A client of the UDP door, spoken to datagram by datagram (BEP 15)."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

PROTOCOL_ID = 0x41727101980


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: object) -> None:
        self.got.put_nowait(data)


@dataclass
class Client:
    """A client that speaks raw BEP 15."""

    transport: asyncio.DatagramTransport
    protocol: Datagrams

    async def ask(self, data: bytes) -> bytes:
        self.transport.sendto(data)
        async with asyncio.timeout(10):
            return await self.protocol.got.get()

    async def insist(self, data: bytes, pause: float = 3) -> bytes:
        """Ask again, as BEP 15 has it, where a datagram is lost: its own answer and no other."""
        async with asyncio.timeout(30):
            while True:
                self.transport.sendto(data)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        while (reply := await self.protocol.got.get())[4:8] != data[12:16]:
                            pass
                        return reply

    async def connect(self) -> bytes:
        reply = await self.ask(struct.pack(">QII", PROTOCOL_ID, 0, 7))
        assert (len(reply), reply[:8]) == (16, struct.pack(">II", 0, 7))
        return reply[8:]

    async def announce(self, connection: bytes, image: bytes, **more: Any) -> bytes:
        return await self.ask(announce(connection, image, **more))


def announce(
    connection: bytes,
    image: bytes,
    left: int = 1000,
    event: int = 0,
    numwant: int = -1,
    port: int = 6881,
    ip: bytes = bytes(4),
) -> bytes:
    head = struct.pack(">8sII20s20s", connection, 1, 8, image, b"-XX0001-udp-%08d" % port)
    return head + struct.pack(">QQQI4sIiH", 0, left, 0, event, ip, 5, numwant, port)


@asynccontextmanager
async def client(port: int, address: str = "127.0.0.2", host: str = "127.0.0.1") -> AsyncIterator[Client]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, local_addr=(address, 0), remote_addr=(host, port)
    )
    try:
        yield Client(transport, protocol)
    finally:
        transport.close()
