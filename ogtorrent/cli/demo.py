"""`ogtorrent demo`: a repository and eight caches on loopback addresses, without root."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ogtorrent.cache import events
from ogtorrent.errors import CacheFull, UnknownRoot, UpdateFailed
from ogtorrent.words import words

SEATS = 8
SIZE = 256 * 1024 * 1024
NAME = "demo.img"
PLAIN_EVERY = 2.0  # seconds between lines where there is no terminal
READY = 60.0  # seconds that the server may take


@dataclass
class Seat:
    number: int
    cache: Path
    last: events.Event | None = None
    progress: events.Progress | None = None
    digest: str = ""

    @property
    def address(self) -> str:
        return f"127.0.0.{10 + self.number}"

    @property
    def name(self) -> str:
        return f"PC {self.number}"

    @property
    def part(self) -> float:
        if isinstance(self.last, events.Done):
            return 1.0
        return self.progress.done / self.progress.size if self.progress else 0.0


@click.command(
    help=words(
        "Fill a room of eight caches on this machine, and show it.\n\n"
        "Repository and caches live below the directory for temporary files (TMPDIR names another), "
        "on loopback addresses of their own; nothing of it stays."
    )
)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    metavar=words("FILE"),
    help=words("The image; 256 MiB of random bytes by default."),
)
@click.option("--keep", is_flag=True, help=words("Leave everything up until Ctrl-C."))
def demo(image: Path | None, keep: bool) -> None:
    if image is not None and not image.is_file():
        raise UnknownRoot(str(image), words("Name a file with --image, or leave it out."))
    size = image.stat().st_size if image is not None else SIZE
    free = shutil.disk_usage(tempfile.gettempdir()).free
    needed = (SEATS + 1) * size + 64 * 1024 * 1024
    if needed > free:
        raise CacheFull(words("the demo in {directory}", directory=tempfile.gettempdir()), needed, free)
    with tempfile.TemporaryDirectory(prefix="ogtorrent-demo-") as directory:
        sys.exit(asyncio.run(_run(Path(directory), image, keep)))


async def _run(top: Path, image: Path | None, keep: bool) -> int:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    console = Console(highlight=False, soft_wrap=True)
    console.print(words("A repository and {count} PCs, on loopback addresses of this machine.", count=SEATS))
    original = await asyncio.to_thread(_make_image, top, image)
    seats = [Seat(number, top / f"pc{number}") for number in range(1, SEATS + 1)]
    async with _repository(top / "repository" / "images") as server:
        size = words.bytes(original.stat().st_size)
        console.print(
            words("image {name}, {size}; page {page}", name=NAME, size=size, page=f"http://{server}/")
        )
        try:
            filling = asyncio.ensure_future(_fill(server, seats, console))
            ended = asyncio.ensure_future(interrupted.wait())
            await asyncio.wait((filling, ended), return_when=asyncio.FIRST_COMPLETED)
            if not filling.done():
                filling.cancel()
                await asyncio.wait((filling,))
                console.print(words("interrupted"))
                return 130
            filling.result()
            good = await _report(original, seats, console)
            if keep:
                console.print(
                    words(
                        "The page stays at {page} until Ctrl-C; the caches are below {directory}.",
                        page=f"http://{server}/",
                        directory=top,
                    )
                )
                await ended
            return 0 if good else UpdateFailed.exit_code
        finally:
            await asyncio.gather(*(_ogtorrent("cache", "stop", "--cache", str(seat.cache)) for seat in seats))


def _make_image(top: Path, image: Path | None) -> Path:
    place = top / "repository" / "images" / NAME
    place.parent.mkdir(parents=True)
    if image is not None:
        shutil.copyfile(image, place)
    else:
        with place.open("wb") as file:
            for _ in range(SIZE // 2**20):
                file.write(os.urandom(2**20))
    for number in range(1, SEATS + 1):
        (top / f"pc{number}").mkdir()
    return place


@contextlib.asynccontextmanager
async def _repository(root: Path) -> AsyncIterator[str]:
    """`ogtorrent serve` on a port of its own, until the image is ready. Yields ADDRESS:PORT."""
    log = root.parent / "serve.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *_command("serve", str(root), "--listen", "127.0.0.1:0", "--peer-port", "0"),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        server = ""
        deadline = time.monotonic() + READY
        async with asyncio.timeout(READY):
            async for line in process.stdout:
                if line.startswith(b"announce http://"):
                    server = line.decode().split("//")[1].partition("/")[0]
                    break
        while server and not root.with_name("images").joinpath(f"{NAME}.torrent").exists():
            if time.monotonic() > deadline:
                server = ""
            await asyncio.sleep(0.05)
        if not server:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise UpdateFailed(
                NAME,
                words("the demo's server did not start: {last}", last=last),
                words("See `ogtorrent serve --help`."),
            )
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _fill(server: str, seats: list[Seat], console: Console) -> None:
    commands = [asyncio.ensure_future(_update(server, seat)) for seat in seats]
    try:
        if console.is_terminal:
            with Live(_table(seats), console=console, refresh_per_second=8) as live:
                await _watch(commands, 0.125, lambda: live.update(_table(seats)))
        else:
            await _watch(commands, PLAIN_EVERY, lambda: console.print(_line(seats)))
    finally:
        for command in commands:
            command.cancel()
        await asyncio.gather(*commands, return_exceptions=True)


async def _watch(commands: Sequence[asyncio.Future[None]], every: float, show: Callable[[], None]) -> None:
    pending: set[asyncio.Future[None]] = set(commands)
    while pending:
        _, pending = await asyncio.wait(pending, timeout=every)
        show()
    for command in commands:
        command.result()


async def _update(server: str, seat: Seat) -> None:
    process = await asyncio.create_subprocess_exec(
        *_command("update-cache", server, "/", NAME, "--cache", str(seat.cache)),
        *("--address", seat.address, "--name", seat.name, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # what it says there stands in the last event too
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            seat.last = events.decode(line)
            if isinstance(seat.last, events.Progress):
                seat.progress = seat.last
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _table(seats: list[Seat]) -> Table:
    table = _columns(["PC", words("address"), ""], [words("rate"), words("from seats"), words("time left")])
    for seat in seats:
        bar = ProgressBar(total=1.0, completed=seat.part, width=40, finished_style="green")
        table.add_row(seat.name, seat.address, bar, *_cells(seat))
    return table


def _columns(left: list[str], figures: list[str], last: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in left:
        table.add_column(name)
    for name in figures:
        table.add_column(name, justify="right")
    for name in last:
        table.add_column(name)
    return table


def _cells(seat: Seat) -> tuple[str, str, str]:
    match seat.last:
        case events.Done() as done:
            return (
                words.rate(done.fetched / done.seconds),
                words.percent(done.from_seats / max(1, done.fetched)),
                words("done in {time}", time=words.span(done.seconds)),
            )
        case events.Progress() as now:
            share = words.percent(now.from_seats / max(1, now.from_seats + now.from_repository))
            return words.rate(now.rate), share, words.span(now.left) if now.left is not None else ""
        case events.Failed() as failed:
            return "", "", failed.message
        case _:
            return "", "", words("starting")


def _line(seats: list[Seat]) -> str:
    return "  ".join(f"{seat.name} {100 * seat.part:3.0f} %" for seat in seats)


async def _report(original: Path, seats: list[Seat], console: Console) -> bool:
    """Tell how it went and compare every cache with the image; whether all are the same."""
    wanted, *digests = await asyncio.gather(
        asyncio.to_thread(_digest, original),
        *(asyncio.to_thread(_digest, seat.cache / "images" / NAME) for seat in seats),
    )
    table = _columns(["PC"], [words("time"), words("from seats")], ["SHA-256"])
    for seat, digest in zip(seats, digests, strict=True):
        same = words("same") if digest == wanted else words("DIFFERS")
        if isinstance(seat.last, events.Done):
            share = words.percent(seat.last.from_seats / max(1, seat.last.fetched))
            table.add_row(seat.name, words.span(seat.last.seconds), share, f"{digest[:16]}… {same}")
        else:
            why = seat.last.message if isinstance(seat.last, events.Failed) else words("ended without a word")
            table.add_row(seat.name, "-", "-", why)
    console.print(table)
    whole = [seat.last for seat in seats if isinstance(seat.last, events.Done)]
    size = original.stat().st_size
    if whole:
        fetched, given = sum(done.fetched for done in whole), sum(done.from_seats for done in whole)
        console.print(
            words(
                "The last of {count} PCs was ready after {time}. Seats gave each other {part}; "
                "{copies} copies left the repository.",
                count=len(whole),
                time=words.span(max(done.seconds for done in whole)),
                part=words.percent(given / max(1, fetched)),
                copies=words.number((fetched - given) / size, 2),
            )
        )
    differing = [seat.name for seat, digest in zip(seats, digests, strict=True) if digest != wanted]
    if differing or len(whole) < len(seats):
        missing = differing or [seat.name for seat in seats if not isinstance(seat.last, events.Done)]
        console.print(words("NOT WELL: {seats}", seats=", ".join(missing)))
        return False
    console.print(
        words(
            "All {count} caches hold the same image as the repository (SHA-256 {digest}…).",
            count=len(seats),
            digest=wanted[:16],
        )
    )
    return True


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return words("missing")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ogtorrent", *arguments]


async def _ogtorrent(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(*_command(*arguments), stdout=asyncio.subprocess.DEVNULL)
    await process.wait()
