"""Start the seeder of a cache from a command: a fork, which shares what both have loaded.

A second interpreter would load the same modules again, a tenth of a processor's second that a
room of PCs waits for.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from ogtorrent.errors import OgtorrentError


def launch(cache: Path, address: str, port: int, lock: int, log: Path) -> int:
    """The pid of a seeder that logs to `log` and holds `lock`, an open and locked file, from the start.

    Call it before any thread is started. Raises OSError.
    """
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        pid = os.fork()
        if pid == 0:
            _be_a_seeder(cache, address, port, lock, output)
        return pid
    finally:
        os.close(output)


def _be_a_seeder(cache: Path, address: str, port: int, lock: int, output: int) -> NoReturn:
    code = OgtorrentError.exit_code
    try:
        _leave_the_command(lock, output)
        from ogtorrent.cache import seeder  # with asyncio, which the command does without

        seeder.run(cache, address, port)
        code = 0
    except OgtorrentError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # nothing that the command wanted to do at its end


def _leave_the_command(lock: int, output: int) -> None:
    os.setsid()
    os.chdir("/")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # A command's pipe that stayed open would never end for its reader.
    os.closerange(3, lock)
    os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))
    Path("/proc/self/comm").write_text("ogtorrent-seed")  # as `ps` and `top` show it
