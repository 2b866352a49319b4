"""The snapshot in JSON's own types: what programs read. Fields are only ever added (docs/api.md)."""

from dataclasses import asdict

from tracker.classroom.report import Report
from tracker.classroom.snapshot import Deployment, Seat, Snapshot, SwarmPicture, Trouble
from tracker.look.troubles import told
from tracker.words import Words


def snapshot_as_json(snapshot: Snapshot, words: Words) -> dict[str, object]:
    """All swarms; info-hashes in hexadecimal, and what is wrong with a seat in the reader's language, too."""
    return {
        "interval": snapshot.interval,
        "swarms": [swarm_as_json(swarm, words) for swarm in snapshot.swarms],
        "unseen": [{"address": pc.address, "name": pc.name, "room": pc.room} for pc in snapshot.unseen],
    }


def swarm_as_json(swarm: SwarmPicture, words: Words) -> dict[str, object]:
    """One swarm of it."""
    return {
        "name": swarm.name,
        "info_hash": swarm.info_hash.hex(),
        "size": swarm.size,
        "piece_length": swarm.piece_length,
        "downloaded": swarm.downloaded,
        "done": swarm.done,
        "filling": swarm.filling,
        "lost": swarm.lost,
        "progress": swarm.progress,
        "copies": swarm.copies,
        "rate": swarm.rate,
        "time_left": swarm.time_left,
        "deployment": _deployment(swarm.deployment) if swarm.deployment else None,
        "repository": [_seat(seat, words) for seat in swarm.repository],
        "seats": [_seat(seat, words) for seat in swarm.seats],
    }


def _deployment(deployment: Deployment) -> dict[str, object]:
    return {
        "id": deployment.id,
        "began": deployment.began,
        "ended": deployment.ended,
        "sent": deployment.sent,
        "delivered": deployment.delivered,
        "copies": deployment.copies,
        "share": deployment.share,
    }


def _seat(seat: Seat, words: Words) -> dict[str, object]:
    return {
        "address": seat.address,
        "port": seat.port,
        "name": seat.name,
        "room": seat.room,
        "state": seat.state.value,
        "status": seat.status.value,
        "present": seat.present,
        "progress": seat.progress,
        "left": seat.left,
        "uploaded": seat.uploaded,
        "downloaded": seat.downloaded,
        "upload_rate": seat.upload_rate,
        "download_rate": seat.download_rate,
        "rate": seat.rate,
        "seen_ago": seat.seen_ago,
        "late": seat.late,
        "began": seat.began,
        "took": seat.took,
        "time_left": seat.time_left,
        "trouble": _trouble(seat.trouble, seat.progress, words) if seat.trouble else None,
        "report": _report(seat.report) if seat.report else None,
    }


def _trouble(trouble: Trouble, progress: float, words: Words) -> dict[str, object]:
    return {
        "kind": trouble.kind.value,
        "figure": float(trouble.figure),
        "words": trouble.words,
        "told": told(trouble, progress, words),
    }


def _report(report: Report) -> dict[str, object]:
    return {
        "link": report.link,
        "disk_rate": report.disk_rate,
        "disk_waits": report.disk_waits,
        "reachable": report.reachable,
        "cache_size": report.cache_size,
        "cache_free": report.cache_free,
        "peers": report.peers,
        "neighbours": [asdict(neighbour) for neighbour in report.neighbours],
        "availability": report.availability,
    }
