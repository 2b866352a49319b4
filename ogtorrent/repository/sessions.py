"""Each image's multicast session, kept in its `.mcast`: whoever edits the file there is heeded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection

from ogtorrent.errors import BadSession, NotWritable
from ogtorrent.files import write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.multicast import MulticastSession, assign
from ogtorrent.words import words

log = logging.getLogger(__name__)

LARGEST = 200  # bytes of a `.mcast`


def kept(root: Root, image: ImagePath) -> MulticastSession | None:
    """What an image's `.mcast` says; None where there is none. Raises BadSession."""
    try:
        with root.sidecar(image, Sidecar.MULTICAST).open(encoding="ascii") as file:
            return MulticastSession.parse(file.read(LARGEST).strip())
    except OSError:
        return None
    except UnicodeDecodeError:
        raise BadSession(image.name + Sidecar.MULTICAST, words("it is no text")) from None


def keep(root: Root, images: Collection[ImagePath]) -> None:
    """Give each of these images a session that no other of the tree has, unless it has one.

    A directory has none: udpcast sends one file. Another image's address, as of an image that was copied with
    its sidecars, is changed; a file that is no session is its writer's to mend.

    Raises NotWritable, of the first of those that could not be written, when the others have theirs.
    """
    held = {image: session for image in root.images() if (session := _legible(root, image, image in images))}
    holders = Counter(session.address for session in held.values())
    failures = []
    for image in sorted(images):
        own = held.get(image)
        has_one = own is not None and holders[own.address] == 1
        if has_one or root.image(image).is_dir() or (own is None and _stands(root, image)):
            continue
        if own is not None:
            holders[own.address] -= 1
        held[image] = assign(str(image), [session for other, session in held.items() if other != image])
        holders[held[image].address] += 1
        try:
            write_whole(root.sidecar(image, Sidecar.MULTICAST), f"{held[image]}\n".encode())
        except NotWritable as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _legible(root: Root, image: ImagePath, told: bool) -> MulticastSession | None:
    try:
        return kept(root, image)
    except BadSession as error:
        if told:
            log.warning("%s: %s", root.sidecar(image, Sidecar.MULTICAST), error)
        return None


def _stands(root: Root, image: ImagePath) -> bool:
    return root.sidecar(image, Sidecar.MULTICAST).exists()
