"""One read's digests against the plainest way to compute them."""

import hashlib
import itertools
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ogtorrent.repository import hashing
from ogtorrent.repository.hashing import CHUNK, TAIL, Digests, hash_files

CONTENT = random.Random(1).randbytes(4 * CHUNK + TAIL)
PIECE = 16 * 1024


def plainly(content: bytes, piece: int) -> Digests:
    pieces = [content[start : start + piece] for start in range(0, len(content), piece)]
    return Digests(
        b"".join(hashlib.sha1(part).digest() for part in pieces),
        hashlib.md5(content[-TAIL:]).hexdigest(),
        hashlib.md5(content).hexdigest(),
    )


def written(folder: Path, sizes: list[int]) -> list[Path]:
    """Files of those sizes that make one stream."""
    files = []
    for number, (start, size) in enumerate(zip(itertools.accumulate([0, *sizes]), sizes, strict=False)):
        files.append(folder / f"{number:03}")
        files[-1].write_bytes(CONTENT[start : start + size])
    return files


@pytest.mark.parametrize(
    "size",
    [
        1,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        TAIL - 1,
        TAIL,
        TAIL + 1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        CHUNK + TAIL - 1,
        CHUNK + TAIL + 1,
        4 * CHUNK + 5,
    ],
)
def test_one_read_gives_every_digest_at_every_boundary(tmp_path: Path, size: int) -> None:
    assert hash_files(written(tmp_path, [size]), PIECE, lambda done: None) == plainly(CONTENT[:size], PIECE)


@pytest.mark.parametrize(
    "sizes",
    [
        [PIECE, PIECE],
        [TAIL - 1, 1, 1],
        [1, TAIL],
        [CHUNK - 1, 2, 0, CHUNK],
        [0, 5, 0],
        [CHUNK, CHUNK, CHUNK, CHUNK, TAIL],
    ],
)
def test_several_files_are_one_stream(tmp_path: Path, sizes: list[int]) -> None:
    found = hash_files(written(tmp_path, sizes), PIECE, lambda done: None)
    assert found == plainly(CONTENT[: sum(sizes)], PIECE)


def test_progress_counts_the_bytes_read_to_the_last_one(tmp_path: Path) -> None:
    told: list[int] = []
    hash_files(written(tmp_path, [CHUNK, CHUNK, 5]), PIECE, told.append)
    assert told == [CHUNK, 2 * CHUNK, 2 * CHUNK + 5]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=6), power=st.integers(4, 9))
def test_any_files_and_any_pieces_hash_as_plainly(
    tmp_path: Path, sizes: list[int], power: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "CHUNK", 64)
    monkeypatch.setattr(hashing, "TAIL", 100)
    content = CONTENT[: sum(sizes)]
    found = hash_files(written(tmp_path, sizes), 2**power, lambda done: None)
    naive = plainly(content, 2**power)
    assert (found.pieces, found.full_sum) == (naive.pieces, naive.full_sum)
    assert found.tail_sum == hashlib.md5(content[-100:]).hexdigest()
