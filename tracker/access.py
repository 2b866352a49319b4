"""What the tracker tells people: who came, finished, left or was refused, and, where wanted, each request."""

import logging
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path

from tracker.networks import address_text, endpoint_text
from tracker.request import AnnounceRequest, Event
from tracker.swarm.peer import Answer, Peer, Source, endpoint_of

# One line for what changes in a room.
log = logging.getLogger("tracker.seats")
# One line for each request that is refused, within reason.
refusals = logging.getLogger("tracker.refusals")
# One line for each request that is served; silent unless somebody gives it a handler and a level.
every = logging.getLogger("tracker.access")
every.propagate = False
every.setLevel(logging.CRITICAL)

_MOST_REFUSALS = 20  # lines a second: how many requests are refused is for their senders to say


class AtMost(logging.Filter):
    """Lets so many records a second pass; the first of a later second tells how many did not."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._second = 0
        self._seen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if int(record.created) != self._second:
            hidden = max(0, self._seen - self._most)
            self._second, self._seen = int(record.created), 0
            if hidden:
                record.msg = f"{record.getMessage()} (and {hidden} more before)"
                record.args = ()
        self._seen += 1
        return self._seen <= self._most


refusals.addFilter(AtMost(_MOST_REFUSALS))


def announced(door: str, name: str, request: AnnounceRequest, source: Source, answer: Answer) -> None:
    """Tell of an announce that was answered."""
    if answer.news is None and not every.isEnabledFor(logging.INFO):
        return
    tally = answer.tally
    who = endpoint_text(endpoint_of(request, source))
    if answer.news is not None:
        log.info(
            "%r: %s %s, %d done and %d filling",
            name,
            who,
            answer.news.value,
            tally.complete,
            tally.incomplete,
        )
    every.info(
        "%s %s announce %r%s, %d bytes left, %d down and %d up: gets %d peers, comes again in %d s",
        door,
        who,
        name,
        f" {request.event.name.lower()}" if request.event is not Event.NONE else "",
        request.left,
        request.downloaded,
        request.uploaded,
        len(answer.endpoints),
        answer.interval,
    )


def scraped(door: str, source: Source, count: int) -> None:
    """Tell of a scrape that was answered."""
    every.info("%s %s scrape of %d torrents", door, address_text(source.address), count)


def refused(door: str, what: str, who: str, why: Exception | str) -> None:
    """Tell of a request that was not served."""
    refusals.info("refused %s %s from %s: %s", door, what, who, why)
    every.info("%s %s %s refused: %s", door, who, what, why)


def lost(name: str, peer: Peer, now: float) -> None:
    """Tell of a seat that has fallen silent."""
    log.info("%r: %s lost, silent for %.0f s", name, endpoint_text(peer.endpoint), now - peer.seen)


class _File(WatchedFileHandler):
    """Goes on in a new file when the old one was moved, as logrotate does, and tells once of a full disk.

    Logging's own traceback for each line would fill the next disk.
    """

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not self._told:
            self._told = True
            log.error("lines are missing in the access log: %s: %s", self.baseFilename, sys.exc_info()[1])


def record_every_request(path: Path) -> None:
    """Write a line for each request to a file, or to standard error for `-`. Raises OSError."""
    handler = logging.StreamHandler() if str(path) == "-" else _File(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    every.addHandler(handler)
    every.setLevel(logging.INFO)
