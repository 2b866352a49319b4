"""The bencoded replies: BEP 3, compact peers (BEP 23), IPv6 (BEP 7), failures (BEP 31), scrapes (BEP 48)."""

from collections.abc import Mapping

from bencode2 import bencode

from tracker.networks import address_text
from tracker.request import AnnounceRequest, InfoHash
from tracker.swarm.peer import Answer, Tally


def announce_reply(answer: Answer, request: AnnounceRequest) -> bytes:
    """An answer as BEP 3 words it; `no_peer_id` matters to the dictionary form alone."""
    if not request.compact:
        return _spelt_out(answer, request.no_peer_id)
    # Written out for speed: an announce is asked for thousands of times a second, and the keys stay.
    # The interval is what the tracker can bear, so nobody is invited to come sooner than by it.
    complete, incomplete, downloaded = answer.tally
    packed, packed6 = b"".join(answer.endpoints), b""
    if len(packed) != 6 * len(answer.endpoints):
        packed = b"".join([endpoint for endpoint in answer.endpoints if len(endpoint) == 6])
        packed6 = b"".join([endpoint for endpoint in answer.endpoints if len(endpoint) == 18])
    return (
        b"d8:completei%de10:downloadedi%de10:incompletei%de8:intervali%de12:min intervali%de5:peers%d:%b%be"
        % (
            complete,
            downloaded,
            incomplete,
            answer.interval,
            answer.interval,
            len(packed),
            packed,
            b"6:peers6%d:%b" % (len(packed6), packed6) if packed6 else b"",
        )
    )


def scrape_reply(tallies: Mapping[InfoHash, Tally], interval: int) -> bytes:
    """Tallies by info-hash (BEP 48)."""
    files = {bytes(info_hash): tally._asdict() for info_hash, tally in tallies.items()}
    return bencode({"files": files, "flags": {"min_request_interval": interval}})


def failure(reason: str, *, retry_minutes: int | None = None, interval: int | None = None) -> bytes:
    """A refusal for the client's user to read. `retry_minutes`: when it may be worth another try (BEP 31).

    `interval` is the same in seconds, where minutes are too long.
    """
    reply: dict[str, object] = {"failure reason": reason}
    if retry_minutes is not None:
        reply["retry in"] = retry_minutes
        # libtorrent does not know BEP 31 but reads an interval beside a failure, and without one it
        # stays away for half an hour.
        reply["interval"] = retry_minutes * 60 if interval is None else interval
    return bencode(reply)


def _spelt_out(answer: Answer, no_peer_id: bool) -> bytes:
    peers = []
    for endpoint, peer_id in zip(answer.endpoints, answer.peer_ids, strict=True):
        entry: dict[str, object] = {
            "ip": address_text(endpoint[:-2]),
            "port": int.from_bytes(endpoint[-2:], "big"),
        }
        peers.append(entry if no_peer_id else entry | {"peer id": peer_id})
    interval = {"interval": answer.interval, "min interval": answer.interval}
    return bencode(answer.tally._asdict() | interval | {"peers": peers})
