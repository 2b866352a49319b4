"""What a tracker may be sent: good requests, and what a random hand makes of them."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from tests.tracker import datagrams

Hand = random.Random

PATHS = [b"/", b"/health", b"/metrics", b"/api/v1/swarms", b"/scrape", b"/nothing", b"/announce"]
METHODS = [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PRI", b"get", b"G\0T",
           b""]  # fmt: skip
VERSIONS = [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.11", b"HTTP/1.", b"http/1.1", b"", b"HTTP/1.1 x"]
HOSTS = [b"", b"[::", b"[::1]", b"[fe80::1%25x]:80", b"a:b:c", b"\xff\xfe", b"a b", b"a:99999999", b"a/b?c#d",
         b"user:word@a", b"::1", b"a\0b", b"10.1.0.1", b"%", b"x" * 300]  # fmt: skip
TARGETS = [b"*", b"", b"//", b"///a", b"/../../etc/passwd", b"a:b:c", b"http://a/announce", b"http://[::1",
           b"http://[zz]/", b"http://u:p@h:99999/scrape", b"https://a:x/", b"/%", b"/%zz", b"/%e", b"/%00",
           b"/%ff%fe", b"/#", b"/announce#?info_hash=", b"/api/v1/swarms/%2e%2e/x", b"/api/v1/swarms/%ff",
           b"/api/v1/swarms/" + b"%61" * 40, b"/\\", b"/;a=b", b"?", b"/announce?info_hash", b"/\xc3\xa9",
           b"/" + b"a" * 9000, b"/scrape?" + b"info_hash=%ff&" * 300, b"mailto:a@b", b"/a b",
           b"/ann\x00ounce", b"http://:0", b"http://xn--/", b"xn--a:80", b"://", b"/@",
           b"a.b:443"]  # fmt: skip
NUMBERS = [b"-1", b"0", b"99999999999999999999", b"9" * 400, b"1e9", b"0x10", b" 5", b"5.5", b"\xd9\xa1",
           b"", b"%", b"18446744073709551616", b"-9223372036854775809", b"%00", b"+7"]  # fmt: skip
FIELDS = [b"info_hash", b"peer_id", b"port", b"left", b"uploaded", b"downloaded", b"event", b"numwant",
          b"key", b"compact", b"no_peer_id", b"ip", b"ipv4", b"ipv6", b"", b"\xff"]  # fmt: skip
HEADERS = [
    b"Content-Length: -1", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 5, 5",
    b"Content-Length: 1" + b"0" * 30, b"Content-Length: +5", b"Content-Length: abc", b"Content-Length:",
    b"Content-Length: 99999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding:\x0bchunked", b"Content-Encoding: gzip", b"Content-Encoding: deflate",
    b"Content-Encoding: br", b"Content-Encoding: zstd", b"Content-Encoding: x", b"Connection: close",
    b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: h2c",
    b"Expect: 100-continue", b"Expect: something else", b"Expect: \xff", b" folded", b"X: a\r\n b\r\n\tc",
    b"X: \0", b"X : y", b"no colon", b": no name", b"X: " + b"y" * 9000, b"X: \xff\xfe",
    b"X-Forwarded-For: 10.1.0.9, unknown", b"X-Forwarded-For: \xff", b"X-Forwarded-For: unknown, 10.1.0.9",
    b"X-Forwarded-For: 10.1.0.9, 127.0.0.3", b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-For:,,",
    b"Range: bytes=0-5,-3", b"If-Modified-Since: never", b"If-None-Match: *", b"Content-Type: ;;=\"",
    b"Content-Type: multipart/form-data; boundary=", b"Cookie: a=\"b; c=\xff;;", b"Accept-Encoding: gzip, br",
    b"Accept: text/html", b"Date: \xe9", b"Sec-WebSocket-Key: x", b"X-Many: 1\r\n" * 200 + b"X-Last: 1",
    b"Authorization: Basic %%%", b"Forwarded: for=\"", b"Referer: http://[", b"TE: trailers", b"Trailer: X",
]  # fmt: skip
WORDS = [
    b"\xff",
    b"\xc3\xa9",
    b"",
    b",",
    b";",
    b"=",
    b'"',
    b"a,,b",
    b"\t",
    b"100-continue",
    b"\x7f",
    b"\xed\xa0\x80",
]
MARKS = [b"\0", b"\r", b"\n", b"\r\n", b" ", b"%", b"&", b"\xff", b":", b","]
BODIES = [
    b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello", b"FFFFFFFFFFFFFFFFF\r\n", b"-5\r\nhello\r\n0\r\n",
    b"5;ext=\"\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", b"0\r\n\r\n", b"zz\r\n", b"\r\n" * 50, b"5\nhello\n0\n",
    b"\x1f\x8b\x08\0\0\0\0\0", b"x" * 50_000, b"4\r\n\x1f\x8b\x08\0\r\n0\r\n\r\n",
]  # fmt: skip
OTHER_PROTOCOLS = [
    b"", b"\r\n", b"\r\n\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"\x13BitTorrent protocol" + bytes(48),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n",
    b"d1:ad2:id20:" + b"x" * 20 + b"e1:q4:ping",
    b"GET /\r\n\r\n", b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 500, b"GET " + b"/" * 80_000,
]  # fmt: skip


@dataclass
class Request:
    method: bytes
    target: bytes
    version: bytes
    headers: list[bytes]
    body: bytes = b""

    def to_bytes(self) -> bytes:
        line = b" ".join((self.method, self.target, self.version))
        return b"\r\n".join((line, *self.headers, b"", self.body))


def good_request(rng: Hand, image: bytes) -> Request:
    targets = [
        *PATHS,
        b"/api/v1/swarms/" + image.hex().encode(),
        b"/scrape?info_hash=" + quote(image).encode(),
    ]
    peer_id = quote(rng.randbytes(20))
    query = f"info_hash={quote(image)}&peer_id={peer_id}&port={rng.randrange(1, 65536)}&left=1000"
    # Announces and scrapes read most of what is sent.
    target = rng.choice([*targets, *[f"/announce?{query}".encode()] * len(targets)])
    return Request(b"GET", target, b"HTTP/1.1", [b"Host: 10.1.0.1:6969"])


def another_target(rng: Hand, request: Request) -> None:
    request.target = rng.choice([*TARGETS, rng.choice(PATHS) + b"?" + rng.randbytes(rng.randrange(60))])


def another_field(rng: Hand, request: Request) -> None:
    noise = rng.randbytes(rng.randrange(30))
    value = rng.choice([rng.choice(NUMBERS), noise, quote(noise).encode(), quote(rng.randbytes(20)).encode()])
    field = b"&%b=%b" % (rng.choice(FIELDS), value)
    path, question, query = request.target.partition(b"?")
    # The first of two values counts.
    request.target = path + b"?" + rng.choice([field[1:] + b"&" + query, query + field])
    if question and rng.random() < 0.2:
        request.target = path + b"?" + b"&".join(rng.sample(query.split(b"&"), query.count(b"&")))


def another_method(rng: Hand, request: Request) -> None:
    request.method = rng.choice([*METHODS, rng.randbytes(rng.randrange(1, 5))])


def another_version(rng: Hand, request: Request) -> None:
    request.version = rng.choice(VERSIONS)


def another_host(rng: Hand, request: Request) -> None:
    request.headers = [b"Host: " + rng.choice(HOSTS) for _ in range(rng.choice([0, 1, 1, 1, 2]))]


def another_header(rng: Hand, request: Request) -> None:
    for _ in range(rng.randrange(1, 4)):
        header = rng.choice(HEADERS)
        if rng.random() < 0.2:
            word = rng.choice([*WORDS, rng.randbytes(rng.randrange(20))])
            header = header.partition(b":")[0] + b": " + word
        request.headers.insert(rng.randrange(len(request.headers) + 1), header)


def another_body(rng: Hand, request: Request) -> None:
    request.body = rng.choice([*BODIES, rng.randbytes(rng.randrange(200))])
    length = b"Content-Length: %d" % (len(request.body) + rng.choice([0, 0, 0, -1, 1, 5]))
    request.headers += rng.choice([[length], [b"Transfer-Encoding: chunked"], [length, length], []])


HANDS: list[Callable[[Hand, Request], None]] = [
    another_target, another_field, another_field, another_method, another_version, another_host,
    another_header, another_header, another_body,
]  # fmt: skip


def damaged(rng: Hand, data: bytes) -> bytes:
    """The same with some bytes changed, lost, doubled or put in."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([1, 2, 20]))
        some, mark = rng.randbytes(end - at), rng.choice(MARKS)
        middle = rng.choice([some, mark, b"", data[at:end] * 2, mark + data[at:end]])
        data = data[:at] + middle + (data[end:] if rng.random() < 0.9 else b"")
    return data


