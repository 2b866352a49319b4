"""The `ogtorrent` command, also as `python -m ogtorrent`."""

from __future__ import annotations

import contextlib
import gc
import gettext
import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Be the command. A room waits for every seat's start and end, so neither takes more than it must."""
    # Loading makes a hundred thousand objects that stay: looking through them for rubbish every seven
    # hundred, as Python does, takes a tenth of the time.
    gc.set_threshold(50_000, 20, 20)
    from ogtorrent import words

    # click takes these when it is loaded.
    gettext.gettext, gettext.ngettext = words.gettext, words.ngettext
    from ogtorrent.cli import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # the kernel takes back memory faster than Python does, object by object


if __name__ == "__main__":
    run()
