"""Walks bencoded bytes (BEP 3) from anybody, without recursion and without building what it walks over.

The libraries on PyPI decode values, but none says where in the file a value stands, and an info-hash is the
SHA-1 of the info dictionary as it stands there. Walking also keeps a hostile file small in memory: 64 MiB
of empty lists would be gigabytes of Python objects.
"""

import re
from collections.abc import Iterator

# The lengths are bounded before int() sees the digits.
_TOKEN = re.compile(rb"i(-?[0-9]{1,19})e|([0-9]{1,10}):|([ld])|(e)")
# The largest torrent that makes sense (half a million files) takes some 18 million.
_MOST_STEPS = 20_000_000


class MalformedError(ValueError):
    """Bytes that are not the bencoding they should be."""


class Walk:
    """A reader of one piece of bencoding; all positions are offsets into its bytes. Raises MalformedError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._steps = 0

    def end_of(self, start: int) -> int:
        """The offset just past the value that stands at `start`."""
        depth = 0
        at = start
        while True:
            token = self._token(at)
            at = token.end()
            if token.group(2) is not None:
                at = self._past_string(token)
            elif token.group(3) is not None:
                depth += 1
            elif token.group(4) is not None:
                depth -= 1
            if depth < 0:
                raise MalformedError(f"no value at byte {start}")
            if depth == 0:
                return at

    def entries(self, start: int) -> Iterator[tuple[bytes, int, int]]:
        """Each key of the dictionary at `start`, with where its value starts and ends."""
        at = self._inside(start, b"d")
        while self._data[at : at + 1] != b"e":
            key, at = self.string(at)
            end = self.end_of(at)
            yield key, at, end
            at = end

    def integers(self, start: int, name: bytes) -> Iterator[int]:
        """Every integer under the key `name`, at any depth of the tree of dictionaries at `start`.

        One pass however deep the tree is: a walk by `entries` would go over each level once more.
        """
        at = self._inside(start, b"d")
        depth = 1
        while depth:
            if self._data[at : at + 1] == b"e":
                depth -= 1
                at += 1
                continue
            key, at = self.string(at)
            if self._data[at : at + 1] == b"d":
                depth += 1
                at += 1
                continue
            if key == name:
                yield self.integer(at)
            at = self.end_of(at)

    def items(self, start: int) -> Iterator[int]:
        """Where each item of the list at `start` starts."""
        at = self._inside(start, b"l")
        while self._data[at : at + 1] != b"e":
            yield at
            at = self.end_of(at)

    def string(self, start: int) -> tuple[bytes, int]:
        """The byte string at `start`, and the offset just past it."""
        token = self._token(start)
        if token.group(2) is None:
            raise MalformedError(f"no string at byte {start}")
        end = self._past_string(token)
        return self._data[token.end() : end], end

    def integer(self, start: int) -> int:
        """The integer at `start`."""
        token = self._token(start)
        if token.group(1) is None:
            raise MalformedError(f"no integer at byte {start}")
        return int(token.group(1))

    def _inside(self, start: int, opening: bytes) -> int:
        if self._data[start : start + 1] != opening:
            raise MalformedError(f"no {'dictionary' if opening == b'd' else 'list'} at byte {start}")
        return start + 1

    def _past_string(self, token: re.Match[bytes]) -> int:
        end = token.end() + int(token.group(2))
        if end > len(self._data):
            raise MalformedError(f"the string at byte {token.start()} goes past the end")
        return end

    def _token(self, at: int) -> re.Match[bytes]:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise MalformedError("it holds too many values")
        token = _TOKEN.match(self._data, at)
        if token is None:
            raise MalformedError(f"no bencoding at byte {at}")
        return token
