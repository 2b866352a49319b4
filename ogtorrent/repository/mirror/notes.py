"""How far the mirror is with each image, for the catalogue; and what was brought, on disk."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from ogtorrent.errors import BadName
from ogtorrent.files import write_whole
from ogtorrent.layout import ImagePath
from ogtorrent.repository.mirror.plan import Brought

log = logging.getLogger(__name__)


class State(StrEnum):
    IN_STEP = "in step"
    COMING = "mirroring"
    KEPT = "kept"  # the source has it no more
    CONFLICT = "conflict"  # it was changed here
    FAILED = "failed"


@dataclass(frozen=True)
class Note:
    """What the mirror does with an image; bytes."""

    source: str
    state: State
    size: int = 0
    done: int = 0
    why: str = ""


Notes = dict[ImagePath, Note]


class Record:
    """Which images were brought, from where. Raises NotWritable where it cannot be kept."""

    def __init__(self, home: Path) -> None:
        self._file = home / "mirrored.json"
        self.images = self._read()

    def note(self, image: ImagePath, brought: Brought) -> None:
        if self.images.get(image) != brought:
            self.images[image] = brought
            self._file.parent.mkdir(exist_ok=True)
            fields = {str(image): asdict(brought) for image, brought in sorted(self.images.items())}
            write_whole(self._file, json.dumps(fields, indent=1).encode())

    def _read(self) -> dict[ImagePath, Brought]:
        """Where it is lost, every image is compared with its source's once more."""
        try:
            fields = json.loads(self._file.read_bytes())
            return {ImagePath.parse(image): Brought(**brought) for image, brought in fields.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, BadName) as error:
            log.warning("%s cannot be read, images are compared anew: %s", self._file, error)
            return {}
