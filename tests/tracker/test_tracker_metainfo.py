"""What is read from a torrent file, and what a hostile one can do."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import bencode2
import libtorrent as lt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.bencode import MalformedError, Walk
from tracker.metainfo import LARGEST_FILE, UnusableTorrentError, parse_torrent, read_torrent

PIECES = b"p" * 20


def torrent(info: dict[bytes, Any]) -> bytes:
    return bytes(bencode2.bencode({b"announce": b"x", b"info": info, b"url-list": []}))


def made_by_libtorrent(folder: Path, flags: int) -> tuple[bytes, int]:
    image = folder / "images"
    (image / "sub").mkdir(parents=True)
    for name, size in (("a.img", 100_000), ("sub/b.img", 1), ("sub/empty", 0)):
        (image / name).write_bytes(os.urandom(size))
    files = lt.list_files(str(image))
    made = lt.create_torrent(files, piece_size=16384, flags=flags)
    lt.set_piece_hashes(made, str(folder))
    return bytes(lt.bencode(made.generate())), 100_001


@pytest.mark.parametrize("kind", ["v1_only", "v2_only", "hybrid"])
def test_hashes_and_sizes_are_those_of_libtorrent(tmp_path: Path, kind: str) -> None:
    flags = 0 if kind == "hybrid" else getattr(lt.create_torrent, kind)
    data, size = made_by_libtorrent(tmp_path, flags)
    theirs = lt.torrent_info(lt.bdecode(data)).info_hashes()
    ours = parse_torrent(data)
    expected = []
    if theirs.has_v1():
        expected.append(theirs.v1.to_bytes())
    if theirs.has_v2():
        expected.append(theirs.v2.to_bytes()[:20])
    assert list(ours.info_hashes) == expected
    assert (ours.size, ours.piece_length) == (size, 16384)


def test_the_hash_is_of_the_bytes_as_they_stand() -> None:
    # Keys out of order and a leading zero: no encoder would write this again.
    info = b"d6:pieces20:" + PIECES + b"12:piece lengthi8e6:lengthi05ee"
    assert parse_torrent(b"d4:info" + info + b"e").info_hashes == (hashlib.sha1(info).digest(),)


def test_padding_is_no_part_of_the_size() -> None:
    files = [{b"length": 5, b"path": [b"a"]}, {b"attr": b"p", b"length": 3, b"path": [b".pad"]}]
    info = {b"files": files, b"name": b"x", b"piece length": 8, b"pieces": PIECES}
    assert parse_torrent(torrent(info)).size == 5


HOSTILE = {
    "empty": b"",
    "garbage": b"\x00\xffhello",
    "a megabyte of lists": b"l" * 1_000_000,
    "a megabyte of closed lists": b"d1:a" + b"l" * 1_000_000 + b"e" * 1_000_000 + b"e",
    "a megabyte of dictionaries": b"d1:a" * 250_000,
    "a nested info without end": b"d4:infod12:piece lengthi8e12:meta versioni2e9:file tree"
    + b"d1:a" * 250_000,
    "a nested info": b"d4:infod12:piece lengthi8e12:meta versioni2e9:file tree"
    + b"d1:a" * 250_000
    + b"e" * 250_000
    + b"ee",
    "a string past the end": b"d4:info9999999999:abc",
    "a number of a million digits": b"d4:infoi" + b"9" * 1_000_000 + b"ee",
    "a length of a million digits": b"9" * 1_000_000 + b":",
    "no info": b"d1:ai1ee",
    "info is a list": b"d4:infolee",
    "a key is a number": b"di1ei2ee",
    "a lone end": b"e",
    "a key without value": b"d1:ael4:info"
    + bencode2.bencode({b"length": 5, b"piece length": 8, b"pieces": PIECES})
    + b"e",
    "no pieces": torrent({b"length": 5, b"piece length": 8}),
    "no size": torrent({b"piece length": 8, b"pieces": PIECES}),
    "a negative size": torrent({b"length": -5, b"piece length": 8, b"pieces": PIECES}),
    "a piece length of nothing": torrent({b"length": 5, b"piece length": 0, b"pieces": PIECES}),
    "files without length": torrent({b"files": [{}], b"piece length": 8, b"pieces": PIECES}),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_torrent_is_refused_with_a_reason(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.torrent"
    path.write_bytes(data)
    with pytest.raises(UnusableTorrentError, match="it is not a torrent: "):
        read_torrent(path)


def test_a_string_that_goes_past_the_end_is_told() -> None:
    with pytest.raises(MalformedError, match="the string at byte 7 goes past the end"):
        parse_torrent(b"d4:info9:abc")


def test_a_file_of_too_many_values_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.bencode._MOST_STEPS", 1000)
    with pytest.raises(MalformedError, match="too many"):
        parse_torrent(b"d1:al" + b"le" * 1000 + b"ee")


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "x.torrent"
    path.touch()
    os.truncate(path, LARGEST_FILE + 1)
    with pytest.raises(UnusableTorrentError, match="64 MiB"):
        read_torrent(path)


def test_a_pipe_does_not_hold_the_tracker_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.torrent")
    with pytest.raises(UnusableTorrentError, match="regular"):
        read_torrent(tmp_path / "x.torrent")


values = st.recursive(
    st.integers(-(2**62), 2**62) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.binary(max_size=8), values, max_size=5), st.binary(max_size=5))
def test_a_walk_finds_each_value_where_it_stands(tree: dict[bytes, Any], after: bytes) -> None:
    data = bytes(bencode2.bencode(tree)) + after
    found = {key: bencode2.bdecode(data[start:end]) for key, start, end in Walk(data).entries(0)}
    assert found == tree


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text("dlie0123456789:-", max_size=200).map(str.encode))
def test_any_bytes_are_a_torrent_or_malformed(noise: bytes) -> None:
    with suppress(MalformedError):
        parse_torrent(b"d4:info" + noise)
