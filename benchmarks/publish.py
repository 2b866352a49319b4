"""Publishing beside its alternative on one file: `ogtorrent publish`, and `mktorrent -t 2` plus `md5sum`.

python -m benchmarks.publish --size 1024 --runs 5
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.setting import memory_for

_MIB = 1 << 20


@click.command()
@click.option("--size", default=1024, show_default=True, type=click.IntRange(1), help="MiB of the image.")
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1))
@click.option("--directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(size: int, runs: int, directory: Path | None) -> None:
    """Time both in turn, whole processes, the file in the page cache; the ratio is theirs over ours."""
    for program, package in (("mktorrent", "mktorrent"), ("md5sum", "coreutils")):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is missing: apt-get install {package}")
    with tempfile.TemporaryDirectory(prefix="publish-", dir=directory or memory_for(size * _MIB)) as folder:
        image = Path(folder) / "image.img"
        with image.open("wb") as file:
            for _ in range(size):
                file.write(os.urandom(_MIB))
        ratios = []
        for turn in range(runs + 1):
            ours, theirs = _ours(image), _theirs(image)
            if turn:  # the first one warms up
                ratios.append(theirs / ours)
                click.echo(
                    f"publish {ours:.2f} s ({size / 1024 / ours:.2f} GiB/s)   "
                    f"mktorrent and md5sum {theirs:.2f} s   ratio {theirs / ours:.2f}"
                )
        click.echo(
            f"ratio: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}"
        )


def _ours(image: Path) -> float:
    return _timed([sys.executable, "-m", "ogtorrent", "publish", "--again", str(image)])


def _theirs(image: Path) -> float:
    torrent = image.with_suffix(".mktorrent")
    torrent.unlink(missing_ok=True)
    making = ["mktorrent", "-t", "2", "-l", "19", "-a", "http://127.0.0.1:6969/announce"]
    return _timed([*making, "-o", str(torrent), str(image)]) + _timed(["md5sum", str(image)])


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
