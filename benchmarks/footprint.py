"""What a seat needs beside time: its memory while a great image comes, and how it treats the disk.

python -m benchmarks.footprint --size 40
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.contenders.ogtorrent import OGTORRENT
from benchmarks.room import Host, Room, why_no_room

_NAME = "image.img"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", default=40, show_default=True, type=click.IntRange(1), help="GiB of a sparse image.")
@click.option("--clients", default=4, show_default=True, type=click.IntRange(1, 30), help="Seats.")
@click.option("--rate", default=250.0, show_default=True, help="Mbit/s of a port.")
@click.option("--seconds", default=20.0, show_default=True, help="Then the fill is given up.")
@click.option(
    "--directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default="/dev/shm"
)
def main(size: int, clients: int, rate: float, seconds: float, directory: Path) -> None:
    """Fill seats with a part of a great image, and watch the first one's process."""
    if reason := why_no_room():
        raise click.ClickException(reason)
    folder = Path(tempfile.mkdtemp(prefix="footprint-", dir=directory))
    try:
        image = folder / "images" / _NAME
        image.parent.mkdir()
        with image.open("wb") as file:
            file.truncate(size << 30)
        with Room(clients, rate) as room:
            click.echo(f"publishing {size} GiB", err=True)
            room.repository.run([*OGTORRENT, "publish", image])
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            room.repository.popen([*OGTORRENT, "serve", image.parent], **quiet)
            _wait_for(room.repository)
            start = time.monotonic()
            for seat in room.seats:
                cache = folder / seat.name
                cache.mkdir()
                wanted: list[str | Path] = [room.repository.address, "/", _NAME, "--cache", cache]
                seat.popen([*OGTORRENT, "update-cache", *wanted], stdout=subprocess.DEVNULL)
            click.echo(json.dumps(_watch(room.seats[0], folder, start, seconds), indent=2))
    finally:
        shutil.rmtree(folder)


def _wait_for(repository: Host) -> None:
    entry = ["curl", "-fsS", f"http://{repository.address}:6969/catalogue/{_NAME}"]
    deadline = time.monotonic() + 60
    while '"ready"' not in repository.run(entry, check=False).stdout.replace(" ", ""):
        if time.monotonic() > deadline:
            raise click.ClickException("the repository does not offer the image")
        time.sleep(0.1)


def _watch(seat: Host, folder: Path, start: float, seconds: float) -> dict[str, float | int]:
    """Figures of a seat's seeder process, most of them by the kernel's account."""
    command = seat.children[0].pid
    first_byte, most, opened, io = 0.0, 0, 0, {"wchar": 0, "syscw": 1, "write_bytes": 0}
    while time.monotonic() - start < seconds:
        partials = [path for path in (folder / seat.name).rglob("*") if path.is_file() and _NAME in path.name]
        if not first_byte and any(path.stat().st_blocks for path in partials):
            first_byte = time.monotonic() - start
        for seeder in Path(f"/proc/{command}/task/{command}/children").read_text().split():
            process = Path("/proc") / seeder
            most = max(most, _anonymous(process))
            io = {key: int(value) for key, value in _lines(process / "io")}
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
            opened = max(opened, sum(link in map(str, partials) for link in links))
        time.sleep(0.01 if not first_byte else 0.2)
    written = sum(path.stat().st_blocks for path in partials) * 512
    return {
        "first_byte_seconds": round(first_byte, 2),
        "anonymous_memory_mib": round(most / 1024, 1),
        "descriptors_of_the_image": opened,
        "on_disk_mib": written >> 20,
        "handed_to_the_disk_mib": io["write_bytes"] >> 20,
        "kib_a_write": io["wchar"] // io["syscw"] >> 10,
    }


def _anonymous(process: Path) -> int:
    """KiB of memory that is not page cache."""
    return int(dict(_lines(process / "status"))["RssAnon"].split()[0])


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        yield key, value.strip()


if __name__ == "__main__":
    main()
