"""`MODE:SECONDS` and ACTIONCACHEFULL, as OpenGnsys writes them."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ogtorrent.cache.options import LONGEST, Mode, TorrentOptions, WhenFull, when_full
from ogtorrent.errors import BadOptions


@pytest.mark.parametrize(
    ("text", "mode", "seconds", "seeding"),
    [
        ("peer:600", Mode.PEER, 600, 600),
        ("seeder:10000", Mode.SEEDER, 10000, 10000),
        ("leecher:60", Mode.LEECHER, 60, 0),
        ("PEER:0", Mode.PEER, 0, 0),
        (f"peer:{LONGEST}", Mode.PEER, LONGEST, LONGEST),
    ],
)
def test_a_session_says_how_and_how_long(text: str, mode: Mode, seconds: int, seeding: int) -> None:
    options = TorrentOptions.parse(text)
    assert (options.mode, options.seconds, options.seeding_seconds) == (mode, seconds, seeding)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "MODE:SECONDS"),
        ("peer", "form"),
        ("peer:", "form"),
        (":60", "form"),
        ("peer:-1", "form"),
        ("peer:1.5", "form"),
        ("peer:60:60", "form"),
        (" peer:60", "form"),
        ("peer:60\n", "form"),
        ("peer:٦٠", "form"),
        ("peer:1h", "form"),
        ("swarm:60", "no mode 'swarm'"),
        (f"peer:{LONGEST + 1}", "more than a year"),
        ("peer:" + "9" * 5000, "form"),
    ],
)
def test_what_is_no_session_is_refused_with_its_reason(text: str, words: str) -> None:
    with pytest.raises(BadOptions) as refused:
        TorrentOptions.parse(text)
    assert words in str(refused.value) and refused.value.exit_code == 1
    assert len(str(refused.value)) < 400


@given(text=st.text() | st.from_regex(r"(peer|SEEDER|leecher|x):[0-9]{1,14}", fullmatch=True))
@example("peer:²")
def test_any_text_is_a_session_or_is_refused(text: str) -> None:
    try:
        options = TorrentOptions.parse(text)
    except BadOptions as error:
        assert str(error).isprintable()
        return
    assert 0 <= options.seeding_seconds <= options.seconds <= LONGEST
    assert TorrentOptions.parse(str(options)) == options


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("ACTIONCACHEFULL=NONE\n", WhenFull.FAIL),
        ("#Que hacer cuando la cache no tenga espacio libre.\nACTIONCACHEFULL=DELETE\n", WhenFull.EVICT),
        ('OGWINCHKDISK=TRUE\nexport ACTIONCACHEFULL="FORMAT" # todo\n', WhenFull.EVICT),
        ("#ACTIONCACHEFULL=DELETE\n", WhenFull.FAIL),
        ("ACTIONCACHEFULL=DELETE\nACTIONCACHEFULL=NONE\n", WhenFull.FAIL),
        ("ACTIONCACHEFULL=DELETED\n\xff", WhenFull.FAIL),
        (None, WhenFull.FAIL),
    ],
)
def test_what_opengnsys_does_with_a_full_cache_is_read_where_it_keeps_it(
    tmp_path: Path, engine: str | None, expected: WhenFull
) -> None:
    if engine is not None:
        (tmp_path / "engine.cfg").write_text(engine, encoding="latin-1")
    assert when_full(tmp_path / "engine.cfg") is expected
