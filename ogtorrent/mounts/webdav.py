"""A repository by WebDAV, read by ranges (rclone); davfs2 would fetch a whole image to open it."""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ogtorrent.errors import MissingProgram, NoCredentials, NotMountable
from ogtorrent.mounts.credentials import Credentials, handed_over
from ogtorrent.mounts.remote import CONNECT, Host, no_folder, run, wrong_password
from ogtorrent.mounts.table import Mounted
from ogtorrent.words import words

PORTS = {True: 443, False: 80}

RCLONE = "rclone"  # the program and its package


@dataclass(frozen=True)
class WebDav:
    """`secure`: by HTTPS, with a certificate that this PC trusts."""

    host: Host
    path: str
    credentials: Credentials | None = None
    secure: bool = False

    @property
    def source(self) -> str:
        # A certificate is the name's.
        host = self.host.name if self.secure and ":" not in self.host.name else self.host.bracketed
        return f"http{'s' if self.secure else ''}://{host}:{self._port}{quote(self.path)}"

    @property
    def _port(self) -> int:
        return self.host.port or PORTS[self.secure]

    def is_it(self, mounted: Mounted) -> bool:
        return mounted.kind == "fuse.rclone" and mounted.source == self.source

    def refusal(self, why: str, advice: str) -> NotMountable:
        return NotMountable(self.source, why, advice)

    def mount(self, at: Path, write: bool) -> None:
        self.host.answers(self.source, self._port)
        self._ask()
        lines = ["[repository]", "type = webdav", "vendor = other", f"url = {self.source}"]
        if self.credentials is not None:
            lines += [f"user = {self.credentials.username}", f"pass = {_obscured(self.credentials.password)}"]
        with handed_over("\n".join(lines) + "\n") as file:
            # What is written goes to the server at once: a cache would still have it when it is unmounted.
            options = ["--vfs-cache-mode=off", *([] if write else ["--read-only"])]
            options += ["--allow-other", f"--devname={self.source}", f"--config={file}"]
            # A server that has gone is told in half a minute.
            options += ["--contimeout=5s", "--timeout=10s", "--low-level-retries=2"]
            options += ["--daemon", "--daemon-wait=20s"]
            run(self.source, "rclone", (), "rclone", "mount", "repository:", str(at), *options)

    def _ask(self) -> None:
        """rclone mounts whatever it is told, and fails when it is read. Raises NotMountable."""
        try:
            status = self._status()
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "verify_message", "") or getattr(error, "strerror", None) or error)
            advice = words("Check the address, the port and its certificate.")
            raise self.refusal(
                words("it does not answer as a web server does: {why}", why=why), advice
            ) from error
        if status in (401, 403):
            if self.credentials is None:
                raise NoCredentials(self.source)
            raise self.refusal(*wrong_password())
        if status in (404, 410):
            raise self.refusal(*no_folder(self.path))
        if status != 207:
            raise self.refusal(
                words("it is no WebDAV server (status {status})", status=status),
                words("Check the address and --path."),
            )

    def _status(self) -> int:
        asked: http.client.HTTPConnection
        if self.secure:
            context = ssl.create_default_context()
            asked = http.client.HTTPSConnection(self.host.name, self._port, timeout=CONNECT, context=context)
        else:
            asked = http.client.HTTPConnection(self.host.address, self._port, timeout=CONNECT)
        headers = {"Depth": "0"}
        if self.credentials is not None:
            pair = f"{self.credentials.username}:{self.credentials.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        try:
            asked.request("PROPFIND", quote(self.path.rstrip("/")) + "/", headers=headers)
            return asked.getresponse().status
        finally:
            asked.close()


def _obscured(password: str) -> str:
    """As rclone wants passwords written; it hides them from a glance alone."""
    try:
        done = subprocess.run(
            ["rclone", "obscure", "-"], input=password, capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise MissingProgram(RCLONE, RCLONE) from None
    return done.stdout.strip()
