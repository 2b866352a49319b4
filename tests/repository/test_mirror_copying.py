"""A copy from a folder goes on where it was cut, and what it notes is on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from machines import image

from ogtorrent.layout import ImagePath, Root, recognise
from ogtorrent.repository.mirror import copying
from ogtorrent.repository.mirror.copying import Copying, SourceFailed, Stopped
from ogtorrent.repository.publish import contents

CLONE = ImagePath.parse("clone.img")
SIZE = 300_000


@pytest.fixture
def nas(tmp_path: Path) -> Root:
    image(tmp_path / "nas" / "clone.img" / "a", SIZE)
    image(tmp_path / "nas" / "clone.img" / "b", SIZE, seed=1)
    (tmp_path / "nas" / "clone.img" / "empty").touch()
    return recognise(tmp_path / "nas")


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "here" / ".clone.img.part"


def begun(nas: Root, partial: Path, version: str = "1") -> Copying:
    return Copying(contents(nas, CLONE), nas.image(CLONE), partial, version)


def same(nas: Root, partial: Path) -> bool:
    files = list(nas.image(CLONE).iterdir())
    return all(
        (partial / file.name).read_bytes() == file.read_bytes()
        and (partial / file.name).stat().st_mtime_ns == file.stat().st_mtime_ns
        for file in files
    ) and len(files) == len(list(partial.iterdir()))


def test_an_image_is_copied_with_its_times(nas: Root, partial: Path) -> None:
    begun(nas, partial).run()
    assert same(nas, partial)


def test_a_copy_that_lost_its_source_goes_on_there(nas: Root, partial: Path) -> None:
    first = begun(nas, partial)
    lost = nas.image(CLONE) / "b"
    lost.rename(nas.path / "b")
    with pytest.raises(SourceFailed):
        first.run()
    (nas.path / "b").rename(lost)
    (partial / "a").write_bytes(bytes(SIZE))  # what is noted is not copied again
    second = begun(nas, partial)
    assert second.done == SIZE
    second.run()
    assert (partial / "a").read_bytes() == bytes(SIZE)
    assert (partial / "b").read_bytes() == lost.read_bytes()


@pytest.mark.parametrize("spoil", ["version", "shorter", "note", "stranger"])
def test_what_does_not_fit_its_note_is_copied_anew(nas: Root, partial: Path, spoil: str) -> None:
    begun(nas, partial).run()
    (partial / "a").chmod(0o600)
    match spoil:
        case "shorter":
            os.truncate(partial / "b", 5)
        case "note":
            partial.with_suffix(".safe").write_text('{"version": "1", "copied": -5}')
        case "stranger":
            (partial / "a").unlink()
            (partial / "a").symlink_to(nas.image(CLONE) / "a")
    second = begun(nas, partial, "2" if spoil == "version" else "1")
    assert second.done == 0
    second.run()
    assert same(nas, partial) and not (partial / "a").is_symlink()


def test_a_source_that_got_shorter_has_failed(nas: Root, partial: Path) -> None:
    copy = begun(nas, partial)
    os.truncate(nas.image(CLONE) / "b", 5)
    with pytest.raises(SourceFailed):
        copy.run()


def test_a_copy_is_stopped_and_what_came_is_noted(
    nas: Root, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "CHUNK", 64 * 1024)
    first = begun(nas, partial)
    first.stop()
    with pytest.raises(Stopped):
        first.run()
    second = begun(nas, partial)
    second.run()
    assert same(nas, partial)