def conversation(rng: Hand, image: bytes) -> bytes:
    """What one connection sends: one request or several, of which few are as they should be."""
    if rng.random() < 0.1:
        return rng.choice([*OTHER_PROTOCOLS, rng.randbytes(rng.randrange(1, 3000))])
    said = b""
    for _ in range(rng.choice([1, 1, 1, 2, 3, 30])):
        request = good_request(rng, image)
        for hand in rng.sample(HANDS, rng.choice([0, 1, 1, 2, 3])):
            hand(rng, request)
        data = request.to_bytes()
        said += damaged(rng, data) if rng.random() < 0.2 else data
    return said if rng.random() < 0.9 else said.replace(b"\r\n", rng.choice([b"\n", b"\r", b"\r\n "]))


def in_pieces(rng: Hand, data: bytes) -> list[bytes]:
    """As a network may bring it."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 0, 1, 3])))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def datagram(rng: Hand, image: bytes, connection: bytes, transaction: int) -> bytes:
    """A datagram that is known again by its transaction, with or without that connection's id."""
    hashes = [rng.choice([image, rng.randbytes(20)]) for _ in range(rng.choice([0, 1, 2, 74, 75, 120]))]
    words = [rng.choice([0, 1, 2, 3, 4, 7000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]) for _ in range(11)]
    port = rng.choice([0, 6881, 65535])
    announce = image + rng.randbytes(20) + struct.pack(">11I", *words) + struct.pack(">H", port)
    action, rest = rng.choice([(0, b""), (1, announce), (1, announce), (2, b"".join(hashes)), (3, b"reason")])
    if rng.random() < 0.3:
        rest = rng.choice([damaged(rng, rest), rng.randbytes(rng.randrange(2200)), b""])
    if rng.random() < 0.2:
        action = rng.choice([4, 0xFFFFFFFF, rng.randrange(4)])
    protocol = datagrams.PROTOCOL_ID.to_bytes(8, "big")
    begin = rng.choice([connection, connection, protocol, bytes(8), damaged(rng, connection)])
    data = begin.ljust(8, b"?")[:8] + struct.pack(">II", action, transaction) + rest
    # What is cut in its head is not known again, so it must have no answer at all.
    return data if rng.random() < 0.9 else data[: rng.randrange(len(data))]
