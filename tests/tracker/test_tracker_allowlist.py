"""The folder as it comes, changes and goes."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tracker import allowlist
from tracker.allowlist import AllowList, Listing, scan
from tracker.request import InfoHash

Publish = Callable[..., bytes]
Until = Callable[..., Awaitable[None]]


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[AllowList]:
    listed = AllowList(tmp_path)
    task = asyncio.create_task(listed.watch())
    await asyncio.sleep(0)
    await listed.rescan()
    yield listed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await listed.close()


def names(listing: Listing) -> list[str]:
    return [published.name for published in listing.published()]


def test_torrents_are_found_at_any_depth_and_named_by_their_path(tmp_path: Path, publish: Publish) -> None:
    for name in ("windows.img", "aula1/ubuntu.img", "groups/a/b/c.img"):
        publish(name)
    assert names(scan(tmp_path, Listing())) == ["aula1/ubuntu.img", "groups/a/b/c.img", "windows.img"]


def test_hidden_and_unfinished_files_are_no_torrents(tmp_path: Path, publish: Publish) -> None:
    for name in (".hidden", ".trash/old"):
        publish(name)
    publish("real")
    shutil.copy(tmp_path / "real.torrent", tmp_path / "half.torrent.tmp")
    assert names(scan(tmp_path, Listing())) == ["real"]


def test_a_torrent_under_two_names_is_published_once(tmp_path: Path, publish: Publish) -> None:
    publish("b")
    shutil.copy(tmp_path / "b.torrent", tmp_path / "a.torrent")
    assert names(scan(tmp_path, Listing())) == ["a"]


def test_a_name_that_is_no_utf8_can_still_be_shown(tmp_path: Path, publish: Publish) -> None:
    publish("x")
    (tmp_path / "x.torrent").rename(tmp_path / os.fsdecode(b"caf\xe9.torrent"))
    (name,) = names(scan(tmp_path, Listing()))
    assert name.encode().decode() == "caf\N{REPLACEMENT CHARACTER}"


def test_links_are_followed_and_a_loop_of_links_ends(tmp_path: Path, publish: Publish) -> None:
    publish("images/a")
    (tmp_path / "images" / "round").symlink_to(tmp_path)
    (tmp_path / "alias").symlink_to("images")
    (tmp_path / "self").symlink_to("self")
    elsewhere = tmp_path / ".elsewhere"
    elsewhere.mkdir()
    publish("b")
    (tmp_path / "b.torrent").rename(elsewhere / "b.torrent")
    (tmp_path / "linked").symlink_to(elsewhere)
    assert names(scan(tmp_path, Listing())) == ["images/a", "linked/b"]


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("same")
    publish("new")
    (tmp_path / "bad.torrent").write_bytes(b"garbage")
    known = scan(tmp_path, Listing())
    read: list[str] = []
    real = allowlist.read_torrent
    monkeypatch.setattr(allowlist, "read_torrent", lambda path: (read.append(path.name), real(path))[1])
    publish("new", size=5)
    assert names(scan(tmp_path, known)) == ["new", "same"]
    assert read == ["new.torrent"]


def test_a_folder_in_trouble_keeps_its_torrents(
    tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("nfs/a")
    publish("b")
    known = scan(tmp_path, Listing())
    real = os.scandir

    def stale(path: Path) -> object:
        if path.name == "nfs":
            raise OSError(116, "Stale file handle")
        return real(path)

    monkeypatch.setattr(os, "scandir", stale)
    assert names(scan(tmp_path, known)) == ["b", "nfs/a"]


async def test_a_broken_file_is_logged_once_with_name_and_reason(
    tmp_path: Path, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    publish("good")
    (tmp_path / "deep.torrent").write_bytes(b"l" * 1_000_000)
    (tmp_path / "loop.torrent").symlink_to("loop.torrent")
    (tmp_path / "gone.torrent").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.torrent")
    listed = AllowList(tmp_path)
    for _ in range(3):
        await listed.rescan()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sorted(said) == [
        "not published: 'deep.torrent': it is not a torrent: no dictionary at byte 0",
        "not published: 'gone.torrent': No such file or directory",
        "not published: 'loop.torrent': Too many levels of symbolic links",
        "not published: 'pipe.torrent': it is not a regular file",
    ]
    assert [published.name for published in listed.published] == ["good"]


async def test_torrents_that_come_change_and_go_are_noticed(
    watched: AllowList, tmp_path: Path, publish: Publish, until: Until
) -> None:
    first = InfoHash(publish("aula/a"))

    async def knows(info_hash: InfoHash) -> bool:
        return watched.find(info_hash) is not None

    await until(lambda: knows(first), 3)
    second = InfoHash(publish("aula/a", size=7))
    await until(lambda: knows(second), 3)
    assert not await knows(first)
    shutil.rmtree(tmp_path / "aula")

    async def forgot() -> bool:
        return not watched.published

    await until(forgot, 3)


async def test_a_torrent_published_a_moment_ago_is_known_without_a_watch(
    tmp_path: Path, publish: Publish
) -> None:
    listed = AllowList(tmp_path)
    await listed.rescan()
    info_hash = InfoHash(publish("new"))
    assert listed.find(info_hash) is None
    async with asyncio.timeout(5):
        assert await listed.find_or_rescan(info_hash) is not None


async def test_a_hundred_unknown_hashes_cost_one_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[Path] = []
    monkeypatch.setattr(allowlist, "scan", lambda folder, known: (scans.append(folder), known)[1])
    listed = AllowList(tmp_path)
    await listed.rescan()
    async with asyncio.timeout(5):
        await asyncio.gather(*(listed.find_or_rescan(InfoHash(b"%020d" % n)) for n in range(100)))
    assert len(scans) == 2


async def test_who_asks_during_a_scan_gets_one_that_began_later(
    tmp_path: Path, publish: Publish, without_pause: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = AllowList(tmp_path)
    published: list[bytes] = []
    real = allowlist.scan

    def slow(folder: Path, known: Listing) -> Listing:
        found = real(folder, known)
        if not published:
            published.append(publish("late"))
        return found

    monkeypatch.setattr(allowlist, "scan", slow)
    first = asyncio.create_task(listed.find_or_rescan(InfoHash(b"x" * 20)))
    async with asyncio.timeout(5):
        while not published:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert await listed.find_or_rescan(InfoHash(published[0])) is not None
        await first


async def test_a_folder_that_vanishes_keeps_what_was_published(
    tmp_path: Path, publish: Publish, without_pause: None, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "root"
    info_hash = InfoHash(publish("root/a"))
    listed = AllowList(root)
    await listed.rescan()
    root.rename(tmp_path / "away")
    assert await listed.find_or_rescan(InfoHash(b"x" * 20)) is None
    assert listed.find(info_hash) is not None
    assert "keeping what was published" in caplog.text


async def test_folders_beside_are_served_and_not_shown(tmp_path: Path, publish: Publish) -> None:
    image, groups = publish("images/windows.img"), tmp_path / "groups"
    listed = AllowList(tmp_path / "images", [groups, tmp_path / "clients"])
    await listed.rescan()
    overlay = publish("groups/aula1/windows.img", size=1)
    found = await listed.find_or_rescan(InfoHash(overlay))
    assert found is not None and (found.name, found.shown) == ("groups/aula1/windows.img", False)
    assert [published.name for published in listed.published] == ["windows.img"]
    assert {published.swarm_id for published in listed.served} == {image, overlay}
    shutil.rmtree(groups)
    await listed.rescan()
    assert listed.find(InfoHash(overlay)) is None and listed.find(InfoHash(image)) is not None
