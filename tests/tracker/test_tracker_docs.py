"""docs/api.md has every field, metric and key of the real answers and no other, and its examples are real."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bencode2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tracker.classroom.report import Report
from tracker.networks import PRIVATE, Listed, Networks

Publish = Callable[..., bytes]
Room = Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
TYPES = {
    "string": (str, bytes),
    "integer": (int,),
    "number": (float,),
    "boolean": (bool,),
    "array": (list,),
    "dictionary": (dict,),
    "object": (dict,),
    "null": (type(None),),
}


@pytest.fixture
def networks() -> Networks:
    return Networks(PRIVATE, [ip_network("127.0.0.1")])


@pytest.fixture
async def filling(room: Room, publish: Publish) -> Room:
    """The room of the document's examples."""
    image = publish("aula1/windows.img", size=1_000_000)
    room.tracker.networks.know(Listed(f"10.1.0.{n}", f"aula1-{n - 13:02}", "aula1") for n in (20, 22))

    async def announce(number: int, **more: Any) -> None:
        headers = [("X-Forwarded-For", f"10.1.0.{number}"), ("Host", "10.1.0.1:6969")]
        await room.announce(image, seat=1, headers=headers, peer_id=f"{number:020}", **more)

    # The repository's own seed asks over loopback, and so from the address that it asks.
    await room.announce(image, seat=1, peer_id=f"{1:020}", left=0, uploaded=1_250_000)
    await announce(20, left=950_000, downloaded=50_000)
    await announce(21, left=1_000_000)
    await room.tracker.picture()
    room.clock.now += 5
    await announce(20, left=750_000, downloaded=250_000)
    await announce(21, left=0, downloaded=1_000_000, event="completed")
    await room.tracker.picture()
    room.clock.now += 4
    through = [("X-Forwarded-For", "10.1.0.20"), ("Host", "10.1.0.1:6969")]
    report = json.loads(example("`POST /api/v1/reports`"))
    assert report.pop("info_hash") == image.hex()
    await room.report(image, seat=1, headers=through, **report)
    return room


def section(heading: str) -> str:
    """What stands below a heading and above the next."""
    _, below = re.split(rf"^#+ {re.escape(heading)}$", DOCUMENT.read_text(), flags=re.MULTILINE)
    return re.split(r"^#", below, flags=re.MULTILINE)[0]


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading, by what stands in its first column."""
    table = [line for line in section(heading).splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in table]
    assert len({name for name, *_ in cells}) == len(cells) > 0
    return {name.strip("`"): others for name, *others in cells}


def example(heading: str) -> str:
    (block,) = re.findall(r"^```(?:json)?\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE)
    return str(block)


def check(heading: str, answers: Iterable[dict[Any, Any]]) -> None:
    """Every key of the answers, each of its type, stands below the heading and no other does."""
    documented = {
        name: [one for kind in kinds.split(" or ") for one in TYPES[kind]]
        for name, (kinds, *_) in rows(heading).items()
    }
    found = set()
    for answer in answers:
        for key, value in answer.items():
            name = key.decode() if isinstance(key, bytes) else key
            assert name in documented, f"docs/api.md, {heading}: {name} is missing"
            assert type(value) in documented[name], f"docs/api.md, {heading}: {name} is {value!r}"
            found.add(name)
    assert found == set(documented), f"docs/api.md, {heading}: not in any answer"


async def told(room: Room, target: str) -> Any:
    return json.loads((await room.get(target))[1])


async def test_the_fields_in_json(filling: Room, publish: Publish) -> None:
    empty = publish("empty", size=0)
    await filling.announce(empty, seat=3)
    await filling.report(empty, seat=4, doing="failed", error_code=31, error="It cannot be done.")
    picture = await told(filling, "/api/v1/swarms")
    swarms = [*picture["swarms"], await told(filling, f"/api/v1/swarms/{picture['swarms'][0]['info_hash']}")]
    check("`/health`", [await told(filling, "/health")])
    check("`/api/v1/swarms`", [picture])
    check("A swarm", swarms)
    check("A PC that has not been seen", picture["unseen"])
    clients = [one for swarm in swarms for one in swarm["repository"] + swarm["seats"]]
    check("A client", clients)
    check("The deployment of a swarm", [swarm["deployment"] for swarm in swarms if swarm["deployment"]])
    check("A trouble", [client["trouble"] for client in clients if client["trouble"]])
    check("A report", [client["report"] for client in clients if client["report"]])
    wrong = [await told(filling, f"/api/v1/swarms/{written}") for written in ("x", "a" * 40)]
    check("`/api/v1/swarms/INFOHASH`", wrong)


async def test_a_report_and_its_answer(filling: Room, publish: Publish) -> None:
    image = publish("aula1/windows.img", size=1_000_000)
    known = rows("`POST /api/v1/reports`").keys() | rows("A report").keys()
    assert known == {field.name for field in dataclasses.fields(Report)}
    status, answer = await filling.report(image)
    assert status == 200
    check("The answer", [answer])


async def test_the_metrics(filling: Room) -> None:
    text = (await filling.get("/metrics"))[1].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ", ".join(f"`{label}`" for label in sorted(sample.labels))
            found[sample.name] = [family.type, labels]
    assert {name: others[:2] for name, others in rows("`/metrics`").items()} == found


async def test_the_keys_of_announces_and_scrapes(filling: Room, publish: Publish) -> None:
    image = publish("aula1/windows.img", size=1_000_000)
    for number in (6, 7):
        through = [("X-Forwarded-For", f"fd00::{number}"), ("Host", "10.1.0.1")]
        reply = await filling.announce(image, seat=1, headers=through, peer_id=f"{number}" * 20)
    check("`/announce`", [reply])
    refusals = [await filling.announce(b"A" * 20), await filling.announce(image, port=0)]
    check("A refusal", refusals)
    scraped = bencode2.bdecode((await filling.get(f"/scrape?info_hash={quote(image)}"))[1])
    check("`/scrape`", [scraped])
    meanings = " ".join(meaning for _, meaning in rows("`/scrape`").values())
    for inner in (scraped[b"files"][image], scraped[b"flags"]):
        assert all(f"`{key.decode()}`" in meanings for key in inner)


async def test_the_examples(filling: Room, publish: Publish) -> None:
    assert json.loads(example("`/api/v1/swarms`")) == await told(filling, "/api/v1/swarms")
    assert json.loads(example("`/api/v1/swarms/INFOHASH`")) == await told(filling, "/api/v1/swarms/x")
    metrics = (await filling.get("/metrics"))[1].decode().splitlines()
    assert set(example("`/metrics`").splitlines()) <= set(metrics)
    refusal = await filling.announce(b"A" * 20)
    assert bencode2.bencode(refusal).decode() == example("A refusal").strip()
    publish("another")
    await filling.announce(b"A" * 20)  # looks at the folder again
    assert json.loads(example("`/health`")) == await told(filling, "/health")
