"""How our peers behave in a swarm: libtorrent's settings and what a seat asks for, each with its reason.

libtorrent as it comes fills a room of eight at 100 Mbit/s in 2.5 times the line-rate limit and
takes 2.2 copies from the repository; queues, whole pieces, uTP, the picker's threshold and the
slots make the difference. What comes of it stands in benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

IPAddress = IPv4Address | IPv6Address
Settings = dict[str, Any]

AGENT = "ogtorrent"  # by which our peers know each other (`v` of BEP 10)

# Everybody queues at most this many blocks of 16 KiB at a peer. The limit that counts is the one
# that the serving side advertises (`reqq` of BEP 10, which overwrites the asker's own).
#
# At the repository it must be small: with the usual 2000, each seat queues hundreds of blocks
# there, different seats ask for the same rare pieces before any of them can pass them on, and the
# repository's port is spent on duplicates while the seats' ports idle.
REPOSITORY_QUEUE = 4
# At a seat a little more, so that a round trip never empties the line between two seats.
SEAT_QUEUE = 16


def _common(address: str, port: int) -> Settings:
    return {
        "user_agent": f"{AGENT}/0.1",
        "peer_fingerprint": "-OG0100-",
        "listen_interfaces": f"{address}:{port}",
        # A laboratory is no place for peers from outside: nobody asks the Internet for anything.
        "enable_dht": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_lsd": False,
        # uTP yields to every other traffic by design and loses to TCP on a LAN.
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        # Reserving whole pieces ignores the queue's limit and holds back up to 8 MiB a peer.
        "whole_pieces_threshold": 0,
        # Rarest first from the first piece on: random first pieces cost the room a spread.
        "initial_picker_threshold": 0,
        # Everybody serves everybody; the ports share the line, no slot has to.
        "unchoke_slots_limit": -1,
        "connections_limit": 2000,
        "max_out_request_queue": 500,
        # A room starts at once: connect to everybody in the first second, not thirty a second.
        "connection_speed": 200,
        "torrent_connect_boost": 255,
        "listen_queue_size": 256,
        "peer_connect_timeout": 4,
        # A seat that rebooted is met again soon; one that is gone is given up soon.
        "min_reconnect_time": 2,
        "max_failcount": 20,
        "request_timeout": 20,
        # A seed stays with its peers when it is done, also with other seeds: whoever is missing a
        # piece later need not be found again.
        "close_redundant_connections": False,
        "seeding_outgoing_connections": True,
        # Our tracker says when it wants to hear again, seconds in a small room.
        "min_announce_interval": 1,
        "tracker_completion_timeout": 10,
        "tracker_receive_timeout": 5,
        "stop_tracker_timeout": 1,
        "tracker_backoff": 50,
        "announce_to_all_trackers": False,
        "announce_to_all_tiers": False,
        "auto_scrape_interval": 24 * 3600,
        # Torrents run because we say so; libtorrent's own queue would pause some of them.
        "active_downloads": -1,
        "active_seeds": -1,
        "active_limit": -1,
        "alert_queue_size": 10_000,
    }


def repository(address: str, port: int) -> Settings:
    """The first seed. It listens on `address` (0.0.0.0 for all) and, with port 0, on any port."""
    return {
        **_common(address, port),
        "max_allowed_in_request_queue": REPOSITORY_QUEUE,
        # A port that is taken is an error: the firewall is open for this one, not for the next.
        "max_retry_port_bind": 0,
        "listen_system_port_fallback": False,
    }


def seat(address: str, port: int) -> Settings:
    """The session of a cache: fills, and seeds what it has."""
    settings = {**_common(address, port), "max_allowed_in_request_queue": SEAT_QUEUE}
    if address not in ("0.0.0.0", "::"):
        settings["outgoing_interfaces"] = address
    return settings


def leecher(address: str, port: int) -> Settings:
    """A seat that only takes (`leecher:SECONDS`): it unchokes nobody."""
    return {
        **seat(address, port),
        "unchoke_slots_limit": 0,
        "num_optimistic_unchoke_slots": 0,
        "allowed_fast_set_size": 0,  # pieces that even the choked may ask for (BEP 6)
    }


# What a seat asks for first. libtorrent's picker multiplies a piece's availability by 8 - priority.
DEFAULT_PRIORITY = 4
STRIPE_PRIORITY = 5


@dataclass(frozen=True)
class Stripe:
    """The pieces that a seat asks for first: those whose index modulo `of` is `number`."""

    number: int
    of: int


ALL = Stripe(0, 1)


def stripe(own: IPAddress, filling: Collection[IPAddress]) -> Stripe:
    """The stripe of the seat `own` beside the seats that it knows to be `filling`; nobody has to be asked.

    Seats that know each other agree. Where they do not, in the first tenth of a second or in a swarm
    too large to know everybody, some pieces are nobody's first choice: a hint is all it is.
    """
    seats = sorted({own, *filling}, key=lambda address: (address.version, address))
    return Stripe(seats.index(own), len(seats))


def priorities(pieces: int, own: Stripe) -> list[int]:
    """The priority of every piece.

    With rarest first alone two seats ask the repository for the same piece, each before the other
    has it, and what the repository sends twice the whole room waits for. With a stripe each, it
    sends every piece once, whatever the length of the queues there.
    """
    return [STRIPE_PRIORITY if index % own.of == own.number else DEFAULT_PRIORITY for index in range(pieces)]
