"""What a command asks a seeder for is what the seeder reads, field by field."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from strategies import MULTICAST_SESSIONS

from ogtorrent.cache.control import Hold, Look, Request, Stop, decode, encode
from ogtorrent.cache.options import Full, Mode, Protocol, TorrentOptions, WhenFull
from ogtorrent.cache.order import Order
from ogtorrent.fetch.server import Server
from ogtorrent.layout import ImagePath, Layout, Mirror, cache_root
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import File, Stamp

CACHE = Path("/mnt/sda4")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IMAGES = st.sampled_from(["windows.img", "aula 1/ñ.img", "aula1/aula1/windows.img"]).map(ImagePath.parse)
ROOTS = st.sampled_from(
    [
        Mirror(Layout.CURRENT, "images"),
        Mirror(Layout.CURRENT, "groups"),
        Mirror(Layout.CURRENT, "clients"),
        Mirror(Layout.LEGACY, "images"),
        Mirror(Layout.EAC, "hdimages", "lab"),
        Mirror(Layout.BARE, "fotos"),
    ]
).map(lambda mirror: cache_root(CACHE, mirror))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    image, root = draw(IMAGES), draw(ROOTS)
    raw = metainfo.encode(
        root.mirror.name,
        image,
        (File(image.parts, 5),),
        2**20,
        bytes(20),
        Stamp((draw(st.integers(1, 2**62)),), "0" * 32, "1" * 32),
        draw(st.lists(st.just("http://10.0.0.1:6969/announce"), max_size=1)),
    )
    return Order(
        CACHE,
        root,
        raw,
        TorrentOptions(draw(st.sampled_from(Mode)), draw(st.integers(0, 10**6))),
        tuple(draw(st.lists(TEXT, max_size=3))),
        Server(draw(TEXT), draw(st.integers(1, 65535)), draw(TEXT)),
        draw(st.booleans()),
        draw(TEXT),
        Full(draw(st.sampled_from(WhenFull)), draw(st.booleans())),
        draw(TEXT),
        draw(st.sampled_from(Protocol)),
        draw(st.none() | MULTICAST_SESSIONS),
    )


@given(orders() | st.builds(Hold, ROOTS, IMAGES) | st.sampled_from([Stop(), Look()]))
def test_a_request_is_read_as_it_was_written(request: Request) -> None:
    line = encode(request)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line, CACHE) == request
