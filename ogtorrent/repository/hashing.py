"""One read of an image serves all its digests: SHA-1 of every piece, MD5 of all and of the last MiB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TAIL = 1024 * 1024  # bytes that `image.sum` covers (ogCalculateChecksum)
# Large enough that the threads rarely meet, small enough to stay in a processor's cache.
CHUNK = 4 * 1024 * 1024
BUFFERS = 4

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Digests:
    pieces: bytes  # SHA-1s in a row
    tail_sum: str
    full_sum: str


def hash_files(files: Sequence[Path], piece_length: int, progress: Progress) -> Digests:
    """The digests of files as one stream, in order. Calls `progress` with bytes read so far.

    MD5 cannot be split and is the slowest, so it has a thread of its own; this thread reads and
    hashes the pieces meanwhile (hashlib gives up the GIL). Raises OSError.
    """
    chunk = max(CHUNK, piece_length)  # both are powers of two: a chunk is whole pieces
    size = sum(file.stat().st_size for file in files)
    pieces = bytearray()
    full = hashlib.md5(usedforsecurity=False)
    tail = hashlib.md5(usedforsecurity=False)
    done = 0

    def digest_stream(data: memoryview, start: int) -> None:
        full.update(data)
        if start + len(data) > size - TAIL:
            tail.update(data[max(0, size - TAIL - start) :])

    with ThreadPoolExecutor(1, "md5") as executor:
        pending: list[Future[None]] = []
        for data in _chunks(files, chunk):
            pending.append(executor.submit(digest_stream, data, done))
            for start in range(0, len(data), piece_length):
                piece = data[start : start + piece_length]
                pieces += hashlib.sha1(piece, usedforsecurity=False).digest()
            done += len(data)
            progress(done)
            if len(pending) == BUFFERS - 1:  # then the next buffer in turn is free again
                pending.pop(0).result()
        for future in pending:
            future.result()
    return Digests(bytes(pieces), tail.hexdigest(), full.hexdigest())


def _chunks(files: Sequence[Path], chunk: int) -> Iterator[memoryview]:
    """The stream in chunks of that many bytes, the last one shorter; a few buffers in turn."""
    buffers = [memoryview(bytearray(chunk)) for _ in range(BUFFERS)]
    turn = filled = 0
    for path in files:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffers[turn][filled:]):
                filled += count
                if filled == chunk:
                    yield buffers[turn]
                    turn, filled = (turn + 1) % BUFFERS, 0
    if filled:
        yield buffers[turn][:filled]
