"""Finding the cache of a PC."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import environment
from rooms.disks import loop_device

from ogtorrent.cache import partition
from ogtorrent.errors import NoCache, NotWritable
from ogtorrent.mounts import cache as mounted_cache

# Not CACHE: the machine that runs the tests may have one, and it is not theirs to write to.
LABEL = f"OG{secrets.token_hex(6)}"


def test_a_directory_that_is_named_is_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache").mkdir()
    assert partition.find(Path("cache")) == tmp_path / "cache"
    home = tmp_path / "cache" / ".ogtorrent"
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_directory_is_no_cache(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoCache) as refused:
        partition.find(tmp_path / name)
    assert refused.value.exit_code == 15 and str(tmp_path / name) in str(refused.value)


def test_a_cache_whose_home_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".ogtorrent").touch()
    with pytest.raises(NotWritable) as refused:
        partition.find(tmp_path)
    assert refused.value.exit_code == 14


def test_the_label_is_the_one_of_opengnsys() -> None:
    assert mounted_cache.LABEL == "CACHE"


def test_without_a_partition_of_that_label_a_directory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted_cache, "LABEL", LABEL)
    with pytest.raises(NoCache) as refused:
        partition.find(None)
    assert refused.value.exit_code == 15
    assert LABEL in str(refused.value) and "--cache DIR" in str(refused.value)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with an ext4 file system labelled LABEL."""
    with loop_device(tmp_path / "disk", 8) as device:
        subprocess.run(["mkfs.ext4", "-q", "-L", LABEL, device], check=True)
        yield device


def found() -> subprocess.CompletedProcess[str]:
    program = f"from ogtorrent.mounts import cache; cache.LABEL = {LABEL!r}; "
    program += "from ogtorrent.cache import partition; print(partition.find(None))"
    return subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)


@pytest.mark.room
@pytest.mark.root
def test_the_partition_labelled_cache_is_found_where_it_is_mounted(device: Path, tmp_path: Path) -> None:
    unmounted = found()
    assert "NoCache" in unmounted.stderr and "ogtorrent mount cache" in unmounted.stderr
    for name in ("cache", "a cache with spaces", "caché"):
        place = tmp_path / name
        place.mkdir()
        subprocess.run(["mount", device, place], check=True)
        try:
            assert found().stdout == f"{place}\n"
            assert (place / ".ogtorrent").is_dir()
        finally:
            subprocess.run(["umount", place], check=True)


@pytest.mark.room
@pytest.mark.root
def test_a_partition_mounted_read_only_cannot_be_written(device: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.mkdir()
    subprocess.run(["mount", "-o", "ro", device, place], check=True)
    try:
        assert "NotWritable" in found().stderr
    finally:
        subprocess.run(["umount", place], check=True)
    assert list(place.iterdir()) == []
