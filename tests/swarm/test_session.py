"""Our sessions against each other, over real connections on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from machines import DEADLINE, NETWORK, image

from ogtorrent.errors import CannotJoin
from ogtorrent.layout import ImagePath, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm import policy
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.policy import Settings
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Start

SERVER, TAKER, SEAT = f"{NETWORK}.251", f"{NETWORK}.252", f"{NETWORK}.253"
SIZE = 3_000_000


@asynccontextmanager
async def session(settings: Settings) -> AsyncIterator[Session]:
    opened = Session(settings)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def windows(tmp_path: Path) -> Metainfo:
    image(tmp_path / "images" / "windows.img", SIZE)
    return publish(recognise(tmp_path / "images"), ImagePath.parse("windows.img"), (), lambda done: None)


async def given_by_the_first_taker(tmp_path: Path, windows: Metainfo, taker: Settings) -> dict[str, int]:
    """What the second seat got from whom, when a whole first one and a slow server are there to give."""
    slow = {**policy.repository(SERVER, 0), "upload_rate_limit": 6_000_000}
    places = [tmp_path / name / "windows.img" for name in ("images", "first", "second")]
    async with session(slow) as server, session(taker) as first, session(policy.seat(SEAT, 0)) as second:
        server.add(windows, places[0], (), Start.WHOLE)
        taking = first.add(windows, places[1], (), Start.FILL)
        taking.connect(SERVER, await server.port())
        assert await taking.whole(DEADLINE)
        filling = second.add(windows, places[2], (), Start.FILL)
        filling.connect(TAKER, await first.port())
        async with asyncio.timeout(DEADLINE):
            while filling.follow().peers == 0:  # noqa: ASYNC110 - libtorrent tells nobody of it
                await asyncio.sleep(0.02)
        filling.connect(SERVER, await server.port())
        assert await filling.whole(DEADLINE)
        assert places[2].read_bytes() == places[0].read_bytes()
        return filling.follow().given


@pytest.mark.room
async def test_a_seat_that_is_whole_gives_to_the_next(tmp_path: Path, windows: Metainfo) -> None:
    given = await given_by_the_first_taker(tmp_path, windows, policy.seat(TAKER, 0))
    assert given[TAKER] > 0


@pytest.mark.room
async def test_a_leecher_gives_nothing(tmp_path: Path, windows: Metainfo) -> None:
    given = await given_by_the_first_taker(tmp_path, windows, policy.leecher(TAKER, 0))
    assert given.get(TAKER, 0) == 0
    assert given[SERVER] >= SIZE


async def test_a_check_finds_what_is_damaged_and_fetches_only_that(tmp_path: Path, windows: Metainfo) -> None:
    place = tmp_path / "cache" / "windows.img"
    place.parent.mkdir()
    content = (tmp_path / "images" / "windows.img").read_bytes()
    place.write_bytes(content[:100_000] + b"damage" + content[100_006:])
    async with session(policy.repository(SERVER, 0)) as server, session(policy.seat(SEAT, 0)) as seat:
        server.add(windows, tmp_path / "images" / "windows.img", (), Start.WHOLE)
        checking = seat.add(windows, place, (), Start.CHECK)
        checking.connect(SERVER, await server.port())
        assert not await checking.checked()
        assert not await checking.whole(1.0)  # a check alone fetches nothing
        checking.go_on()
        checking.connect(SERVER, await server.port())
        assert await checking.whole(DEADLINE)
        assert 0 < sum(checking.follow().given.values()) <= 2 * windows.piece_length
    assert hashlib.sha1(place.read_bytes()).digest() == hashlib.sha1(content).digest()


async def test_a_seed_does_not_write_into_its_image_whatever_stands_there(
    tmp_path: Path, windows: Metainfo, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody writes another version over it: what the seats have of the old one must not come back."""
    there, here = tmp_path / "images" / "windows.img", tmp_path / "cache" / "windows.img"
    here.parent.mkdir()
    shutil.copy(there, here)
    overwritten = bytes(SIZE // 2) + there.read_bytes()[SIZE // 2 :]
    there.write_bytes(overwritten)
    async with (
        session(policy.repository(SERVER, 0)) as server,
        session(policy.seat(TAKER, 0)) as whole,
        session(policy.seat(SEAT, 0)) as seat,
    ):
        seed = server.add(windows, there, (), Start.WHOLE)
        has_all = whole.add(windows, here, (), Start.WHOLE)
        filling = seat.add(windows, tmp_path / "windows.img", (), Start.FILL)
        filling.connect(SERVER, await server.port())
        async with asyncio.timeout(DEADLINE):
            while "not what was published" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        seed.connect(TAKER, await whole.port())
        has_all.connect(SERVER, await server.port())
        filling.connect(TAKER, await whole.port())
        assert await filling.whole(DEADLINE)
    assert there.read_bytes() == overwritten


async def test_an_address_of_another_machine_cannot_be_joined() -> None:
    async with session(policy.seat("192.0.2.1", 0)) as opened:
        with pytest.raises(CannotJoin) as refused:
            await asyncio.wait_for(opened.port(), DEADLINE)
    assert "192.0.2.1" in str(refused.value) and refused.value.exit_code == 60
