"""The history of deployments: what is kept comes back, whatever the file and the clients do."""

import asyncio
import csv
import io
import json
import re
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracker.test_tracker_docs import check, example
from tracker.classroom import history
from tracker.classroom.history import History
from tracker.classroom.record import DeploymentRecord, SeatRecord
from tracker.classroom.snapshot import Deployment, SeatState, Trouble, TroubleKind
from tracker.look import history_files
from tracker.request import InfoHash
from tracker.swarm.state import State, StateError

NINE = 1_788_246_000.0  # a moment
NOW = NINE + 1000

SEAT = SeatRecord("pc1", "10.1.0.20", "aula1", NINE, 100.0, SeatState.DONE, 1.0, None)
SLOW = replace(
    SEAT,
    name="pc2",
    address="10.1.0.21",
    began=NINE + 5,
    took=400.0,
    trouble=Trouble(TroubleKind.SLOW_PORT, 100.0),
)
LOST = replace(
    SEAT,
    name="",
    address="10.1.0.22",
    room="aula2",
    began=NINE + 10,
    took=None,
    state=SeatState.LOST,
    progress=0.42,
    trouble=Trouble(TroubleKind.LOST, 30.0),
)
MIDDLE = replace(SEAT, name="pc4", address="10.1.0.23", began=NINE + 1, took=110.0)
RECORD = DeploymentRecord(
    Deployment("7", "aula1/windows.img", 1_000_000, NINE, NINE + 410, 1_250_000, 3_420_000),
    (SEAT, SLOW, LOST, MIDDLE),
)
NAMES = ['"', "'; DROP TABLE seats", "a\0b", "🦉", "\ud800", "<script>", "", "a\r\nb", "ñ" * 10_000]


def numbered(number: int, **facts: Any) -> DeploymentRecord:
    deployment = replace(RECORD.deployment, id=str(number), began=NINE + number, **facts)
    return replace(RECORD, deployment=deployment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".tracker.sqlite"


@pytest.fixture
async def kept() -> AsyncIterator[History]:
    with closing(History()) as opened:
        yield opened


def ids(found: Any) -> list[str]:
    return [one.deployment.id for one in found]


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))


texts = st.text(st.characters(exclude_categories=["Cs"]))
figures = st.floats(min_value=-1e18, max_value=1e18)
integers = st.integers(-(1 << 63) + 1, (1 << 63) - 1)
seats = st.builds(
    SeatRecord,
    name=texts,
    address=texts,
    room=texts,
    began=figures,
    took=st.none() | figures,
    state=st.sampled_from(SeatState),
    progress=figures,
    trouble=st.none() | st.builds(Trouble, st.sampled_from(TroubleKind), figures, texts),
)
deployments = st.builds(
    Deployment,
    id=texts,
    image=texts,
    size=integers,
    began=figures | st.just(0.0),
    ended=st.none() | figures,
    sent=integers,
    delivered=integers,
)
records = st.builds(DeploymentRecord, deployments, st.lists(seats, max_size=4).map(tuple))


@given(st.lists(records, max_size=3, unique_by=lambda record: record.deployment.id))
@settings(deadline=None, max_examples=60)
async def test_what_was_saved_comes_back_the_same(saved: list[DeploymentRecord]) -> None:
    newest_first = sorted(
        saved, key=lambda record: (record.deployment.began, record.deployment.id.encode()), reverse=True
    )
    with closing(History()) as kept:
        for record in saved:
            await kept.save(record, 7.0)
        assert [await kept.record(record.deployment.id) for record in saved] == saved
        assert await kept.summaries() == tuple(record.summary for record in newest_first)
        assert await kept.unfinished() == tuple(
            (record, 7.0) for record in newest_first if record.deployment.ended is None
        )


async def test_it_outlasts_the_process(file: Path) -> None:
    with closing(History(file)) as kept:
        await kept.save(numbered(1, ended=None), NOW)
        await kept.save(replace(numbered(2), seats=(LOST,)), NOW)
        await kept.save(numbered(2), NOW)
    with closing(History(file)) as kept:
        assert ids(await kept.summaries()) == ["2", "1"]
        assert await kept.unfinished() == ((numbered(1, ended=None), NOW),)
        await kept.save(replace(numbered(1), seats=(LOST,)), NOW)
        assert await kept.record("1") == replace(numbered(1), seats=(LOST,))
        assert await kept.record("2") == numbered(2)
        assert await kept.unfinished() == ()
        assert await kept.record("3") is None


