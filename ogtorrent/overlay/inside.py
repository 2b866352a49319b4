"""A directory as a chroot sees it: no link in it, and nothing that changes meanwhile, leads out of it.

Every component is opened by its own name in the directory before it, links never followed by the kernel:
where one stands, what it says is walked from there, from the top where it is absolute, and `..` goes back
no farther than the top. openat2(RESOLVE_IN_ROOT) does the same, but a kernel may not have it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

_MOST_LINKS = 40  # as the kernel's own limit
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Inside:
    """`directory` opens one below the top; whoever gets a descriptor closes it."""

    def __init__(self, top: Path) -> None:
        """Raises OSError."""
        self._top = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Links that led to a directory: device and inode of where they stand, and name.
        self.followed: set[tuple[int, int, str]] = set()

    def __enter__(self) -> Inside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._top)

    def lock(self) -> bool:
        """One run at a time, until this is closed; a file system that knows no locks has none."""
        try:
            fcntl.flock(self._top, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def free(self) -> int:
        """Bytes that may still be written."""
        status = os.fstatvfs(self._top)
        return status.f_frsize * (status.f_bavail if os.geteuid() else status.f_bfree)

    def directory(self, parts: Sequence[str]) -> int:
        """Raises OSError: there is none, or links go round in a circle."""
        stack = [os.dup(self._top)]
        pending, links = list(reversed(parts)), list[tuple[int, int, str]]()
        try:
            while pending:
                name = pending.pop()
                if name == "..":
                    if len(stack) > 1:
                        os.close(stack.pop())
                elif name not in ("", "."):
                    target = _entered(stack, name)
                    if target is not None:
                        above = os.fstat(stack[-1])
                        links.append((above.st_dev, above.st_ino, name))
                        if len(links) > _MOST_LINKS:
                            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/".join(parts))
                        while target.startswith("/") and len(stack) > 1:
                            os.close(stack.pop())
                        pending += reversed(target.split("/"))
            self.followed.update(links)
            return stack.pop()
        finally:
            for descriptor in stack:
                os.close(descriptor)

    def file(self, parts: Sequence[str]) -> int:
        """A file for reading; a link, or what waits for a writer, is none. Raises OSError."""
        above = self.directory(parts[:-1])
        try:
            return open_file(parts[-1], above)
        finally:
            os.close(above)


def _entered(stack: list[int], name: str) -> str | None:
    """Go into a directory; where a link stands, what it says. Raises OSError."""
    try:
        stack.append(os.open(name, _DIRECTORY, dir_fd=stack[-1]))
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        try:
            return os.readlink(name, dir_fd=stack[-1])
        except OSError:
            raise error from None
    return None


def open_file(name: str, above: int) -> int:
    """Raises OSError."""
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)


def status_of(name: str, above: int) -> os.stat_result | None:
    """Of what stands there itself; None where nothing does. Raises OSError."""
    try:
        return os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return None
