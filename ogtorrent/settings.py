"""The options of a command from a TOML file, under their own names; unknown keys and wrong types are refused.

The command itself is the list of what may stand there: an option that is added to it is known at once.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

import click

from ogtorrent.errors import BadSettings, OgtorrentError
from ogtorrent.words import words


def take(context: click.Context, option: click.Parameter, path: Path | None) -> None:
    """The callback of an eager `--settings`: the file gives what the command line does not say.

    Raises BadSettings.
    """
    if path is not None:
        context.default_map = read(path, context, but=option)


def read(path: Path, context: click.Context, but: click.Parameter) -> dict[str, Any]:
    """What a file sets, as `Context.default_map` wants it: by the names of the command's parameters.

    Each value is judged as the command line's would be, so that a refusal can name the file. Raises
    BadSettings.
    """
    known = {_key(one): one for one in context.command.params if one is not but}
    found: dict[str, Any] = {}
    for key, value in _parsed(path).items():
        parameter = known.get(key)
        if parameter is None:
            near = difflib.get_close_matches(key, known, n=1)
            advice = words("Did you mean {key!r}?", key=near[0]) if near else ""
            allowed = words("It may set: {keys}.", keys=", ".join(sorted(known)))
            raise BadSettings(path, key, words("there is no such setting"), f"{advice} {allowed}".strip())
        wanted = _misfit(parameter, value)
        if wanted:
            raise BadSettings(path, key, words("{value!r} is not {wanted}", value=value, wanted=wanted))
        try:
            parameter.process_value(context, value)
        except click.BadParameter as refusal:
            raise BadSettings(path, key, refusal.message.rstrip(".")) from None
        except OgtorrentError as refusal:
            raise BadSettings(path, key, str(refusal).rstrip(".")) from None
        assert parameter.name is not None
        found[parameter.name] = value
    return found


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadSettings(path, "", words("it cannot be read ({error})", error=why)) from None


def _key(parameter: click.Parameter) -> str:
    """`peer-port` for `--peer-port`, `root` for ROOT."""
    return max(parameter.opts, key=len).lstrip("-")


def _misfit(parameter: click.Parameter, value: object) -> str:
    """What a value should have been, of TOML's types; empty where it fits. click would convert silently."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "" if isinstance(value, bool) else words("true or false")
    if parameter.multiple:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return "" if fits else words('a list of texts, such as ["one", "two"]')
    if isinstance(parameter.type, click.types.IntParamType):
        return "" if isinstance(value, int) and not isinstance(value, bool) else words("a whole number")
    return "" if isinstance(value, str) else words("a text in quotes")
