"""A repository's server, asked over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from dataclasses import dataclass

from ogtorrent.errors import BadAddress, NotARepository, RepositoryUnreachable
from ogtorrent.words import words

DEFAULT_PORT = 6969
CONNECT = 5.0  # seconds
ANSWER = 15.0  # seconds for a whole answer
ANY = "0.0.0.0"


@dataclass(frozen=True)
class Server:
    """A repository as the administrator named it, and its address."""

    host: str
    port: int
    address: str

    @staticmethod
    def split(text: str) -> tuple[str, int]:
        """Host and port of `SERVER[:PORT]`. Raises BadAddress."""
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
            host, port = text, str(DEFAULT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise BadAddress(text, words("a repository is SERVER or SERVER:PORT, without http://"))
        return host, int(port)

    @classmethod
    def parse(cls, text: str) -> Server:
        """`SERVER[:PORT]`, resolved. Raises BadAddress, RepositoryUnreachable."""
        host, port = cls.split(text)
        try:
            address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
        except (OSError, UnicodeError) as error:
            raise RepositoryUnreachable(text, getattr(error, "strerror", None) or str(error)) from error
        return cls(host, port, str(address))

    @property
    def announce(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{address}:{self.port}/announce"

    @property
    def files(self) -> str:
        """Below this URL the server has the bytes of its images."""
        return self.announce.removesuffix("announce") + "files/"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def get(self, path: str, largest: int, own: str = ANY) -> tuple[int, bytes]:
        """Asked from the address `own`. Raises RepositoryUnreachable, NotARepository."""
        return self._ask("GET", path, largest, None, own)

    def post(self, path: str, body: bytes, largest: int) -> tuple[int, bytes]:
        """Raises RepositoryUnreachable, NotARepository."""
        return self._ask("POST", path, largest, body, ANY)

    def _ask(self, method: str, path: str, largest: int, sent: bytes | None, own: str) -> tuple[int, bytes]:
        """Status and body, in the reader's language where the server has it.

        Raises RepositoryUnreachable, NotARepository.
        """
        deadline = time.monotonic() + ANSWER
        connection = http.client.HTTPConnection(
            self.address, self.port, CONNECT, None if own in (ANY, "::") else (own, 0)
        )
        watchdog: threading.Timer | None = None
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER)
            # That timeout begins anew with every byte: a server that drips must not hold a seat for ever.
            watchdog = threading.Timer(ANSWER, _hang_up, (connection.sock,))
            watchdog.daemon = True
            watchdog.start()
            connection.request(method, path, sent, {"Host": str(self), "Accept-Language": words.language})
            response = connection.getresponse()
            body = response.read(largest + 1)
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(body) > largest:
                raise NotARepository(
                    str(self),
                    words("its answer to {path} is longer than {largest} bytes", path=path, largest=largest),
                )
            return response.status, body
        except TimeoutError as error:
            raise RepositoryUnreachable(str(self), words("it took too long to answer")) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > deadline:
                raise RepositoryUnreachable(str(self), words("it took too long to answer")) from error
            if isinstance(error, OSError) and not isinstance(error, http.client.HTTPException):
                raise RepositoryUnreachable(str(self), error.strerror or str(error)) from error
            raise NotARepository(
                str(self), words("it does not speak HTTP ({error})", error=type(error).__name__)
            ) from error
        finally:
            if watchdog is not None:
                watchdog.cancel()
            connection.close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed in this instant
        connection.shutdown(socket.SHUT_RDWR)
