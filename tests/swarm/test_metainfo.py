"""Metainfo that we write, and metainfo that anybody may send."""

import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ogtorrent.errors import HostileMetainfo
from ogtorrent.layout import ImagePath, recognise
from ogtorrent.swarm import forms, metainfo
from ogtorrent.swarm.metainfo import File, Metainfo, Stamp

PIECE = metainfo.SMALLEST_PIECE
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
TRACKERS = ["http://10.0.0.1:6969/announce", "http://192.168.0.1:6969/announce"]
HOSTILE_PARTS = ["..", ".", "", "/etc", "a/b", "a\0b", ".hidden"]


def described(
    sizes: dict[str, int], image: str, piece: int = PIECE, trackers: list[str] | None = None
) -> Metainfo:
    """Metainfo of files of those sizes."""
    files = [File(tuple(name.split("/")), size) for name, size in sizes.items()]
    count = -(-sum(sizes.values()) // piece)
    pieces = b"".join(hashlib.sha1(b"%d" % number).digest() for number in range(count))
    stamp = Stamp(tuple(range(10**18, 10**18 + len(files))), MD5, MD5)
    given = TRACKERS if trackers is None else trackers
    return metainfo.encode("images", ImagePath.parse(image), files, piece, pieces, stamp, given)


SINGLE = described({"aula1/windows.img": 3 * PIECE + 7}, "aula1/windows.img")
DIRECTORY = described({"clone/sda1/.x": 3, "clone/sda2": 2 * PIECE, "clone/empty": 0}, "clone")


def outer_of(good: Metainfo) -> dict[bytes, Any]:
    found: dict[bytes, Any] = lt.bdecode(good.raw)
    return found


def refusal(raw: bytes) -> str:
    """The words of the refusal of metainfo that must be refused."""
    with pytest.raises(HostileMetainfo) as refused:
        metainfo.decode(raw, "windows.img")
    assert refused.value.exit_code == 31
    assert str(refused.value).isprintable()
    return str(refused.value)


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 7 * PIECE])
def test_what_is_written_is_read_again_and_libtorrent_agrees(size: int, tmp_path: Path) -> None:
    written = described({"aula1/windows.img": size}, "aula1/windows.img")
    (tmp_path / "windows.img.torrent").write_bytes(written.raw)
    assert metainfo.read(tmp_path / "windows.img.torrent") == written
    assert (written.size, written.pieces, written.is_directory) == (size, max(1, -(-size // PIECE)), False)
    assert (str(written.image), written.trackers) == ("aula1/windows.img", tuple(TRACKERS))
    theirs = lt.load_torrent_buffer(written.raw)
    assert theirs.info_hashes.v1.to_bytes() == written.info_hash
    assert theirs.ti.layout().file_path(0) == "images/aula1/windows.img"
    assert (theirs.ti.total_size(), theirs.ti.num_pieces()) == (size, written.pieces)


def test_a_directory_image_is_read_again_and_libtorrent_agrees() -> None:
    read = metainfo.decode(DIRECTORY.raw, "clone")
    assert (read, read.is_directory, read.size) == (DIRECTORY, True, 2 * PIECE + 3)
    assert [read.within(file) for file in read.files] == [("sda1", ".x"), ("sda2",), ("empty",)]
    assert lt.load_torrent_buffer(read.raw).info_hashes.v1.to_bytes() == read.info_hash


def test_the_form_of_one_file_says_the_same_of_the_image() -> None:
    """OpenGnsys's seats want it: BEP 3's, whose name is the file's own."""
    single = forms.in_form(SINGLE, True)
    found = lt.load_torrent_buffer(single.raw).ti
    assert (found.num_files(), found.name()) == (1, "windows.img")
    assert found.info_hashes().v1.to_bytes() == single.info_hash != SINGLE.info_hash
    for fact in ("name", "image", "files", "size", "stamp", "trackers", "is_directory"):
        assert getattr(single, fact) == getattr(SINGLE, fact), fact
    assert single.hashes() == SINGLE.hashes()
    assert forms.in_form(single, True) is single
    assert forms.in_form(single, False).raw == SINGLE.raw
    assert forms.in_form(DIRECTORY, True) is DIRECTORY
    elsewhere = forms.under_name(single, "hdimages", TRACKERS)
    assert (elsewhere.name, elsewhere.info_hash) == ("hdimages", single.info_hash)


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"image", b"aula1/linux.img"), (b"image", b"../windows.img"), (b"root", b".."), (b"root", b"a/b")],
)
def test_the_form_of_one_file_leads_nowhere_else(field: bytes, value: bytes) -> None:
    outer = outer_of(forms.in_form(SINGLE, True))
    outer[metainfo.STAMP][field] = value
    refusal(lt.bencode(outer))