async def test_what_nobody_follows_any_more_ended_when_it_was_last_saved(kept: History) -> None:
    filling = replace(SEAT, took=None, state=SeatState.FILLING)
    first, second = (replace(numbered(number, ended=None), seats=(SEAT, filling)) for number in (1, 2))
    await kept.save(first, NOW)
    await kept.save(second, NOW + 1)
    await kept.end_those_saved_before(NOW + 1)
    ended = replace(first, deployment=replace(first.deployment, ended=NOW))
    assert await kept.unfinished() == ((second, NOW + 1),)
    assert await kept.record("1") == ended
    assert (await kept.summaries())[1] == ended.summary != first.summary


def test_what_a_deployment_says_of_its_seats() -> None:
    told = RECORD.summary
    assert (told.seats, told.done) == (4, 3)
    assert (told.median, told.last) == (111, 405)
    assert told.stragglers == ("pc2", "10.1.0.22")
    assert told.rooms == ("aula1", "aula2")
    whole_when_it_came = replace(SEAT, took=None)
    earlier = replace(SEAT, began=NINE - 500)
    assert replace(RECORD, seats=(whole_when_it_came, earlier)).median == 0
    emptied_again = replace(LOST, took=50.0)
    nobody = replace(RECORD, seats=(whole_when_it_came, emptied_again))
    assert (nobody.done, nobody.median, nobody.last) == (1, None, None)


def test_a_seat_under_way_is_a_straggler_when_the_deployment_is_over() -> None:
    filling = replace(SEAT, took=None, state=SeatState.FILLING)
    over = replace(RECORD, seats=(SEAT, filling))
    assert over.stragglers == (filling,)
    runs = replace(over, deployment=replace(RECORD.deployment, ended=None))
    assert runs.stragglers == ()


async def test_the_oldest_go(kept: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    for number in (3, 1, 2, 5, 4):
        await kept.save(numbered(number), NOW)
    assert ids(await kept.summaries()) == ["5", "4", "3"]
    assert await kept.record("2") is None


@pytest.mark.parametrize("absurd", [float("inf"), float("-inf"), float("nan"), 9e18, -9e18, 1e308])
async def test_absurd_figures_break_nothing(kept: History, absurd: float) -> None:
    seat = SeatRecord("", "", "", absurd, absurd, SeatState.DONE, absurd, Trouble(TroubleKind.SLOW, absurd))
    deployment = Deployment("1", "", 1 << 80, absurd, absurd, 1 << 80, -(1 << 80))
    told = DeploymentRecord(deployment, (seat, SEAT))
    await kept.save(told, NOW)
    record = await kept.record("1")
    assert record is not None and record.seats[1] == SEAT
    for summaries in await kept.summaries(), [told.summary]:
        json.dumps(history_files.deployments_json(summaries), allow_nan=False)
        assert len(cells(history_files.deployments_csv(summaries))) == 2
    for one in record, told:
        json.dumps(history_files.deployment_json(one), allow_nan=False)
        assert len(cells(history_files.seats_csv(one))) == 3


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_only_text(kept: History, name: str) -> None:
    failed = Trouble(TroubleKind.FAILED, 5, name)
    seat = SeatRecord(name, name, name, NINE, None, SeatState.FAILED, 0.5, failed)
    named = replace(RECORD, deployment=replace(RECORD.deployment, id=name, image=name), seats=(seat,))
    await kept.save(named, NOW)
    record = await kept.record(name)
    assert record == named or name == "\ud800"
    (summary,) = await kept.summaries()
    for text in history_files.deployments_csv([summary, named.summary]), history_files.seats_csv(named):
        header, *lines = cells(text.encode().decode())
        shown = re.sub(r"[\0\r\n\ud800]", "\ufffd", name)
        assert all(len(line) == len(header) and line[0] in (shown, "?") for line in lines)


async def test_two_trackers_and_the_counts_share_the_file(file: Path) -> None:
    counts = State(file)
    with closing(counts), closing(History(file)) as one, closing(History(file)) as other:
        counts.add(InfoHash(b"i" * 20))
        await asyncio.gather(
            counts.save(),
            *(one.save(numbered(number), NOW) for number in range(20)),
            *(other.save(numbered(number), NOW) for number in range(10, 30)),
            *(one.record("15") for _ in range(10)),
        )
        assert len(await one.summaries()) == len(await other.summaries()) == 30
        assert await other.record("5") == numbered(5)
    with closing(State(file)) as counts:
        assert counts.count(InfoHash(b"i" * 20)) == 1


def make_nonsense(file: Path) -> None:
    file.write_bytes(b"nonsense" * 1000)


def make_a_folder(file: Path) -> None:
    file.mkdir()


def make_tables_of_others(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE seats (legs INTEGER)")


def make_a_later_version(file: Path) -> None:
    History(file).close()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE history_version SET version = version + 1")


@pytest.mark.parametrize("make", [make_nonsense, make_a_folder, make_tables_of_others, make_a_later_version])
def test_a_file_that_cannot_be_used_is_named(file: Path, make: Callable[[Path], None]) -> None:
    make(file)
    with pytest.raises(StateError, match=rf"^{re.escape(str(file))} cannot keep the history"):
        History(file)


def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(StateError, match=r"^/proc/history"):
        History(Path("/proc/history"))


async def test_a_full_disk_costs_what_does_not_fit_and_nothing_else(file: Path) -> None:
    with closing(History(file)) as kept:
        await kept.save(numbered(1), NOW)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, limits[1]))
        try:
            with pytest.raises(StateError, match="disk"):
                await kept.save(replace(numbered(1), seats=(LOST,) * 5000), NOW)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert await kept.record("1") == numbered(1)
        await kept.save(numbered(2), NOW)
        assert ids(await kept.summaries()) == ["2", "1"]


