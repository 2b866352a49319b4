"""An image, its torrent, and a libtorrent session that has the whole of it, for real clients to find."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libtorrent as lt

ADDRESS = "127.0.0.9"


@dataclass
class Seed:
    """The image has 300000 bytes and stands in `root`; its torrent is called `a`."""

    root: Path
    torrent: Path
    session: Any = field(default_factory=lambda: session(ADDRESS))
    handle: Any = field(init=False)

    def start(self, announce: str) -> None:
        """Make the image and its torrent, and seed it."""
        image = self.root / "images" / "a.img"
        image.parent.mkdir(parents=True)
        image.write_bytes(os.urandom(300_000))
        files = lt.list_files(str(image.parent))
        made = lt.create_torrent(files, piece_size=16384, flags=lt.create_torrent.v1_only)
        made.add_tracker(announce)
        lt.set_piece_hashes(made, str(self.root))
        self.torrent.write_bytes(lt.bencode(made.generate()))
        self.handle = add(self.session, self.torrent, self.root)

    @property
    def info_hash(self) -> bytes:
        return bytes.fromhex(str(self.handle.info_hash()))

    @property
    def endpoint(self) -> str:
        return f"{ADDRESS}:{self.session.listen_port()}"

    def ask_again(self) -> None:
        """Announce now, however little time has passed since the last announce."""
        self.handle.force_reannounce(0, -1, lt.reannounce_flags_t.ignore_min_interval)

    def stands_in(self, folder: Path) -> bool:
        """Whether somebody else has the whole image there."""
        image = Path("images", "a.img")
        return (folder / image).exists() and (folder / image).read_bytes() == (self.root / image).read_bytes()


def session(address: str) -> Any:
    """A libtorrent session that learns of others from the tracker alone."""
    return lt.session(
        {
            "listen_interfaces": f"{address}:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "min_announce_interval": 1,
            # It keeps connection ids by the tracker's address alone, for all sessions of a process.
            "udp_tracker_token_expiry": 0,
            # On loopback it would ask for /announce alone, and not for /scrape.
            "ssrf_mitigation": False,
            "alert_mask": lt.alert.category_t.tracker_notification,
            # A session that is deleted waits for its goodbyes, and holds up the loop that would answer them.
            "stop_tracker_timeout": 0,
        }
    )


def add(session: Any, torrent: Path, folder: Path) -> Any:
    """Have the session fetch, or seed, what belongs into the folder; its handle."""
    parameters = lt.load_torrent_file(str(torrent))
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return session.add_torrent(parameters)
