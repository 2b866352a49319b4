"""Owner, mode, times and extended attributes: how they stand, and how they are given."""

from __future__ import annotations

import errno
import os
import stat
from enum import StrEnum

from ogtorrent.overlay.manifest import Entry, Kind, is_kept


class Lost(StrEnum):
    """What a file system, or whoever writes it, cannot keep."""

    OWNER = "owner"
    MODE = "mode"
    TIMES = "times"
    XATTRS = "extended attributes"
    HARD_LINKS = "hard links"


Look = tuple[int, int, int, int, dict[str, bytes]]


def wanted(entry: Entry) -> Look:
    return entry.uid, entry.gid, entry.mode, entry.mtime, dict(entry.xattrs)


def look(descriptor: int) -> Look:
    """How an open file or directory stands. Raises OSError."""
    status = os.fstat(descriptor)
    return (
        status.st_uid,
        status.st_gid,
        stat.S_IMODE(status.st_mode),
        status.st_mtime_ns,
        _xattrs(descriptor),
    )


def dress(descriptor: int, entry: Entry) -> set[Lost]:
    """Give an open file or directory what an entry says; what could not be kept. Raises OSError."""
    lost = set()
    mode = entry.mode
    # The owner first: the kernel takes capabilities and set-user-ID away from what changes hands.
    try:
        os.chown(descriptor, entry.uid, entry.gid)
    except OSError as error:
        _pass_over(error)
        lost.add(Lost.OWNER)
        mode &= 0o1777  # whoever owns it now is not whom it was to run as
    try:
        os.chmod(descriptor, mode)
    except OSError as error:
        _pass_over(error)
        lost.add(Lost.MODE)
    if not _give_xattrs(descriptor, entry):
        lost.add(Lost.XATTRS)
    os.utime(descriptor, ns=(entry.mtime, entry.mtime))
    uid, gid, kept_mode, mtime, _ = look(descriptor)
    if (uid, gid) != (entry.uid, entry.gid):
        lost.add(Lost.OWNER)
    if kept_mode != mode:
        lost.add(Lost.MODE)
    if mtime != entry.mtime:
        lost.add(Lost.TIMES)
    return lost


def dress_link(name: str, above: int, entry: Entry) -> set[Lost]:
    """Likewise a symbolic link. Raises OSError."""
    lost = set()
    try:
        os.chown(name, entry.uid, entry.gid, dir_fd=above, follow_symlinks=False)
    except OSError as error:
        _pass_over(error)
        lost.add(Lost.OWNER)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=above, follow_symlinks=False)
    if os.stat(name, dir_fd=above, follow_symlinks=False).st_mtime_ns != entry.mtime:
        lost.add(Lost.TIMES)
    return lost


def _give_xattrs(descriptor: int, entry: Entry) -> bool:
    """Also take away what a directory's default ACL gave. False where not all were kept."""
    all_kept = True
    for name in _xattrs(descriptor).keys() - entry.xattrs.keys():
        try:
            os.removexattr(descriptor, name)
        except OSError as error:
            if error.errno != errno.ENODATA:
                _pass_over(error)
                all_kept = False
    for name, value in entry.xattrs.items():
        # A default ACL is a directory's alone.
        if name == "system.posix_acl_default" and entry.kind is not Kind.DIRECTORY:
            continue
        try:
            os.setxattr(descriptor, name, value)
        except OSError as error:
            _pass_over(error)
            all_kept = False
    return all_kept


def _xattrs(descriptor: int) -> dict[str, bytes]:
    try:
        names = [name for name in os.listxattr(descriptor) if is_kept(name)]
        return {name: os.getxattr(descriptor, name) for name in names}
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENODATA):
            raise
        return {}


def _pass_over(error: OSError) -> None:
    """What this file system or this user cannot do, and no more than that. Raises the others."""
    if error.errno not in (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
        raise error
