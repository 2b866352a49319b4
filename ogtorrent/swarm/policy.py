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

BLOCK = 16 * 1024
AGENT = "ogtorrent"  # by which our peers know each other (`v` of BEP 10)

# Everybody queues at most this many blocks of 16 KiB at a peer. The limit that counts is the one
# that the serving side advertises (`reqq` of BEP 10, which overwrites the asker's own).
#
# Short, for what waits in a queue is late for everybody else: with the usual 2000, seats queue
# hundreds of blocks of the same rare pieces at the repository; 8 instead of 4 costs a room of 8 one
# hundredth of the limit and one of 24 three. Longer than a round trip's worth it need not be, and in a
# room a seat has a queue at every other.
QUEUE = 4
# What the repository promises one that is alone: on a gigabit line and above, a short queue is empty
# before the next request comes. It is fixed at the handshake, so the seat that stays alone shakes
# hands once more. When others come later it may keep it: what it queues is its own stripe.
LONG_QUEUE = 32
LONELY = 0.5  # seconds between the repository's two looks that find one alone; a seat waits for both
CONTENT = 30.0  # seconds after which a seat that is alone asks again


def _common(address: str, port: int) -> Settings:
    return {
        "user_agent": f"{AGENT}/0.1",
        "peer_fingerprint": "-OG0100-",
        "listen_interfaces": f"{address}:{port}",
        # A laboratory is no place for peers from outside: nobody asks the Internet for anything.
        "enable_dht": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_lsd": False,  # seats call their room themselves: see neighbours.py
        # uTP yields to every other traffic by design and loses to TCP on a LAN.
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        # Reserving whole pieces ignores the queue's limit and holds back up to 8 MiB a peer.
        "whole_pieces_threshold": 0,
        # Rarest first from the first piece on: random first pieces cost the room a spread.
        "initial_picker_threshold": 0,
        "max_allowed_in_request_queue": QUEUE,
        # Who has a piece need not hear that another has it too: half of the HAVEs of a room.
        "send_redundant_have": False,
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
        # Seconds to the next try: 5, and after n failures 0.25 n² more. A server that was away for a
        # minute is found again within a quarter of one, after an hour within five minutes.
        "tracker_backoff": 5,
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
        # One may wait for the disk while the other reads from memory; more only wake each other up.
        "aio_threads": 2,
        # Who was promised a long queue is not refused when the promise for the next is shorter: requests
        # wait in the send buffer, in which they are not counted.
        "send_buffer_low_watermark": LONG_QUEUE * BLOCK,
        "send_buffer_watermark": (LONG_QUEUE + QUEUE) * BLOCK,
        # A port that is taken is an error: the firewall is open for this one, not for the next.
        "max_retry_port_bind": 0,
        "listen_system_port_fallback": False,
    }


def seat(address: str, port: int, upload_limit: int = 0) -> Settings:
    """The session of a cache: fills, and seeds what it has, with `upload_limit` bytes a second; 0 is none."""
    settings = {
        **_common(address, port),
        "upload_rate_limit": upload_limit,
        "aio_threads": disk_threads(0),
        "hashing_threads": disk_threads(0),
    }
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


# Bytes a second up to which a seat hashes and writes its blocks where they arrive. Handing each to
# another thread and back costs a third of a seat's processor time; but one thread that does it all
# is busy at twice a gigabit, and sooner where it sends as much.
UNHURRIED = 50_000_000


def disk_threads(rate: float) -> int:
    """Threads for writing, and as many for hashing, at `rate` bytes a second."""
    return 0 if rate <= UNHURRIED else 1


def queue(takers: int, takers_before: int) -> int:
    """What the repository promises at the next handshake, by who takes now and took LONELY seconds ago."""
    return LONG_QUEUE if takers == takers_before == 1 else QUEUE


# What a seat asks for first. libtorrent's picker multiplies a piece's availability by 8 - priority.
OTHERS, OWN, HOME = 4, 5, 6


@dataclass(frozen=True)
class Stripe:
    """The share of the pieces that a seat asks for first.

    It brings into its room every piece whose index modulo `seats` is `seat`. Where several rooms fill,
    the repository sends each piece to one of them, its home, from which the others get it: of every
    `rooms` pieces in a stripe one is at home in room `room`.
    """

    seat: int
    seats: int
    room: int
    rooms: int

    def priority(self, piece: int) -> int:
        if piece % self.seats != self.seat:
            return OTHERS
        return HOME if piece // self.seats % self.rooms == self.room else OWN


ALL = Stripe(0, 1, 0, 1)


def stripe(own: IPAddress, filling: Collection[IPAddress]) -> Stripe:
    """The stripe of the seat `own` beside the seats that it knows to be `filling`; nobody has to be asked.

    With rarest first alone two seats ask the repository for the same piece, each before the other
    has it, and what the repository sends twice the whole room waits for. With a stripe each, it
    sends every piece once.

    Seats that know each other agree. Where they do not, in the first tenth of a second or in a swarm
    too large to know everybody, some pieces are nobody's first choice: a hint is all it is.
    """
    everybody = {own, *filling}
    rooms = sorted({(address.version, subnet(address)) for address in everybody})
    room = sorted(address for address in everybody if subnet(address) == subnet(own))
    return Stripe(room.index(own), len(room), rooms.index((own.version, subnet(own))), len(rooms))


def subnet(address: IPAddress) -> bytes:
    """The /24 (IPv4) or /64 (IPv6) that stands for one room, as the tracker has it."""
    return address.packed[:3] if address.version == 4 else address.packed[:8]


def priorities(pieces: int, own: Stripe) -> list[int]:
    """The priority of every piece."""
    return [own.priority(piece) for piece in range(pieces)]
