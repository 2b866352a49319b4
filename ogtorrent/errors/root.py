"""The root of the tree."""

from __future__ import annotations


class OgtorrentError(Exception):
    """The root of the tree; `exit_code` is what the command returns."""

    exit_code = 40
