"""The eye on the swarms: deployments go into the history, and on after a restart."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.tracker.conftest import Clock, Room, tracking
from tracker import watch
from tracker.classroom import following
from tracker.classroom.history import History
from tracker.classroom.record import DeploymentRecord
from tracker.classroom.snapshot import SeatState

Publish = Callable[..., bytes]
SIZE = 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@asynccontextmanager
async def running(folder: Path, file: Path, clock: Clock) -> AsyncIterator[Room]:
    async with (
        tracking(folder, history=History(file), clock=clock, wall=clock.wall, rng=random.Random(1)) as (
            tracker,
            port,
        ),
        aiohttp.ClientSession() as session,
        Room(port, clock, session, tracker) as opened,
    ):
        yield opened


async def kept(file: Path) -> list[DeploymentRecord]:
    with closing(History(file)) as history:
        found = [await history.record(summary.deployment.id) for summary in await history.summaries()]
    return [record for record in found if record is not None]


async def fill(room: Any, image: bytes, seat: int, left: int, **more: object) -> None:
    await room.announce(image, seat=seat, left=left, downloaded=SIZE - left, **more)
    await room.tracker.picture()


async def test_a_deployment_is_in_the_history_once_it_is_over(
    tmp_path: Path, file: Path, publish: Publish, until: Callable[..., Any]
) -> None:
    image, clock = publish("aula1/windows.img", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 2, SIZE)
        await fill(room, image, 3, SIZE)
        clock.now += 5
        await fill(room, image, 2, 0, event="completed")
        await fill(room, image, 3, SIZE // 2)
        clock.now += 5
        await fill(room, image, 3, SIZE // 2, event="stopped")
        clock.now += 31
        await room.tracker.picture()

        async def over() -> bool:
            return bool(await kept(file)) and (await kept(file))[0].deployment.ended is not None

        await until(over)
    (record,) = await kept(file)
    assert record.deployment.image == "aula1/windows.img"
    assert record.deployment.began == 1_790_001_000
    assert (record.median, record.last, record.rooms) == (5, 5, ("127.0.0.0/24",))
    told = [(seat.address, seat.state, seat.progress, seat.took) for seat in record.seats]
    assert told == [
        ("127.0.0.2", SeatState.DONE, 1.0, 5.0),
        ("127.0.0.3", SeatState.LEFT, 0.5, None),
    ]


async def test_a_deployment_goes_on_after_a_restart(tmp_path: Path, file: Path, publish: Publish) -> None:
    image, clock = publish("a", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        for seat in (2, 3):
            await fill(room, image, seat, SIZE)
        await room.announce(image, seat=1, left=0, uploaded=0)
        await room.tracker.picture()
        clock.now += 20
        await room.announce(image, seat=1, left=0, uploaded=700)
        await fill(room, image, 2, 0, event="completed")
        await fill(room, image, 3, SIZE // 2)
    (former,) = await kept(file)
    assert former.deployment.ended is None
    clock.now += 100
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 3, SIZE // 2)
        clock.now += 10
        await fill(room, image, 3, 0, event="completed")
    (record,) = await kept(file)
    assert (record.deployment.id, record.deployment.began) == (former.deployment.id, former.deployment.began)
    assert (record.deployment.sent, record.deployment.delivered) == (700, 2 * SIZE)
    assert [(seat.address, seat.took) for seat in record.seats] == [("127.0.0.2", 20), ("127.0.0.3", 130)]


async def test_a_tracker_that_was_away_for_long_sees_another_deployment(
    tmp_path: Path, file: Path, publish: Publish
) -> None:
    image, clock = publish("a", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 2, SIZE)
        clock.now += 20
        await fill(room, image, 2, SIZE)
    clock.now += watch.RESUME_WITHIN + 1
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 2, SIZE)
    new, old = await kept(file)
    assert (old.deployment.ended, new.deployment.ended) == (old.deployment.began + 20, None)
    assert new.deployment.began == old.deployment.began + 20 + watch.RESUME_WITHIN + 1


async def test_a_seat_that_comes_long_after_a_restart_begins_another_deployment(
    tmp_path: Path, file: Path, publish: Publish
) -> None:
    image, clock = publish("a", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 2, SIZE)
    async with running(tmp_path, file, clock) as room:
        clock.now += watch.RESUME_WITHIN + 1
        await fill(room, image, 2, SIZE)
    assert len(await kept(file)) == 2


async def test_a_seat_that_fails_at_once_is_in_the_record(
    tmp_path: Path, file: Path, publish: Publish
) -> None:
    image, clock = publish("a", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 2, SIZE)
        await room.report(image, seat=3, doing="failed", error_code=16, error="The cache is full.")
        await room.tracker.picture()
    (record,) = await kept(file)
    assert [seat.shown for seat in record.stragglers] == ["pc3"]


async def test_a_deployment_of_what_is_no_longer_published_is_over(
    tmp_path: Path, file: Path, publish: Publish, until: Callable[..., Any]
) -> None:
    image, clock = publish("a", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        await fill(room, image, 2, SIZE)
        (tmp_path / "a.torrent").unlink()

        async def over() -> bool:
            found = await kept(file)
            return bool(found) and found[0].deployment.ended is not None

        await until(over)
    (record,) = await kept(file)
    assert record.seats[0].progress == 0


async def test_more_seats_than_are_followed_are_shown_by_their_announces(
    tmp_path: Path, file: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST", 3)
    image, clock = publish("a", size=SIZE), Clock()
    async with running(tmp_path, file, clock) as room:
        for seat in (1, 2, 3):
            await fill(room, image, seat, 0 if seat == 1 else SIZE // 2)
        (swarm,) = (await room.tracker.picture()).swarms
        assert swarm.deployment is not None and swarm.deployment.ended is None
        await fill(room, image, 4, SIZE // 4)
        (swarm,) = (await room.tracker.picture()).swarms
        assert [seat.progress for seat in swarm.seats] == [0.5, 0.5, 0.75]
        assert len(swarm.repository) == 1
        assert swarm.deployment is not None and swarm.deployment.ended is not None
        (swarm,) = (await room.tracker.watch.picture(whole=False)).swarms
        assert swarm.seats == ()
