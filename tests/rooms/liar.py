"""A seed that lies: liar.py TRACKER INFO_HASH PIECES PORT. It answers each request with random bytes.

It announces itself to the tracker as a seed, and prints the bytes it has sent so far, line by line.
"""

import os
import socket
import struct
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from urllib.parse import quote_from_bytes

_BITFIELD, _UNCHOKE, _REQUEST, _PIECE = 5, 1, 6, 7
tracker, info_hash, pieces, port = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
peer_id = b"-LI0001-" + os.urandom(12)


def message(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(payload), kind) + payload


def lie(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as asked:
        asked.read(68)
        connection.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + peer_id)
        everything = bytearray(
            b"\xff" * (pieces // 8) + bytes([0xFF00 >> pieces % 8 & 0xFF] * (pieces % 8 > 0))
        )
        connection.sendall(message(_BITFIELD, bytes(everything)) + message(_UNCHOKE))
        while head := asked.read(4):
            body = asked.read(struct.unpack(">I", head)[0])
            if body[:1] == bytes([_REQUEST]):
                index, begin, length = struct.unpack(">III", body[1:13])
                connection.sendall(message(_PIECE, struct.pack(">II", index, begin) + os.urandom(length)))
                print(connection.getpeername()[0], length, flush=True)


def serve(listener: socket.socket) -> None:
    while True:
        threading.Thread(target=_lie_until_hung_up, args=listener.accept()[:1], daemon=True).start()


def _lie_until_hung_up(connection: socket.socket) -> None:
    with suppress(OSError):
        lie(connection)


threading.Thread(target=serve, args=(socket.create_server(("", port)),), daemon=True).start()
query = f"info_hash={quote_from_bytes(info_hash)}&peer_id={quote_from_bytes(peer_id)}&port={port}"
while True:
    urllib.request.urlopen(f"{tracker}?{query}&uploaded=0&downloaded=0&left=0&event=started").read()
    time.sleep(5)
