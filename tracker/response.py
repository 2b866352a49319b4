"""The bencoded replies: BEP 3, compact peers (BEP 23), IPv6 (BEP 7), failures (BEP 31), scrapes (BEP 48)."""

from collections.abc import Mapping

from bencode2 import bencode

from tracker.request import InfoHash
from tracker.swarm import Answer, Contact, Tally


def announce_reply(answer: Answer, *, compact: bool, no_peer_id: bool) -> bytes:
    """An answer as BEP 3 words it; `no_peer_id` matters to the dictionary form alone."""
    reply: dict[str, object] = {
        "complete": answer.tally.complete,
        "incomplete": answer.tally.incomplete,
        "downloaded": answer.tally.downloaded,
        "interval": answer.interval,
        # The interval is what the tracker can bear, so nobody is invited to come sooner.
        "min interval": answer.interval,
    }
    if compact:
        reply["peers"] = _packed(answer.contacts, version=4)
        if peers6 := _packed(answer.contacts, version=6):
            reply["peers6"] = peers6
    else:
        reply["peers"] = [_spelt_out(contact, no_peer_id) for contact in answer.contacts]
    return bencode(reply)


def scrape_reply(tallies: Mapping[InfoHash, Tally], interval: int) -> bytes:
    """Tallies by info-hash (BEP 48)."""
    files = {
        bytes(info_hash): {
            "complete": tally.complete,
            "incomplete": tally.incomplete,
            "downloaded": tally.downloaded,
        }
        for info_hash, tally in tallies.items()
    }
    return bencode({"files": files, "flags": {"min_request_interval": interval}})


def failure(reason: str, *, retry_minutes: int | None = None) -> bytes:
    """A refusal for the client's user to read. `retry_minutes`: when it may be worth another try (BEP 31)."""
    reply: dict[str, object] = {"failure reason": reason}
    if retry_minutes is not None:
        reply["retry in"] = retry_minutes
        # libtorrent does not know BEP 31 but reads an interval beside a failure, and without one it
        # stays away for half an hour.
        reply["interval"] = retry_minutes * 60
    return bencode(reply)


def _packed(contacts: tuple[Contact, ...], version: int) -> bytes:
    return b"".join(
        contact.address.packed + contact.port.to_bytes(2, "big")
        for contact in contacts
        if contact.address.version == version
    )


def _spelt_out(contact: Contact, no_peer_id: bool) -> dict[str, object]:
    entry: dict[str, object] = {"ip": str(contact.address), "port": contact.port}
    if not no_peer_id:
        entry["peer id"] = bytes(contact.peer_id)
    return entry
