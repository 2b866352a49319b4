"""What the seeder of a cache needs while it seeds many images as a service: memory, processor time, start.

python -m benchmarks.shelf --images 50 --size 10
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from ogtorrent.layout import ImagePath, Layout, Mirror, Sidecar, cache_root
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import File, Stamp

_TICK = os.sysconf("SC_CLK_TCK")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--images", default=50, show_default=True, type=click.IntRange(1), help="Sparse images.")
@click.option("--size", default=10, show_default=True, type=click.IntRange(1), help="GiB of each.")
@click.option("--seconds", default=20.0, show_default=True, help="Then it is looked at.")
@click.option(
    "--directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default="/dev/shm"
)
def main(images: int, size: int, seconds: float, directory: Path) -> None:
    """Start `cache seed` over a cache of sparse images and tell what it takes."""
    cache = Path(tempfile.mkdtemp(prefix="shelf-", dir=directory))
    try:
        for number in range(images):
            _stand(cache, f"image{number:04}.img", size << 30)
        command: list[str | Path] = [sys.executable, "-m", "ogtorrent", "cache", "seed", "--cache", cache]
        start = time.monotonic()
        with subprocess.Popen(
            [*command, "--address", "127.0.0.1", "--port", "0"], stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr is not None
                for _ in range(images + 1):  # the cache, and each image
                    process.stderr.readline()
                taken_up = time.monotonic() - start
                busy = _processor_seconds(process.pid)
                time.sleep(seconds)
                figures = {
                    "images": images,
                    "torrents_mib": round(
                        sum(path.stat().st_size for path in cache.rglob("*.torrent")) / 2**20, 1
                    ),
                    "all_seeded_after_seconds": round(taken_up, 2),
                    "processor_seconds_until_then": round(busy, 2),
                    "processor_percent_then": round(
                        100 * (_processor_seconds(process.pid) - busy) / seconds, 1
                    ),
                    **_memory(process.pid),
                }
            finally:
                process.terminate()
        click.echo(json.dumps(figures, indent=2))
    finally:
        shutil.rmtree(cache)


def _stand(cache: Path, name: str, size: int) -> None:
    """An image with a whole `.torrent`, whose hashes nobody will ask for."""
    root, image = cache_root(cache, Mirror(Layout.BARE, "images")), ImagePath((name,))
    root.path.mkdir(exist_ok=True)
    with root.image(image).open("wb") as file:
        file.truncate(size)
    length = metainfo.piece_length(size)
    described = metainfo.encode(
        "images",
        image,
        [File((name,), size)],
        length,
        secrets.token_bytes(20 * -(-size // length)),
        Stamp((root.image(image).stat().st_mtime_ns,), "0" * 32, "0" * 32),
        ["http://127.0.0.1:1/announce"],
    )
    root.sidecar(image, Sidecar.TORRENT).write_bytes(described.raw)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines)}
    return {f"{key.lower()}_mib": round(kib[key] / 1024, 1) for key in ("Rss", "Pss", "Pss_Anon")}


if __name__ == "__main__":
    main()
