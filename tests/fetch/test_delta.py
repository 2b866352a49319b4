"""Which bytes of the cache are offered as pieces of a new image."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from ogtorrent.fetch.delta import Copy, by_content, by_place
from ogtorrent.layout import ImagePath
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import File, Metainfo, Stamp
from ogtorrent.swarm.torrent import places

PIECE = metainfo.SMALLEST_PIECE
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
Files = dict[str, bytes]
# A few blocks that recur, and lengths around the boundaries of a piece, so that files and pieces share some.
BLOCKS = [random.Random(number).randbytes(PIECE) for number in range(4)] + [bytes(PIECE)]
blocks = st.lists(st.sampled_from(BLOCKS), max_size=6).map(b"".join)
tails = st.sampled_from([0, 1, PIECE - 1]).map(lambda length: BLOCKS[0][:length])
contents = st.tuples(blocks, tails).map(b"".join)
images = st.dictionaries(st.sampled_from("abc"), contents, min_size=1).filter(
    lambda files: any(files.values())
)
lengths = st.sampled_from([PIECE, 2 * PIECE])


def described(files: Files, piece_length: int = PIECE) -> Metainfo:
    """An image: of files, or a single one under the name of nothing."""
    image = ImagePath.parse("clone.img")
    listed = [File(image.parts + ((name,) if name else ()), len(files[name])) for name in sorted(files)]
    stream = b"".join(files[name] for name in sorted(files))
    pieces = b"".join(
        hashlib.sha1(stream[start : start + piece_length]).digest()
        for start in range(0, len(stream), piece_length)
    )
    stamp = Stamp((0,) * len(files), MD5, MD5)
    return metainfo.encode("images", image, listed, piece_length, pieces, stamp, ())


def disk(image: Path, files: Files) -> dict[Path, bytes]:
    return {image / name if name else image: content for name, content in files.items()}


def taken(copy: Copy, standing: dict[Path, bytes]) -> bytes:
    made = b""
    for part in copy.parts:
        assert part.length > 0
        assert part.offset + part.length <= len(standing[part.path])
        made += standing[part.path][part.offset : part.offset + part.length]
    return made


def piece(files: Files, index: int, piece_length: int) -> bytes:
    stream = b"".join(files[name] for name in sorted(files))
    return stream[index * piece_length : (index + 1) * piece_length]


@given(images, lengths, st.lists(st.tuples(images, lengths), max_size=3))
@example({"a": BLOCKS[0]}, PIECE, [({"a": b"", "b": BLOCKS[0]}, PIECE)])
@example({"a": BLOCKS[0][:-1]}, PIECE, [({"a": BLOCKS[1], "b": BLOCKS[0][:-1]}, PIECE)])
@example({"": BLOCKS[0] + BLOCKS[1][:1]}, PIECE, [({"a": BLOCKS[1][:1], "b": BLOCKS[0]}, PIECE)])
def test_by_content_every_piece_that_stands_somewhere_is_found_and_nothing_else(
    new: Files, piece_length: int, old: list[tuple[Files, int]]
) -> None:
    wanted = described(new, piece_length)
    standing, known = {}, set()
    sources = []
    for number, (files, length) in enumerate(old):
        place = Path(f"/cache/{number}")
        standing.update(disk(place, files))
        sources.append((place, described(files, length)))
        if length == piece_length:
            known |= set(sources[-1][1].hashes())
    copies = by_content(wanted, sources)
    for copy in copies:
        assert taken(copy, standing) == piece(new, copy.piece, piece_length)
    found = [copy.piece for copy in copies]
    assert found == [index for index, digest in enumerate(wanted.hashes()) if digest in known]


def test_by_content_what_is_named_first_is_taken_and_the_rest_not_even_asked_for() -> None:
    wanted = described({"": BLOCKS[0]})

    def standing() -> object:
        yield Path("/cache/old"), described({"": BLOCKS[1] + BLOCKS[0]})
        raise AssertionError("nothing is missing any more")

    (copy,) = by_content(wanted, standing())  # type: ignore[arg-type]
    assert (copy.parts[0].path, copy.parts[0].offset) == (Path("/cache/old"), PIECE)


def test_by_content_a_hash_that_is_claimed_for_another_length_is_not_believed() -> None:
    wanted, liar = described({"": BLOCKS[0]}), described({"": BLOCKS[1] + b"x"})
    forged = liar.raw.replace(liar.hashes()[1], wanted.hashes()[0])
    assert by_content(wanted, [(Path("/old"), metainfo.decode(forged, "forged"))]) == []


@given(images, images, lengths, st.integers(0, 3))
@example({"a": BLOCKS[0] * 2}, {"a": BLOCKS[0][:-1]}, PIECE, 0)
@example({"a": BLOCKS[0][:-1]}, {"a": BLOCKS[0]}, PIECE, 0)
@example({"a": BLOCKS[0] + b"x"}, {"a": BLOCKS[0]}, PIECE, 0)
def test_by_place_every_piece_all_of_whose_bytes_stand_at_their_offsets_is_tried(
    new: Files, old: Files, piece_length: int, known: int
) -> None:
    wanted, place = described(new, piece_length), Path("/cache/clone.img")
    standing = disk(place, old)
    sizes = [len(standing.get(Path(path), b"")) for path in places(wanted, place)]
    copies = {copy.piece: copy for copy in by_place(wanted, place, sizes, {known})}
    trimmed = {name: content[: len(old.get(name, b""))] for name, content in new.items()}
    for index in range(wanted.pieces):
        start, end = index * piece_length, min((index + 1) * piece_length, wanted.size)
        reached = 0
        complete = True
        for name in sorted(new):
            first, last = max(start, reached), min(end, reached + len(new[name]))
            complete &= first >= last or last - reached <= len(trimmed[name])
            reached += len(new[name])
        assert (index in copies) is (complete and index != known)
        if index in copies:
            assert len(taken(copies[index], standing)) == wanted.length_of(index)
    same = {copy.piece for copy in by_place(wanted, place, [len(new[name]) for name in sorted(new)], ())}
    assert same == set(range(wanted.pieces))
