"""What it costs a seat to make a download safe from a power cut while it comes.

python -m benchmarks.power --size 1024 --rate 0
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.contenders.ogtorrent import OGTORRENT
from benchmarks.room import Host, Room, why_no_room

_NAME = "image.img"
_PATIENCE = 600.0  # seconds that a fill may take
# The same program, which leaves it to the kernel when to write.
_UNSAFE = """
import sys
from ogtorrent.fetch import safe
from ogtorrent.cli import main
async def rounds(*_): pass
safe._rounds = rounds
main(sys.argv[1:])
"""
_WITHOUT = [*OGTORRENT[:3], "-c", _UNSAFE]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", default=1024, show_default=True, type=click.IntRange(1), help="MiB.")
@click.option("--rate", default=0.0, show_default=True, help="Mbit/s of a port; 0 for unshaped.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Of each kind, in turn.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default="/var/tmp",
    help="On the disk that is to hold the cache.",
)
def main(size: int, rate: float, runs: int, directory: Path) -> None:
    """Fill one seat, whose cache is an ext4 on a loop device, with and without it; seconds."""
    if reason := why_no_room():
        raise click.ClickException(reason)
    took: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(prefix="power-", dir=directory) as made:
        folder = Path(made)
        image = folder / "images" / _NAME
        image.parent.mkdir()
        with Path("/dev/urandom").open("rb") as source, image.open("wb") as file:
            for _ in range(size):
                file.write(source.read(2**20))
        for _ in range(runs):
            for kind, program in (("without", _WITHOUT), ("with", OGTORRENT)):
                with _cache(folder, 2 * size + 256) as cache, Room(1, rate or None) as room:
                    took[kind].append(_fill(room, image, cache, program))
                click.echo(f"{kind}: {took[kind][-1]} s", err=True)
    ratio = statistics.median(took["with"]) / statistics.median(took["without"])
    click.echo(json.dumps({"mib": size, "mbit_s": rate, **took, "ratio": round(ratio, 3)}))


@contextmanager
def _cache(folder: Path, mebibytes: int) -> Iterator[Path]:
    disk, place = folder / "disk", folder / "cache"
    place.mkdir()
    with disk.open("xb") as file:
        file.truncate(mebibytes << 20)
    # Past the page cache of the machine that stands in for the disk: what is synced is written.
    device = _run("losetup", "--find", "--show", "--direct-io=on", str(disk)).strip()
    try:
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
        _run("mount", device, str(place))
        try:
            yield place
        finally:
            _run("umount", str(place))
    finally:
        _run("losetup", "--detach", device)
        disk.unlink()
        place.rmdir()


def _fill(room: Room, image: Path, cache: Path, program: list[str]) -> float:
    repository, seat = room.repository, room.seats[0]
    repository.run([*OGTORRENT, "publish", image])
    repository.popen(
        [*OGTORRENT, "serve", image.parent], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _wait_for(repository)
    wanted: list[str | Path] = [repository.address, "/", _NAME, "--cache", cache, "--session", "peer:0"]
    start = time.monotonic()
    seat.popen([*program, "update-cache", *wanted], stdout=subprocess.DEVNULL).wait(_PATIENCE)
    seconds = time.monotonic() - start
    if not (cache / "images" / f"{_NAME}.torrent").exists():
        raise click.ClickException("the image did not arrive")
    seat.run([*OGTORRENT, "cache", "stop", "--cache", cache])
    return round(seconds, 2)


def _wait_for(repository: Host) -> None:
    entry = ["curl", "-fsS", f"http://{repository.address}:6969/catalogue/{_NAME}"]
    deadline = time.monotonic() + 60
    while '"ready"' not in repository.run(entry, check=False).stdout.replace(" ", ""):
        if time.monotonic() > deadline:
            raise click.ClickException("the repository does not offer the image")
        time.sleep(0.1)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
