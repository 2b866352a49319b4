"""When a service may give, and how much: quiet hours and a rate, as they are written. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from ogtorrent.words import words

_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Quiet:
    """Hours of every day, in this PC's own time; `end` is the first moment after them."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Quiet:
        """From `08:00-15:00`; from `22:00-06:00` over midnight. Raises ValueError."""
        match = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", text, re.ASCII)
        try:
            if match is not None:
                numbers = [int(digits) for digits in match.groups()]
                start, end = time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
                if start != end:
                    return cls(start, end)
        except ValueError:
            pass
        raise ValueError(words("{text!r} is no time of the day such as 08:00-15:00", text=text[:40]))

    def holds(self, now: time) -> bool:
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


def bytes_a_second(text: str) -> int:
    """From bits a second as OpenGnsys writes them: `70M`, `1G`, `500K`. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,6})([KMG])", text, re.ASCII)
    if match is None or not int(match[1]):
        raise ValueError(words("{text!r} is no rate such as 50M, which is 50 Mbit/s", text=text[:40]))
    return int(match[1]) * _UNITS[match[2]] // 8
