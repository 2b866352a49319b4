"""What an administrator does with an image of the repository: lock it, unlock it, remove it."""

from __future__ import annotations

from ogtorrent import files
from ogtorrent.errors import ImageLocked, NotWritable, UnfitImage
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.repository.publish import contents
from ogtorrent.repository.writers import is_open_for_writing
from ogtorrent.words import words


def is_locked(root: Root, image: ImagePath) -> bool:
    return root.sidecar(image, Sidecar.LOCK).exists()


def lock(root: Root, image: ImagePath) -> None:
    """Its `.lock`: somebody is about to change it. Raises NotWritable."""
    place = root.sidecar(image, Sidecar.LOCK)
    try:
        place.touch()
    except OSError as error:
        raise NotWritable.of(place, error) from error


def unlock(root: Root, image: ImagePath) -> None:
    """Whoever locked it. Raises NotWritable."""
    place = root.sidecar(image, Sidecar.LOCK)
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable.of(place, error) from error


def remove(root: Root, image: ImagePath) -> None:
    """Take away an image and its sidecars for good. Raises ImageLocked, NotWritable.

    Seats that have it keep it, and go on seeding it to each other.
    """
    place, aside = root.image(image), root.removing(image)
    if is_locked(root, image):
        raise ImageLocked(str(image), words("{lock} stands beside it", lock=image.name + Sidecar.LOCK))
    try:
        if _is_written(root, image):
            raise ImageLocked(str(image), words("somebody has it open for writing"))
        # The `.torrent` first: nobody may take what is no longer whole. A directory goes in one step.
        for kind in (Sidecar.TORRENT, Sidecar.MULTICAST, Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
            root.sidecar(image, kind).unlink(missing_ok=True)
        files.remove(aside)
        place.rename(aside)
        files.remove(aside)
    except FileNotFoundError:
        return  # somebody else was faster
    except OSError as error:
        raise NotWritable.of(place, error) from error


def _is_written(root: Root, image: ImagePath) -> bool:
    try:
        return any(is_open_for_writing(path) for path in contents(root, image).paths)
    except UnfitImage:  # it was never published, and may go all the same
        return False
