"""`python -m ogtorrent.cache CACHE ADDRESS`: the seeder, until nothing is left to seed."""

from __future__ import annotations

import sys
from pathlib import Path

from ogtorrent.cache import control, seeder
from ogtorrent.errors import OgtorrentError

try:
    # Two commands at once start one each; the second finds the first and leaves the work to it.
    seeder.run(Path(sys.argv[1]), sys.argv[2], control.PEER_PORT, stays=False)
except OgtorrentError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