async def test_rows_that_were_damaged_are_an_error_not_a_crash(file: Path) -> None:
    with closing(History(file)) as kept:
        await kept.save(numbered(1), NOW)
        for damage in (
            "UPDATE seats SET state = 'dancing'",
            "UPDATE deployments SET rooms = 'none', began = 'long ago'",
            "UPDATE deployments SET image = CAST(x'ff' AS TEXT)",
        ):
            with closing(sqlite3.connect(file)) as database, database:
                database.execute(damage)
            with pytest.raises(StateError):
                await kept.record("1")
                await kept.summaries()


async def test_after_its_end_it_is_an_error(file: Path) -> None:
    kept = History(file)
    kept.close()
    kept.close()
    with pytest.raises(StateError):
        await kept.save(RECORD, NOW)


def test_the_fields_of_the_files() -> None:
    runs = replace(RECORD, deployment=replace(RECORD.deployment, ended=None), seats=())
    told = [history_files.deployment_json(record) for record in (RECORD, runs)]
    listed = history_files.deployments_json([RECORD.summary, runs.summary])
    assert listed == {"deployments": [one["deployment"] for one in told]}
    check("`/history.json`", [listed])
    check("A deployment", listed["deployments"])
    check("`/history/ID.json`", told)
    check("A seat of a deployment", told[0]["seats"])
    (image, *others), *lines = cells(history_files.deployments_csv([RECORD.summary, runs.summary]))
    assert [image, *others] == list(listed["deployments"][0])
    assert lines[0][-3:] == ["aula1, aula2", "pc2, 10.1.0.22", "7"]
    assert lines[1][2] == ""
    header, *lines = cells(history_files.seats_csv(RECORD))
    assert header == list(told[0]["seats"][0])
    assert [line[0] for line in lines] == ["pc1", "pc2", "", "pc4"]


def test_the_example_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Madrid")
    time.tzset()
    try:
        told = history_files.deployments_json([RECORD.summary])
        assert json.loads(example("`/history.json`")) == told
        assert datetime.fromisoformat(told["deployments"][0]["began"]).timestamp() == NINE
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("  =1", "  '=1"),
        ('x;"=1"', 'x;"\'=1"'),
        ("\t=1", "\ufffd=1"),
        ("pc-1@aula=1", "pc-1@aula=1"),
        ('"pc", 1', '"pc", 1'),
    ],
)
def test_a_name_is_no_formula(name: str, shown: str) -> None:
    seat = replace(SEAT, name=name)
    assert cells(history_files.seats_csv(replace(RECORD, seats=(seat,))))[1][0] == shown
    lost = replace(RECORD.summary, stragglers=("pc0", name))
    assert cells(history_files.deployments_csv([lost]))[1][-2] == f"pc0, {shown}"


def test_lines_end_as_rfc_4180_has_it() -> None:
    text = history_files.seats_csv(replace(RECORD, seats=(replace(SEAT, name='a,"b'),)))
    assert text.startswith("\ufeffname,address,room,")
    assert text.endswith(",1.0,,,\r\n")
    assert text.count("\r\n") == text.count("\n") == 2
    assert '\n"a,""b",10.1.0.20,' in text
