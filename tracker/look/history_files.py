"""The history as files: CSV for a spreadsheet, JSON for programs. docs/api.md says what the fields mean."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from tracker.classroom.record import DeploymentRecord, DeploymentSummary, SeatRecord
from tracker.classroom.report import readable

_T = TypeVar("_T")
_Fields = Mapping[str, Callable[[_T], Any]]

# A spreadsheet calculates what begins like this; where it parts cells at semicolons, behind those as well.
_FORMULA = re.compile(r'(^|[;,])([\s"]*)([-=+@－＝＋＠])')


def deployments_json(summaries: Iterable[DeploymentSummary]) -> dict[str, Any]:
    return {"deployments": [_values(_DEPLOYMENT, summary) for summary in summaries]}


def deployment_json(record: DeploymentRecord) -> dict[str, Any]:
    return {
        "deployment": _values(_DEPLOYMENT, record.summary),
        "seats": [_values(_SEAT, seat) for seat in record.seats],
    }


def deployments_csv(summaries: Iterable[DeploymentSummary]) -> str:
    """A line for each deployment."""
    return _csv(_DEPLOYMENT, summaries)


def seats_csv(record: DeploymentRecord) -> str:
    """A line for each seat of one deployment."""
    return _csv(_SEAT, record.seats)


def _figure(value: float | None) -> float | None:
    """JSON knows no infinity."""
    return round(float(value), 6) if value is not None and math.isfinite(value) else None


def _moment(moment: float | None) -> str | None:
    """In the server's own time zone."""
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None  # in no year of ours


def _took(summary: DeploymentSummary) -> float | None:
    deployment = summary.deployment
    return None if deployment.ended is None else _figure(deployment.took(deployment.ended))


_DEPLOYMENT: _Fields[DeploymentSummary] = {
    "image": lambda summary: summary.deployment.image,
    "began": lambda summary: _moment(summary.deployment.began),
    "ended": lambda summary: _moment(summary.deployment.ended),
    "took": _took,
    "seats": lambda summary: summary.seats,
    "done": lambda summary: summary.done,
    "median": lambda summary: _figure(summary.median),
    "last": lambda summary: _figure(summary.last),
    "size": lambda summary: summary.deployment.size,
    "sent": lambda summary: summary.deployment.sent,
    "delivered": lambda summary: summary.deployment.delivered,
    "copies": lambda summary: _figure(summary.deployment.copies),
    "share": lambda summary: _figure(summary.deployment.share),
    "rooms": lambda summary: list(summary.rooms),
    "stragglers": lambda summary: list(summary.stragglers),
    "id": lambda summary: summary.deployment.id,
}
_SEAT: _Fields[SeatRecord] = {
    "name": lambda seat: seat.name,
    "address": lambda seat: seat.address,
    "room": lambda seat: seat.room,
    "state": lambda seat: seat.state.value,
    "began": lambda seat: _moment(seat.began),
    "took": lambda seat: _figure(seat.took),
    "progress": lambda seat: _figure(seat.progress),
    "trouble": lambda seat: seat.trouble and seat.trouble.kind.value,
    "trouble_figure": lambda seat: seat.trouble and _figure(seat.trouble.figure),
    "trouble_words": lambda seat: seat.trouble and seat.trouble.words,
}


def _values(fields: _Fields[_T], one: _T) -> dict[str, Any]:
    return {name: value(one) for name, value in fields.items()}


def _csv(fields: _Fields[_T], all: Iterable[_T]) -> str:
    """RFC 4180, and a mark by which spreadsheets know UTF-8."""
    text = io.StringIO(newline="")
    text.write("\ufeff")
    lines = csv.writer(text)
    lines.writerow(fields)
    lines.writerows([_cell(value(one)) for value in fields.values()] for one in all)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = ", ".join(value)
    return _FORMULA.sub(r"\1\2'\3", readable(value)) if isinstance(value, str) else value
