"""A repository by NFS, as the kernel mounts it (nfs-common)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import NotMountable
from ogtorrent.mounts.credentials import Credentials
from ogtorrent.mounts.remote import Host, Refusal, no_client, no_folder, run
from ogtorrent.mounts.table import Mounted
from ogtorrent.words import words

PORT = 2049


@dataclass(frozen=True)
class Nfs:
    host: Host
    path: str
    credentials: Credentials | None = None  # the server knows us by our address

    @property
    def source(self) -> str:
        return f"{self.host.bracketed}:{self.path}"

    def is_it(self, mounted: Mounted) -> bool:
        return mounted.kind in ("nfs", "nfs4") and mounted.source == self.source

    def refusal(self, why: str, advice: str) -> NotMountable:
        return NotMountable(self.source, why, advice)

    def mount(self, at: Path, write: bool) -> None:
        port = self.host.port or PORT
        self.host.answers(self.source, port)
        # A reader is told in half a minute that the server has gone; a writer waits, and loses nothing.
        options = ["rw", "hard"] if write else ["ro", "soft", "timeo=100", "retrans=2"]
        options += ["nolock", "retry=0"]
        if self.host.port:
            options.append(f"port={port}")
        run(
            self.source,
            "nfs-common",
            (
                no_client("NFS"),
                Refusal(
                    "access denied|not permitted|permission denied",
                    words("the server does not export it to this PC"),
                    words("Add this PC's address to the export, in the server's /etc/exports."),
                ),
                Refusal("no such file", *no_folder(self.path)),
            ),
            "mount.nfs",
            self.source,
            str(at),
            "-o",
            ",".join(options),
        )
