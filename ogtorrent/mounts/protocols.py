"""Which protocol an administrator means, and what a server exports by it."""

from __future__ import annotations

import re

from ogtorrent.errors import BadAddress
from ogtorrent.layout import REPO, Here, Layout, Place
from ogtorrent.mounts.credentials import Credentials
from ogtorrent.mounts.mounting import Mountable
from ogtorrent.mounts.nfs import Nfs
from ogtorrent.mounts.remote import Host
from ogtorrent.mounts.smb import Smb
from ogtorrent.mounts.sshfs import Sshfs
from ogtorrent.mounts.webdav import WebDav
from ogtorrent.words import words

PROTOCOLS = ("nfs", "smb", "sshfs", "webdav")
SHARE = "ogimages"  # smb-og.conf of OpenGnsys: the folder of its images
TREE = "ogrepo"  # ours, for a whole tree of the current layout


def remote(protocol: str, host: Host, path: str, secure: bool, credentials: Credentials | None) -> Mountable:
    match protocol:
        case "nfs":
            return Nfs(host, path, credentials)
        case "smb":
            return Smb(host, path, credentials)
        case "sshfs":
            return Sshfs(host, path, credentials)
        case _:
            return WebDav(host, path, credentials, secure)


def exported(protocol: str, here: Here, place: Place) -> str:
    """What a server exports unless it is said: folders by their own names, shares as OpenGnsys calls them."""
    whole = place == REPO and here.repository.mirror.layout is Layout.CURRENT
    if protocol in ("smb", "webdav"):
        return f"/{TREE if whole else SHARE}"
    return str(here.repository.path.parent if whole else here.repository.path)


def checked_path(path: str) -> str:
    """Absolute, without a slash at its end. Raises BadAddress."""
    if not path.strip("/") or not path.isprintable() or "\\" in path or re.search(r"(^|/)\.\.?(/|$)", path):
        raise BadAddress(path, words("a path is a folder's full name, or a share's"))
    return "/" + path.strip("/")
