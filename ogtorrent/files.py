"""Files that are whole or not there: written aside, made durable, renamed."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from ogtorrent.errors import NotWritable


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` under `path` in one step; what stood there stays until then. Raises NotWritable."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise NotWritable.of(path, error) from error


def remove_unfinished(path: Path) -> None:
    """Take away what `write_whole` left aside where it was cut off. Raises OSError."""
    for aside in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        aside.unlink()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
