"""A process that seeds: how a command starts one that outlives it, how it tells what it does, and ends.

It is a fork, which shares what both have loaded. A second interpreter would load the same modules again, a
tenth of a processor's second that a room of PCs waits for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ogtorrent.errors import OgtorrentError


def launch(work: Callable[[], None], called: str, lock: int, log: Path) -> int:
    """The pid of a process that does `work`, logs to `log` and holds `lock`, an open file, from the start.

    `called`: as `ps` and `top` show it. Call it before any thread is started. Raises OSError.
    """
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        pid = os.fork()
        if pid == 0:
            _do(work, called, lock, output)
        return pid
    finally:
        os.close(output)


def log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S", stream=sys.stderr
    )


def stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _do(work: Callable[[], None], called: str, lock: int, output: int) -> NoReturn:
    code = OgtorrentError.exit_code
    try:
        _leave_the_command(lock, output)
        Path("/proc/self/comm").write_text(called)
        work()
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
