"""What a seat's trouble most likely is, and what to do about it, in the reader's language."""

from collections.abc import Callable

from tracker.classroom.snapshot import Trouble, TroubleKind
from tracker.words import Words


def told(trouble: Trouble, progress: float, words: Words) -> str:
    """The likely cause and the advice, for whoever walks to the seat, which is so far (0 to 1)."""
    if trouble.kind is TroubleKind.LOST:
        return _lost(trouble, progress, words)
    return _SENTENCES[trouble.kind](trouble, words)


def brief(trouble: Trouble, words: Words) -> str:
    """The same in two or three words, for a tile of the seat map."""
    return _BRIEF[trouble.kind](trouble, words)


def _lost(trouble: Trouble, progress: float, words: Words) -> str:
    return words(
        "Lost at {progress}: no word from it for {span}. Look whether it is on, and whether its cable is in.",
        progress=words.percent(progress),
        span=_silence(trouble, words),
    )


def _failed(trouble: Trouble, words: Words) -> str:
    if trouble.words:
        return words(
            "It gave up with error {code}: {error}. Start it again, and read its log if it fails again.",
            code=f"{trouble.figure:.0f}",
            error=trouble.words.rstrip(". "),
        )
    return words(
        "It gave up with error {code}. Start it again, and read its log if it fails again.",
        code=f"{trouble.figure:.0f}",
    )


def _cache_full(trouble: Trouble, words: Words) -> str:
    return words(
        "Its cache has only {free} free. Remove images from it, or make its partition larger.",
        free=words.bytes(trouble.figure),
    )


def _slow_port(trouble: Trouble, words: Words) -> str:
    return words(
        "Its network port runs at {rate} Mbit/s. Change the cable, or try another port of the switch.",
        rate=words.number(trouble.figure),
    )


def _flat_rate(trouble: Trouble, words: Words) -> str:
    return words(
        "Its rate never passes what a port of {rate} Mbit/s carries. Look at its cable and switch port.",
        rate=words.number(trouble.figure),
    )


def _slow_disk(trouble: Trouble, words: Words) -> str:
    return words(
        "Its disk writes {rate}, less than the network brings. Look whether the disk is failing.",
        rate=words.rate(trouble.figure),
    )


def _unreachable(trouble: Trouble, words: Words) -> str:
    return words("No other seat can connect to it. Let BitTorrent in through its firewall.")


def _slow(trouble: Trouble, words: Words) -> str:
    return words(
        "It fills at {part} of the rate that is usual in its room. "
        "Look at its cable, and at what else the PC is doing.",
        part=_part(trouble, words),
    )


_SENTENCES: dict[TroubleKind, Callable[[Trouble, Words], str]] = {
    TroubleKind.FAILED: _failed,
    TroubleKind.CACHE_FULL: _cache_full,
    TroubleKind.SLOW_PORT: _slow_port,
    TroubleKind.FLAT_RATE: _flat_rate,
    TroubleKind.SLOW_DISK: _slow_disk,
    TroubleKind.UNREACHABLE: _unreachable,
    TroubleKind.SLOW: _slow,
}

_BRIEF: dict[TroubleKind, Callable[[Trouble, Words], str]] = {
    TroubleKind.LOST: lambda trouble, words: words("silent for {span}", span=_silence(trouble, words)),
    TroubleKind.FAILED: lambda trouble, words: words("error {code}", code=f"{trouble.figure:.0f}"),
    TroubleKind.CACHE_FULL: lambda trouble, words: words("cache full"),
    TroubleKind.SLOW_PORT: lambda trouble, words: words(
        "port at {rate} Mbit/s", rate=words.number(trouble.figure)
    ),
    TroubleKind.FLAT_RATE: lambda trouble, words: words(
        "as if at {rate} Mbit/s", rate=words.number(trouble.figure)
    ),
    TroubleKind.SLOW_DISK: lambda trouble, words: words("slow disk"),
    TroubleKind.UNREACHABLE: lambda trouble, words: words("unreachable"),
    TroubleKind.SLOW: lambda trouble, words: words("slower than the room"),
}


def _silence(trouble: Trouble, words: Words) -> str:
    """In whole minutes: a sentence that changed each second would only draw the eye."""
    return words.span(trouble.figure if trouble.figure < 60 else trouble.figure // 60 * 60)


def _part(trouble: Trouble, words: Words) -> str:
    """In steps of five, as above."""
    return words.percent(max(0.05, round(trouble.figure * 20) / 20))
