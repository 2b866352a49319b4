"""Each image's multicast session, kept in its `.mcast`: whoever edits the file there is heeded."""

from __future__ import annotations

import logging

from ogtorrent.errors import BadSession
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


def keep(root: Root, image: ImagePath) -> None:
    """Give an image a session that no other of the tree has, unless it has one. Raises NotWritable.

    A directory has none: udpcast sends one file. Another image's address, as of an image that was copied with
    its sidecars, is changed; a file that is no session is its writer's to mend.
    """
    if root.image(image).is_dir():
        return
    try:
        own = kept(root, image)
    except BadSession as error:
        log.warning("%s: %s", root.sidecar(image, Sidecar.MULTICAST), error)
        return
    taken = [session for other in root.images() if other != image and (session := _others(root, other))]
    if own is None or own.address in {session.address for session in taken}:
        line = f"{assign(str(image), taken)}\n"
        write_whole(root.sidecar(image, Sidecar.MULTICAST), line.encode())


def _others(root: Root, image: ImagePath) -> MulticastSession | None:
    try:
        return kept(root, image)
    except BadSession:
        return None