def test_other_trackers_leave_the_info_hash_and_the_stamp() -> None:
    for trackers in ([], ["http://a/announce"], ["http://b/announce", "http://c/announce"]):
        moved = forms.with_trackers(SINGLE, trackers)
        assert moved.trackers == tuple(trackers)
        assert (moved.info_hash, moved.stamp, moved.files) == (SINGLE.info_hash, SINGLE.stamp, SINGLE.files)
        assert list(lt.load_torrent_buffer(moved.raw).trackers) == trackers


@given(size=st.integers(1, metainfo.LARGEST_IMAGE) | st.sampled_from([2**power for power in range(44)]))
@example(size=130 * metainfo.SMALLEST_PIECE)
@example(size=130 * metainfo.LARGEST_PIECE)
def test_pieces_are_a_power_of_two_of_at_most_4_mib_and_enough_for_a_room(size: int) -> None:
    length = metainfo.piece_length(size)
    assert length & (length - 1) == 0
    assert 16 * 1024 <= length <= 4 * 1024 * 1024
    assert -(-size // length) >= min(130, -(-size // (16 * 1024)))


def files_of(*paths: list[bytes], length: int = PIECE, **more: Any) -> Callable[[dict[bytes, Any]], None]:
    def change(outer: dict[bytes, Any]) -> None:
        entries = [
            {b"length": length, b"path": path} | {k.replace("_", " ").encode(): v for k, v in more.items()}
            for path in paths
        ]
        outer[b"info"][b"files"] = entries
        total = length * len(entries)
        outer[b"info"][b"pieces"] = bytes(20 * max(0, min(-(-total // PIECE), 1000)))
        outer[b"ogtorrent"][b"mtimes"] = b" ".join([b"1"] * len(entries))

    return change


def info_of(**fields: Any) -> Callable[[dict[bytes, Any]], None]:
    return lambda outer: outer[b"info"].update({k.replace("_", " ").encode(): v for k, v in fields.items()})


def stamp_of(**fields: Any) -> Callable[[dict[bytes, Any]], None]:
    return lambda outer: outer[b"ogtorrent"].update(
        {k.replace("_", ".").encode(): v for k, v in fields.items()}
    )


def without(*keys: bytes) -> Callable[[dict[bytes, Any]], None]:
    def change(outer: dict[bytes, Any]) -> None:
        for key in keys[:-1]:
            outer = outer[key]
        del outer[keys[-1]]

    return change


HOSTILE: dict[str, tuple[Metainfo, Callable[[dict[bytes, Any]], None], str]] = {
    "a path that climbs out": (DIRECTORY, files_of([b"clone", b"..", b"..", b"etc"]), "'..'"),
    "an absolute path": (DIRECTORY, files_of([b"/etc/passwd"]), "outside the image"),
    "a slash inside a component": (DIRECTORY, files_of([b"clone", b"../x"]), "no file name"),
    "an empty component": (DIRECTORY, files_of([b"clone", b"", b"x"]), "no file name"),
    "an empty path": (DIRECTORY, files_of([]), "a path in it is empty"),
    "a component with a NUL": (DIRECTORY, files_of([b"clone", b"a\0b"]), "no file name"),
    "a component of 300 bytes": (DIRECTORY, files_of([b"clone", b"x" * 300]), "no file name"),
    "a file outside the image": (
        DIRECTORY,
        files_of([b"clone", b"a"], [b"other", b"b"]),
        "outside the image",
    ),
    "the image's own name as its file": (DIRECTORY, files_of([b"clone"]), "outside the image"),
    "a name that climbs out": (SINGLE, info_of(name=b".."), "no path of ours"),
    "a name with a slash": (SINGLE, info_of(name=b"/etc"), "no path of ours"),
    "a name that is empty": (SINGLE, info_of(name=b""), "no path of ours"),
    "a symbolic link by its attribute": (DIRECTORY, files_of([b"clone", b"a"], attr=b"l"), "symbolic link"),
    "a symbolic link by its target": (
        DIRECTORY,
        files_of([b"clone", b"a"], symlink_path=[b"..", b"etc"]),
        "symbolic link",
    ),
    "a path twice": (DIRECTORY, files_of([b"clone", b"a"], [b"clone", b"a"]), "twice"),
    "a path both file and directory": (
        DIRECTORY,
        files_of([b"clone", b"a"], [b"clone", b"a", b"b"]),
        "both a file and a directory",
    ),
    "a path that is not UTF-8": (DIRECTORY, files_of([b"clone", b"\xff\xfe"]), "not UTF-8"),
    "a name that is not UTF-8": (SINGLE, info_of(name=b"\xff"), "not UTF-8"),
    "a file of more than any file system holds": (
        SINGLE,
        files_of([b"aula1", b"windows.img"], length=2**60),
        "absurd",
    ),
    "files that together are larger than any": (
        DIRECTORY,
        files_of(*([b"clone", b"%d" % n] for n in range(9)), length=2**41),
        "absurd",
    ),
    "a negative length": (SINGLE, files_of([b"aula1", b"windows.img"], length=-1), "absurd"),
    "a negative length that others make good": (
        DIRECTORY,
        lambda outer: outer[b"info"][b"files"][0].update({b"length": -5}),
        "a file of -5 bytes",
    ),
    "no byte at all": (SINGLE, files_of([b"aula1", b"windows.img"], length=0), "absurd"),
    "more pieces than hashes": (SINGLE, info_of(pieces=bytes(60)), "it has hashes for 3"),
    "fewer pieces than hashes": (SINGLE, info_of(pieces=bytes(100)), "it has hashes for 5"),
    "a piece and a half": (SINGLE, info_of(pieces=bytes(85)), "it has hashes for 4.25"),
    "pieces of a byte": (SINGLE, info_of(piece_length=1), "no power of two"),
    "pieces of no power of two": (SINGLE, info_of(piece_length=PIECE + 1), "no power of two"),
    "pieces of a terabyte": (SINGLE, info_of(piece_length=2**40), "no power of two"),
    "pieces of a negative length": (SINGLE, info_of(piece_length=-PIECE), "no power of two"),
    "no files": (SINGLE, info_of(files=[]), "0 files"),
    "no info": (SINGLE, without(b"info"), "info is missing"),
    "a length that is text": (
        SINGLE,
        lambda outer: outer[b"info"][b"files"][0].update({b"length": b"5"}),
        "length is missing",
    ),
    "the stamp of another image": (
        SINGLE,
        stamp_of(image=b"aula2/linux.img"),
        "not the image 'aula2/linux.img'",
    ),
    "the stamp of a directory on a file": (SINGLE, stamp_of(directory=1), "outside the image"),
    "a stamp that names no image": (SINGLE, stamp_of(image=b"../windows.img"), "no path of ours"),
    "a stamp that names a sidecar": (SINGLE, stamp_of(image=b"windows.img.lock"), "no path of ours"),
    "too few modification times": (DIRECTORY, stamp_of(mtimes=b"1 2"), "do not fit"),
    "too many modification times": (SINGLE, stamp_of(mtimes=b"1 2"), "do not fit"),
    "modification times that are none": (SINGLE, stamp_of(mtimes=b"yesterday"), "do not fit"),
    "a modification time with two signs": (SINGLE, stamp_of(mtimes=b"--5"), "do not fit"),
    "modification times in other digits": (SINGLE, stamp_of(mtimes="١".encode()), "do not fit"),
    "a modification time beyond 64 bits": (SINGLE, stamp_of(mtimes=b"9" * 19), "absurd"),
    "a modification time beyond measure": (SINGLE, stamp_of(mtimes=b"9" * 5000), "absurd"),
    "a sum that is no MD5": (SINGLE, stamp_of(sum=b"z" * 32), "no MD5"),
    "no stamp on several files": (DIRECTORY, without(b"ogtorrent"), "which image they make"),
    "trackers that are no list": (
        SINGLE,
        lambda outer: outer.update({b"announce-list": b"x"}),
        "announce-list",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_metainfo_is_refused_with_its_reason(what: str) -> None:
    good, change, reason = HOSTILE[what]
    outer = outer_of(good)
    change(outer)
    assert reason in refusal(lt.bencode(outer))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"l" * 2**20, "not bencoded"),
        (b"d1:a" * 2**18, "not bencoded"),
        (b"l" * 90 + b"e" * 90, "the whole is missing or of the wrong kind"),
        (b"", "not bencoded"),
        (b"<html>404</html>", "not bencoded"),
        (SINGLE.raw[:-1], "not bencoded"),
        (SINGLE.raw + b"x", "canonical"),
        (SINGLE.raw.replace(b"12:piece lengthi16384e", b"12:piece lengthi016384e"), ""),
        (b"d4:spam1:a4:info" + SINGLE.raw.partition(b"4:info")[2], "canonical"),
        (bytes(metainfo.LARGEST_TORRENT + 1), "larger than"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_canonical_bencoding_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw)


def test_metainfo_of_another_program_is_read_where_it_is_of_one_file() -> None:
    info: dict[bytes, Any] = {
        b"length": PIECE + 1,
        b"name": b"windows.img",
        b"piece length": PIECE,
        b"pieces": bytes(40),
    }
    read = metainfo.decode(lt.bencode({b"info": info}), "x")
    assert (str(read.image), read.size, read.stamp) == ("windows.img", PIECE + 1, None)
    del info[b"length"]
    assert "length is missing" in refusal(lt.bencode({b"info": info}))


def assert_harmless(raw: bytes) -> None:
    """Either refused, or it names nothing outside the root."""
    try:
        read = metainfo.decode(raw, "fuzz")
    except HostileMetainfo as error:
        assert str(error).isprintable()
        return
    root = recognise(Path("/usr"))
    place = root.image(read.image)
    assert place.is_relative_to(root.path)
    for file in read.files:
        path = place.joinpath(*read.within(file))
        assert PurePosixPath(os.path.normpath(path)) == path and path.is_relative_to(place)
        assert file.length >= 0
    assert lt.load_torrent_buffer(raw).info_hashes.v1.to_bytes() == read.info_hash


@given(raw=st.binary(max_size=200))
def test_random_bytes_are_refused(raw: bytes) -> None:
    assert_harmless(raw)


BENCODABLE = st.recursive(
    st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=8)
    | st.sampled_from([b"..", b"clone", b"l", b"files"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.binary(max_size=6) | st.sampled_from([b"info", b"files", b"path", b"length"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(value=BENCODABLE)
def test_random_structures_are_refused(value: Any) -> None:
    assert_harmless(lt.bencode(value))


@given(
    good=st.sampled_from([SINGLE, DIRECTORY]),
    where=st.lists(st.sampled_from(["info", "ogtorrent", "files"]), max_size=2),
    key=st.sampled_from(
        [
            b"name",
            b"files",
            b"length",
            b"path",
            b"piece length",
            b"pieces",
            b"image",
            b"directory",
            b"mtimes",
            b"sum",
            b"full.sum",
            b"attr",
            b"announce",
            b"announce-list",
            b"info",
        ]
    ),
    value=BENCODABLE,
)
def test_good_metainfo_with_one_field_changed_is_refused_or_harmless(
    good: Metainfo, where: list[str], key: bytes, value: Any
) -> None:
    outer = outer_of(good)
    target: Any = outer
    for step in where:
        if step == "files" and isinstance(target.get(b"files"), list):
            target = target[b"files"][0]
        elif isinstance(target, dict) and isinstance(target.get(step.encode()), dict):
            target = target[step.encode()]
    target[key] = value
    assert_harmless(lt.bencode(outer))


@given(
    good=st.sampled_from([SINGLE, DIRECTORY]),
    parts=st.lists(st.text(max_size=8) | st.sampled_from(HOSTILE_PARTS), max_size=4),
    prefixed=st.booleans(),
)
def test_good_metainfo_with_any_path_is_refused_or_harmless(
    good: Metainfo, parts: list[str], prefixed: bool
) -> None:
    path = [part.encode(errors="surrogatepass") for part in parts]
    if prefixed:
        path = [part.encode() for part in good.image.parts] + path
    outer = outer_of(good)
    outer[b"info"][b"files"][0][b"path"] = path
    if not good.is_directory:
        outer[b"ogtorrent"][b"image"] = b"/".join(path)
    assert_harmless(lt.bencode(outer))


@given(
    good=st.sampled_from([SINGLE, DIRECTORY]),
    seed=st.integers(0, 2**32),
    changes=st.integers(1, 6),
)
def test_good_metainfo_with_bytes_changed_is_refused_or_harmless(
    good: Metainfo, seed: int, changes: int
) -> None:
    rng = random.Random(seed)
    raw = bytearray(good.raw)
    for _ in range(changes):
        place = rng.randrange(len(raw))
        match rng.randrange(3):
            case 0:
                raw[place] ^= 1 << rng.randrange(8)
            case 1:
                raw.insert(place, rng.randrange(256))
            case 2:
                del raw[place]
    assert_harmless(bytes(raw))
