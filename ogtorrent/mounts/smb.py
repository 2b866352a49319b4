"""A repository by SMB, as the kernel mounts it (cifs-utils); OpenGnsys's own way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import NoCredentials, NotMountable
from ogtorrent.mounts.credentials import Credentials, handed_over
from ogtorrent.mounts.remote import Host, Refusal, an_option, no_client, no_folder, run, wrong_password
from ogtorrent.mounts.table import Mounted
from ogtorrent.words import words

PORT = 445


@dataclass(frozen=True)
class Smb:
    host: Host
    path: str
    credentials: Credentials | None = None

    @property
    def source(self) -> str:
        return f"//{self.host.address}{self.path}"

    def is_it(self, mounted: Mounted) -> bool:
        return mounted.kind in ("cifs", "smb3") and mounted.source == self.source

    def refusal(self, why: str, advice: str) -> NotMountable:
        return NotMountable(self.source, why, advice)

    def mount(self, at: Path, write: bool) -> None:
        # mount.cifs writes them among the options of the kernel as they are.
        for name in (self.path, *((who.username, who.domain) if (who := self.credentials) else ())):
            if "," in name:
                raise self.refusal(*an_option(name))
        port = self.host.port or PORT
        self.host.answers(self.source, port)
        if self.credentials is None:
            raise NoCredentials(self.source)
        known = self.credentials
        lines = [f"username={known.username}", f"password={known.password}"]
        lines += [f"domain={known.domain}"] if known.domain else []
        with handed_over("\n".join(lines) + "\n") as file:
            options = ["rw" if write else "ro", f"credentials={file}", f"port={port}", "serverino"]
            options += ["echo_interval=10"]  # seconds; after two of them a server that has gone is told
            run(
                self.source,
                "cifs-utils",
                (
                    no_client("SMB"),
                    Refusal(r"error\((13|126|127|128|129)\)|permission denied", *wrong_password()),
                    Refusal(r"error\((2|6|53)\)|no such (file|device or address)", *no_folder(self.path)),
                    Refusal(
                        r"error\((95|112)\)",
                        words("the server speaks no SMB that is safe to use (2.1 or newer)"),
                        words("Raise its `server min protocol`, or use another --protocol."),
                    ),
                ),
                "mount.cifs",
                self.source,
                str(at),
                "-o",
                ",".join(options),
            )
