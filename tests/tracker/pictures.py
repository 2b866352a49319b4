"""Rooms that never were: snapshots of what the page has to show, hostile clients among them."""

import math
from dataclasses import replace
from hashlib import sha1

from tracker.classroom.curve import Curve
from tracker.classroom.record import DeploymentRecord, DeploymentSummary, SeatRecord
from tracker.classroom.report import Doing, Neighbour, Report
from tracker.classroom.snapshot import (
    Deployment,
    Event,
    EventKind,
    Seat,
    SeatState,
    Snapshot,
    SwarmPicture,
    Trouble,
    TroubleKind,
    by_seat,
)
from tracker.networks import Listed
from tracker.request import InfoHash
from tracker.swarm.peer import PeerStatus

NOW = 1_790_000_000.0
AGE = 240.0  # seconds since the deployments began
GIB = 1 << 30
MIB = 1 << 20
HASH = InfoHash(bytes(range(20)))


def curve(progress: float, began: float, age: float = AGE, pace: float = 2.0) -> Curve:
    """A fill that starts slowly and is now at `progress`."""
    count = int(age / pace)
    return Curve(began, pace, tuple(progress * ((i + 1) / count) ** 1.3 for i in range(count)))


def rates(rate: float, began: float, age: float = AGE, pace: float = 2.0) -> Curve:
    return Curve(
        began,
        pace,
        tuple(rate * (1 + 0.25 * math.sin(i / 5)) * min(1.0, i / 8) for i in range(int(age / pace))),
    )


def report(name: str, port: int = 6881, **facts: object) -> Report:
    told = Report(
        info_hash=HASH,
        port=port,
        name=name,
        doing=Doing.FILLING,
        done=0,
        download_rate=100 * MIB,
        upload_rate=95 * MIB,
        link=1000,
        disk_rate=420 * MIB,
        disk_waits=0.02,
        reachable=True,
        cache_size=200 * GIB,
        cache_free=61 * GIB,
        peers=14,
        neighbours=(),
        availability=(),
        error_code=None,
        error="",
    )
    return replace(told, **facts)  # type: ignore[arg-type]


