"""Pins and uses: kept whole, and never guessed."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import pytest

from ogtorrent.cache import records
from ogtorrent.cache.records import Record
from ogtorrent.errors import NotWritable
from ogtorrent.layout import records_file


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    records_file(tmp_path).parent.mkdir()
    return tmp_path


def test_uses_are_in_order_also_where_the_clock_was_set_back(cache: Path) -> None:
    for name, now in (("a", 2e9), ("b", 1e9), ("a", 5e8)):
        records.use(cache, name, now)
    known = records.read(cache)
    assert (known["a"].used, known["b"].used) == (5e8, 1e9)
    assert known["a"].turn > known["b"].turn > known["c"].turn


def test_a_pin_outlasts_uses_until_it_is_taken_back_or_the_image_forgotten(cache: Path) -> None:
    records.pin(cache, "images/año 1.img", True)
    records.use(cache, "images/año 1.img", 7.0)
    assert records.read(cache)["images/año 1.img"] == Record(True, 7.0, 1)
    records.pin(cache, "images/año 1.img", False)
    assert not records.read(cache)["images/año 1.img"].pinned
    records.forget(cache, "images/año 1.img")
    assert records.read(cache)["images/año 1.img"] == Record()


def test_what_many_write_at_once_is_all_kept(cache: Path) -> None:
    context = get_context("spawn")
    writers = [context.Process(target=records.pin, args=(cache, f"{number}", True)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert all(records.read(cache)[f"{number}"].pinned for number in range(6))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"a": 7}', b'{"a": {"pinned": 1}}', b'{"a": {"x": 1}}']
)
def test_of_damaged_records_every_image_is_pinned_and_nothing_is_written_over_them(
    cache: Path, content: bytes
) -> None:
    records_file(cache).write_bytes(content)
    assert records.read(cache)["a"].pinned
    with pytest.raises(NotWritable, match="delete it"):
        records.pin(cache, "a", False)
    assert records_file(cache).read_bytes() == content
