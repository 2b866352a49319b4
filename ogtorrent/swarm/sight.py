"""What can be seen of a torrent at a moment: values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A torrent now: bytes, and bytes received by address.

    While `checking`, `done` is what was read; afterwards, what was verified.
    """

    checking: bool
    done: int
    size: int
    peers: int
    given: dict[str, int]


@dataclass(frozen=True)
class Neighbour:
    """A peer that is connected, and bytes of the image since it is."""

    address: str
    port: int
    taken: int  # from it
    given: int


@dataclass(frozen=True)
class Sight:
    """A torrent and its peers at a moment: bytes."""

    done: int  # what was verified
    taken: int  # of the image, since it was added
    given: int
    neighbours: Sequence[Neighbour]
    availability: Sequence[int]  # how many of them have each piece; empty for a seed


@dataclass(frozen=True)
class Written:
    """Pieces and blocks that were handed to the kernel."""

    done: int  # bytes; more by less than a piece where the last one is short
    state: bytes  # for `Session.add` to go on from