def seat(number: int, **facts: object) -> Seat:
    """A seat of ours that fills."""
    progress = facts.get("progress", 0.6)
    assert isinstance(progress, float)
    name = facts.get("name", f"pc{number:02}")
    assert isinstance(name, str)
    made = Seat(
        address=f"10.1.1.{number}",
        port=6881,
        name=name,
        room="aula1",
        state=SeatState.FILLING,
        status=PeerStatus.LEECHING,
        progress=progress,
        left=int((1 - progress) * 39 * GIB),
        uploaded=int(progress * 37 * GIB),
        downloaded=int(progress * 39 * GIB),
        upload_rate=95.0 * MIB,
        download_rate=101.0 * MIB,
        rate=101.0 * MIB,
        seen_ago=2.0,
        late=False,
        present=True,
        began=NOW - AGE,
        took=None,
        time_left=(1 - progress) * 400,
        trouble=None,
        report=report(name) if name else None,
        filled=curve(progress, NOW - AGE),
        rates=rates(101.0 * MIB, NOW - AGE),
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def done(number: int, took: float = 228.0, **facts: object) -> Seat:
    filled = curve(1.0, NOW - AGE, took)
    return seat(
        number,
        **{
            "progress": 1.0,
            "state": SeatState.DONE,
            "status": PeerStatus.SEEDING,
            "time_left": None,
            "took": took,
            "rate": 0.0,
            "filled": filled,
            **facts,
        },
    )


def stuck(number: int, state: SeatState, trouble: Trouble, progress: float, **facts: object) -> Seat:
    """One that will not be done by itself."""
    return seat(
        number,
        **{
            "progress": progress,
            "state": state,
            "trouble": trouble,
            "time_left": None,
            "rate": 0.0,
            "present": False,
            "filled": curve(progress, NOW - AGE, AGE / 2),
            **facts,
        },
    )


def repository(sent: int) -> Seat:
    return replace(
        done(1), address="10.1.0.1", port=6970, name="", room="", uploaded=sent, downloaded=0, report=None
    )


def deployment(**facts: object) -> Deployment:
    made = Deployment(
        id="7f3a",
        image="aula1/windows.img",
        size=39 * GIB,
        began=NOW - AGE,
        ended=None,
        sent=41 * GIB,
        delivered=17 * 39 * GIB,
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def swarm(name: str = "aula1/windows.img", seats: tuple[Seat, ...] = (), **facts: object) -> SwarmPicture:
    size = facts.get("size", 39 * GIB)
    assert isinstance(size, int)
    progress = sum(one.progress for one in seats) / len(seats) if seats else 0.0
    made = SwarmPicture(
        name=name,
        info_hash=InfoHash(sha1(name.encode()).digest()),
        size=size,
        piece_length=4 * MIB,
        downloaded=sum(one.done for one in seats),
        repository=(repository(41 * GIB),),
        seats=tuple(sorted(seats, key=by_seat)),
        deployment=deployment(image=name, size=size) if seats else None,
        filled=curve(progress, NOW - AGE) if seats else Curve(NOW),
        rates=rates(sum(one.rate for one in seats), NOW - AGE) if seats else Curve(NOW),
        events=(),
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def snapshot(*swarms: SwarmPicture) -> Snapshot:
    return Snapshot(NOW, 30, swarms)


def empty() -> Snapshot:
    return snapshot()


def room_of_24() -> Snapshot:
    """Mid-fill: a slow port, a lost seat, a full cache, a firewall, foreign clients, two more rooms."""
    seats = [
        seat(n, progress=0.52 + 0.017 * (n % 9), rate=(92 + 1.3 * (n * 7 % 11)) * MIB) for n in range(1, 25)
    ]
    for n in (2, 9, 15, 21):
        seats[n - 1] = done(n, took=198.0 + n)
    seats[4] = seat(
        5,
        progress=0.11,
        rate=11.4 * MIB,
        time_left=3120.0,
        trouble=Trouble(TroubleKind.SLOW_PORT, 100),
        report=report("pc05", link=100),
        rates=rates(11.4 * MIB, NOW - AGE),
    )
    seats[10] = stuck(11, SeatState.LOST, Trouble(TroubleKind.LOST, 131), 0.43, seen_ago=131.0)
    seats[17] = stuck(
        18,
        SeatState.FAILED,
        Trouble(TroubleKind.CACHE_FULL, 6.2 * GIB, "the cache is full"),
        0.0,
        filled=Curve(NOW - AGE),
    )
    seats[12] = seat(
        13,
        progress=0.31,
        rate=38 * MIB,
        trouble=Trouble(TroubleKind.UNREACHABLE),
        report=report("pc13", reachable=False),
    )
    seats[19] = seat(20, name="", progress=0.48, rate=70.2 * MIB)
    seats[21] = seat(
        22,
        name="",
        progress=0.26,
        rate=9.8 * MIB,
        time_left=1800.0,
        trouble=Trouble(TroubleKind.SLOW, 0.11),
    )
    seats[23] = seat(24, state=SeatState.CHECKING, progress=0.07, rate=0.0)
    bars = tuple(4 + (n * 13 % 17) + (n % 5) for n in range(64))
    talks = (
        *(Neighbour(f"10.1.1.{n}", 6881, (20 - n) * MIB, n * MIB) for n in (1, 2, 3, 4, 6, 8)),
        Neighbour("10.1.0.1", 6970, 9 * MIB, 0),
        Neighbour("10.9.9.9", 51413, MIB, 2 * MIB),
    )
    seats[6] = replace(seats[6], report=report("pc07", peers=20, availability=bars, neighbours=talks))
    events = [Event(NOW - AGE, EventKind.BEGAN)]
    events += [Event(NOW - AGE + n / 8, EventKind.ARRIVED, f"pc{n:02}", f"10.1.1.{n}") for n in range(1, 25)]
    events += [
        Event(NOW - 190, EventKind.TROUBLE, "pc05", "10.1.1.5", trouble=Trouble(TroubleKind.SLOW_PORT, 100)),
        Event(NOW - 110, EventKind.LEFT, "pc11", "10.1.1.11", 0.43),
        Event(NOW - 40, EventKind.FINISHED, "pc02", "10.1.1.2", 200),
        Event(NOW - 20, EventKind.TROUBLE, "pc11", "10.1.1.11", 0.43, Trouble(TroubleKind.LOST, 131)),
    ]
    quiet = [swarm(f"aula{n}/linux.img", size=(12 + n) * GIB) for n in range(2, 6)]
    quiet.append(swarm("old/windows7.img", size=25 * GIB, repository=()))
    second = [
        replace(seat(n, progress=0.2, time_left=600.0), room="aula2", address=f"10.1.2.{n}", name=f"lab{n}")
        for n in range(1, 13)
    ]
    ready = [
        replace(done(n, 301.0 + n), room="aula3", address=f"10.1.3.{n}", name=f"mac{n}") for n in range(1, 17)
    ]
    over = deployment(
        image="aula3/debian.img",
        size=22 * GIB,
        began=NOW - 900,
        ended=NOW - 560,
        sent=23 * GIB,
        delivered=16 * 22 * GIB,
    )
    return snapshot(
        swarm("aula1/windows.img", tuple(seats), events=tuple(events)),
        swarm("aula2/ubuntu-24.04.img", tuple(second), size=18 * GIB, repository=()),
        swarm(
            over.image,
            tuple(ready),
            size=over.size,
            deployment=over,
            filled=curve(1.0, over.began, 340.0),
            repository=(repository(over.sent),),
        ),
        *quiet,
    )


def listed() -> Snapshot:
    """The same rooms as a site lists them: some of its PCs are off, and one room is empty."""
    absent = [Listed(f"10.1.1.{n}", f"pc{n}", "aula1") for n in (25, 3000, 26)]
    absent += [Listed(f"10.1.9.{n}", "", "seminar") for n in (10, 9)]
    return replace(room_of_24(), unseen=tuple(absent))


def seats_200() -> Snapshot:
    """Ten swarms of twenty seats in five rooms."""
    swarms = []
    for n in range(10):
        seats = tuple(
            replace(
                seat(i, progress=0.3 + 0.03 * i, name=f"r{n // 2}-pc{n % 2 * 20 + i}"),
                address=f"10.2.{n // 2}.{n % 2 * 20 + i}",
                room=f"aula{n // 2 + 1}",
            )
            for i in range(1, 21)
        )
        swarms.append(swarm(f"aula{n // 2 + 1}/image{n}.img", seats))
    return snapshot(*swarms)


def one_room_of_200(moment: int = 0) -> Snapshot:
    """Every seat in one room; from moment to moment, all go on."""
    seats = tuple(
        replace(
            seat(1, progress=min(1.0, 0.3 + 0.002 * i + 0.01 * moment), name=f"pc{i}"),
            address=f"10.3.{i // 100}.{i % 100}",
            room="hall",
            rate=(80.0 + i % 13 + moment) * MIB,
        )
        for i in range(200)
    )
    return replace(snapshot(swarm(seats=seats)), at=NOW + moment)


SCRIPT = """<script>alert(1)</script><img src=x onerror=alert(1)>"'&{{ 7*7 }}"""
BACKWARDS = "\u202egpj.exe\u202c\u200f שלום"
LONG = "w" * 10_000


def hostile() -> Snapshot:
    """Names that would be more than text."""
    seats = (
        seat(1, name=SCRIPT),
        seat(2, name=BACKWARDS, trouble=Trouble(TroubleKind.FAILED, 16, SCRIPT), state=SeatState.FAILED),
        seat(3, name=LONG, room=SCRIPT),
        seat(4, name=LONG, trouble=Trouble(TroubleKind.SLOW, 0.0)),
    )
    events = tuple(Event(NOW, EventKind.LEFT, one.name, one.address, 0.5) for one in seats)
    return snapshot(
        swarm(SCRIPT, seats, events=events), swarm(LONG, (seat(1, name=SCRIPT),)), swarm(BACKWARDS)
    )


def records(count: int = 12) -> tuple[DeploymentRecord, ...]:
    """Deployments of sixty seats, the newest first."""
    made = []
    for n in range(count):
        began = NOW - AGE - n * 90_000
        seats = tuple(
            SeatRecord(
                name=f"pc{i:02}",
                address=f"10.1.1.{i}",
                room=f"aula{n % 3 + 1}",
                began=began + i / 10,
                took=300.0 + i,
                state=SeatState.DONE,
                progress=1.0,
                trouble=None,
            )
            for i in range(1, 61)
        )
        if n % 3 == 0:
            lost = replace(
                seats[10],
                state=SeatState.LOST,
                took=None,
                progress=0.43,
                trouble=Trouble(TroubleKind.LOST, 131),
            )
            slow = replace(seats[4], took=3120.0, trouble=Trouble(TroubleKind.SLOW_PORT, 100))
            seats = (*seats[:4], slow, *seats[5:10], lost, *seats[11:])
        ended = None if n == 0 else began + 3200
        one = deployment(
            id=f"{n:04x}",
            image=f"aula{n % 3 + 1}/windows.img",
            began=began,
            ended=ended,
            delivered=60 * 39 * GIB,
        )
        made.append(DeploymentRecord(one, seats))
    return tuple(made)


def summaries(count: int = 12) -> tuple[DeploymentSummary, ...]:
    return tuple(record.summary for record in records(count))
