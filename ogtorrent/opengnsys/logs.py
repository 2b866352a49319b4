"""The logs that OpenGnsys's console shows of a PC (ogEcho and ogRaiseError of `System.lib`).

session   OGLOGSESSION   what is done, by steps
command   OGLOGCOMMAND   what the running program prints; a line with a % is shown as progress
log       OGLOGFILE      the PC's own, which stays on the server
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

# What OpenGnsys calls an error in the language of the PC, by its exit code.
_TEXTS = {
    1: "MSG_ERR_FORMAT",
    2: "MSG_ERR_NOTFOUND",
    3: "MSG_ERR_PARTITION",
    4: "MSG_ERR_LOCKED",
    5: "MSG_ERR_IMAGE",
    7: "MSG_ERR_NOTEXEC",
    14: "MSG_ERR_NOTWRITE",
    15: "MSG_ERR_NOTCACHE",
    16: "MSG_ERR_CACHESIZE",
    21: "MSG_ERR_CACHE",
    23: "MSG_ERR_REPO",
    31: "MSG_ERR_UPDATECACHE",
    33: "MSG_ERR_IMAGEFILE",
    55: "MSG_ERR_MCASTSYNTAXT",
    56: "MSG_ERR_MCASTSENDFILE",
    57: "MSG_ERR_MCASTRECEIVERFILE",
    60: "MSG_ERR_PROTOCOLJOINMASTER",
}


class Log(Enum):
    SESSION = "OGLOGSESSION"
    COMMAND = "OGLOGCOMMAND"
    LOG = "OGLOGFILE"


_DEFAULTS = {Log.SESSION: "/tmp/session.log", Log.COMMAND: "/tmp/command.log"}


class Logs:
    """The logs of a command, called by its name in errors. One that cannot be written is no error."""

    def __init__(self, settings: Mapping[str, str], name: str) -> None:
        self._settings, self._name = settings, name
        named = {log: settings.get(log.value) or _DEFAULTS.get(log, "") for log in Log}
        self._paths = {log: Path(path) for log, path in named.items() if path}

    def begin(self, log: Log, text: str = "") -> None:
        """Anew, as for a new session or program."""
        if log in self._paths:
            with contextlib.suppress(OSError):
                self._paths[log].write_text(text)

    def tell(self, text: str, *logs: Log) -> None:
        """On the screen, too."""
        print(text, flush=True)
        self._append(text, logs)

    def refuse(self, code: int, text: str) -> None:
        """An error, with OpenGnsys's words for its exit code."""
        known = self._settings.get(_TEXTS.get(code, "MSG_ERR_GENERIC"), "")
        told = f'{known} "{text}"' if known else text
        line = f"OpenGnsys error: {time.strftime('%Y-%m-%d %H:%M:%S')} {self._name}: {told}"
        print(line, file=sys.stderr, flush=True)
        kept = [Log.SESSION] if self._settings.get("DEBUG", "").lower() == "no" else [Log.SESSION, Log.LOG]
        self._append(line, kept)

    def _append(self, text: str, logs: tuple[Log, ...] | list[Log]) -> None:
        for log in logs:
            if log in self._paths:
                with contextlib.suppress(OSError), self._paths[log].open("a") as file:
                    file.write(text + "\n")
