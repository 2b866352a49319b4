"""A repository by SSH's file transfer (sshfs): any machine that lets us log in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import NoCredentials, NotMountable
from ogtorrent.mounts.credentials import Credentials, handed_over
from ogtorrent.mounts.remote import Host, Refusal, an_option, no_folder, run, wrong_password
from ogtorrent.mounts.table import Mounted
from ogtorrent.words import words

PORT = 22


@dataclass(frozen=True)
class Sshfs:
    """Without credentials by the keys that root has; the server's own key must be known."""

    host: Host
    path: str
    credentials: Credentials | None = None

    @property
    def source(self) -> str:
        return f"sftp://{self.host.bracketed}:{self._port}{self.path}"

    @property
    def _port(self) -> int:
        return self.host.port or PORT

    def is_it(self, mounted: Mounted) -> bool:
        return mounted.kind == "fuse.sshfs" and mounted.source == self.source

    def refusal(self, why: str, advice: str) -> NotMountable:
        return NotMountable(self.source, why, advice)

    def mount(self, at: Path, write: bool) -> None:
        if self.credentials is not None and self.credentials.username.startswith("-"):
            raise self.refusal(*an_option(self.credentials.username))
        self.host.answers(self.source, self._port)
        try:
            self._mount(at, write)
        except NotMountable as error:
            if self.credentials is None and error.why == wrong_password()[0]:
                raise NoCredentials(self.source) from error
            raise

    def _mount(self, at: Path, write: bool) -> None:
        known = self.credentials or Credentials("root")
        with self._server_key(known) as options:
            # A server that has gone is told in a quarter of a minute.
            options += ["ConnectTimeout=5", "ServerAliveInterval=5", "ServerAliveCountMax=3"]
            options += [f"port={self._port}", "rw" if write else "ro", "allow_other", "default_permissions"]
            options += [f"fsname={_escaped(self.source)}", "NumberOfPasswordPrompts=1"]
            options += ["sshfs_verbose"]  # else it keeps to itself what ssh says
            if known.password:
                options += ["password_stdin", "PreferredAuthentications=password\\,keyboard-interactive"]
                options += ["PubkeyAuthentication=no"]
            else:
                options += ["BatchMode=yes"]
            if known.identity:
                options += [f"IdentityFile={_escaped(known.identity)}", "IdentitiesOnly=yes"]
            run(
                self.source,
                "sshfs",
                (
                    Refusal(
                        "host key verification failed|no .* host key is known",
                        words("the server's key is not known, or another one than it was"),
                        words("Put the right one into the credentials, hostkey=TYPE KEY (see ssh-keyscan)."),
                    ),
                    Refusal("no such file or directory|not a directory", *no_folder(self.path)),
                    # Before a folder is asked for, sshfs tells a wrong password by hanging up.
                    Refusal("permission denied|connection reset by peer", *wrong_password()),
                ),
                "sshfs",
                f"{known.username}@{self.host.bracketed}:{self.path}",
                str(at),
                "-o",
                ",".join(options),
                given=f"{known.password}\n" if known.password else "",
            )

    @contextlib.contextmanager
    def _server_key(self, known: Credentials) -> Iterator[list[str]]:
        if not known.hostkey:
            yield ["StrictHostKeyChecking=yes"]
            return
        name = self.host.address if self._port == 22 else f"[{self.host.address}]:{self._port}"
        with handed_over(f"{name} {known.hostkey}\n") as file:
            yield ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={file}", "GlobalKnownHostsFile=none"]


def _escaped(value: str) -> str:
    """Of an option of FUSE: commas part them."""
    return value.replace("\\", "\\\\").replace(",", "\\,")
