"""Does anybody write a file? The kernel knows."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

from ogtorrent.errors import UnfitImage
from ogtorrent.mounts import table
from ogtorrent.mounts.table import Mounted
from ogtorrent.words import words

REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3"))


def survive_lease_breaks() -> None:
    """Call once in the main thread before `is_open_for_writing`.

    A writer that opens in the instant of the lease breaks it, which sends SIGIO; unanswered, that kills.
    """
    signal.signal(signal.SIGIO, signal.SIG_IGN)


def is_open_for_writing(path: Path) -> bool:
    """Ask for a read lease (fcntl F_SETLEASE), which is refused while anybody writes.

    Where leases cannot be had (another owner's file, network file systems) the answer is no,
    and only quiet and the `.lock` protect an image. Raises UnfitImage where the file cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise UnfitImage(
            path.name, words("it cannot be read"), words("Let the server's user read it.")
        ) from error
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        device = os.fstat(descriptor).st_dev
        return error.errno == errno.EAGAIN and not is_remote(device, table.read())
    finally:
        os.close(descriptor)
    return False


def is_remote(device: int, mounts: tuple[Mounted, ...]) -> bool:
    """Whether a file system is another machine's.

    Without a delegation of its server, NFS refuses every lease with the error that means a writer
    (nfs4_add_lease); so does SMB without an oplock (cifs_setlease).
    """
    return next((one.kind in REMOTE for one in mounts if one.device == device), False)
