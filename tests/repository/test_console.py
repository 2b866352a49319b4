"""The console's protocol as a management server meets it: HTTP against `ogtorrent serve`."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from machines import DEADLINE, Server, image, killed_at, until

from ogtorrent.layout import Tree, recognise
from ogtorrent.repository.console.operations import OPERATIONS
from ogtorrent.repository.inventory import Change, Group
from ogtorrent.repository.kept import Kept
from ogtorrent.repository.token import Guard, configured_token

SECRET = "b5a1sesame0f9e"
ROOM = {
    "groups": [{"name": "aula1", "id": "3"}, {"name": "aula2", "id": "4"}],
    "clients": [
        {"name": "pc1", "group": "aula1", "ip": "10.1.0.1", "mac": "02:00:00:00:00:01", "id": "31"},
        {"name": "pc2", "group": "aula2", "ip": "fd00::2", "mac": "02:00:00:00:00:02", "id": "32"},
    ],
}
Command = Callable[..., tuple[int, str, str]]


class Console:
    """The other end: a management server, or whoever else asks."""

    def __init__(self, server: Server, **headers: str) -> None:
        self.server, self._headers = server, headers
        self.location = ""  # of what was made last

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.server.address}/api/v1{path}",
            raw,
            {"Content-Type": "application/json", **self._headers, **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                self.location = answer.headers.get("Location", "")
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            assert error.headers["Content-Type"].startswith("application/json")
            return error.code, json.load(error)["error"]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "opengnsys" / "repo"
    for name in ("images", "groups", "clients"):
        (top / name).mkdir(parents=True)
    return top


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o640)
    return file


def test_the_inventory_is_sent_whole_and_its_directories_follow(
    serve: Callable[..., Server], top: Path
) -> None:
    console = Console(serve(top))
    code, changes = console.ask("PUT", "/inventory", ROOM)
    assert code == 200 and [one["after"] for one in changes["groups"]] == ROOM["groups"]
    assert [one["after"] for one in changes["clients"]] == ROOM["clients"]
    assert console.ask("PUT", "/inventory", ROOM) == (200, {"groups": [], "clients": []})
    assert console.ask("GET", "/inventory") == (200, ROOM)
    assert console.ask("GET", "/clients/pc2") == (200, ROOM["clients"][1])

    for place in ("groups/aula1", "clients/pc1"):
        (top / place / "windows.img").mkdir()
        (top / place / "windows.img" / "hosts").write_text(place)
    exchanged = {
        "groups": [{"name": "aula2", "id": "3"}, {"name": "aula1", "id": "4"}],
        "clients": [{**ROOM["clients"][1], "group": "aula1"}],
    }
    code, changes = console.ask("PUT", "/inventory", exchanged)
    assert code == 200
    assert (top / "groups/aula2/windows.img/hosts").read_text() == "groups/aula1"
    (removed,) = changes["clients"]  # pc2's group has another name, and it is in it as it was
    assert removed["after"] is None and "/clients/.removed/pc1." in removed["kept"]
    assert (Path(removed["kept"]) / "windows.img/hosts").read_text() == "clients/pc1"
    assert removed["kept"] in console.server.log


def test_groups_and_clients_one_by_one(serve: Callable[..., Server], top: Path) -> None:
    console = Console(serve(top))
    assert console.ask("POST", "/groups", {"name": "aula ñ"})[0] == 201
    assert console.location == "/api/v1/groups/aula%20%C3%B1"
    assert (
        console.ask("POST", "/clients", {"name": "pc1", "group": "aula ñ", "mac": "02000000000A"})[0] == 201
    )
    assert console.ask("PATCH", "/groups/aula%20%C3%B1", {"name": "100%"})[0] == 200
    assert (top / "groups/100%").is_dir() and not (top / "groups/aula ñ").exists()
    known = {"name": "pc1", "group": "100%", "ip": "", "mac": "02:00:00:00:00:0a", "id": ""}
    assert console.ask("GET", "/clients") == (200, {"clients": [known]})
    _, changes = console.ask("PATCH", "/clients/pc1", {"name": "pc9", "group": "", "ip": "10.1.0.9"})
    moved = {**known, "name": "pc9", "group": "", "ip": "10.1.0.9"}
    assert changes == {"groups": [], "clients": [{"before": known, "after": moved, "kept": None}]}
    assert console.ask("PATCH", "/clients/pc9", {"ip": "10.1.0.9"}) == (200, {"groups": [], "clients": []})
    assert console.ask("DELETE", "/groups/100%25")[0] == 200
    assert console.ask("DELETE", "/clients/pc9")[0] == 200
    assert console.ask("GET", "/inventory") == (200, {"groups": [], "clients": []})
    assert [*(top / "groups").iterdir(), *(top / "clients").iterdir()] == []


def test_what_is_wrong_is_told_in_a_sentence(serve: Callable[..., Server], top: Path) -> None:
    console = Console(serve(top))
    assert console.ask("PUT", "/inventory", ROOM)[0] == 200

    def refused(code: int, said: str, method: str, path: str, body: object = None, **headers: str) -> None:
        told = console.ask(method, path, body, **headers)
        assert told[0] == code and said in told[1] and told[1].endswith("."), told

    refused(400, "cannot be read", "POST", "/groups", b"{")
    refused(400, "cannot be read", "POST", "/groups", b'{"name": "\xff"}')
    refused(400, "unknown field `nombre`", "POST", "/groups", {"name": "a", "nombre": "b"})
    refused(400, "Expected `str`", "PUT", "/inventory", {"groups": [{"name": 1}], "clients": []})
    refused(400, "cannot be read", "POST", "/groups", {"name": "../../etc"})
    refused(400, "bytes long", "POST", "/groups", {"name": "ñ" * 120})
    refused(400, "no IP address", "POST", "/clients", {"name": "pc3", "ip": "10.1"})
    refused(404, "'pc3' is not in the inventory", "PATCH", "/clients/pc3", {"ip": ""})
    refused(404, "'aula1/..' is not", "DELETE", "/groups/aula1%2F..")
    refused(405, "GET, POST", "PUT", "/groups", {})
    refused(409, "'pc1' has the same mac", "POST", "/clients", {"name": "pc3", "mac": "020000000001"})
    refused(409, "no group 'aula9'", "PATCH", "/clients/pc1", {"group": "aula9"})
    refused(409, "1 client is in it", "DELETE", "/groups/aula1")
    refused(413, "65536 bytes", "POST", "/groups", b" " * 70_000)
    refused(415, "application/json", "POST", "/groups", b"name=a", **{"Content-Type": "text/plain"})
    assert console.ask("GET", "/inventory") == (200, ROOM)
    # The disk says no: nothing has changed, and a sentence says why.
    (top / ".ogtorrent" / "inventory.json").write_text("{")
    refused(500, "inventory.json cannot be read", "POST", "/groups", {"name": "a"})


@pytest.mark.room
def test_an_image_is_locked_published_again_and_removed(serve: Callable[..., Server], top: Path) -> None:
    place = image(top / "images" / "aula1" / "windows.img", 100_000)
    console = Console(serve(top))
    found = console.server.ready("aula1/windows.img")
    code, told = console.ask("GET", "/images")
    assert [(one["image"], one["state"], one["locked"]) for one in told["images"]] == [
        ("aula1/windows.img", "ready", False)
    ]
    assert console.ask("PATCH", "/images/aula1/windows.img", {"locked": True})[1]["locked"] is True
    assert Path(f"{place}.lock").exists()
    until(lambda: console.server.state("aula1/windows.img") == "locked")
    for method in ("DELETE", "POST"):
        code, why = console.ask(method, "/images/aula1%2Fwindows.img")
        assert code == 409 and "is locked" in why
    assert console.ask("PATCH", "/images/aula1/windows.img", {"locked": False})[1]["locked"] is False
    assert console.server.ready("aula1/windows.img") == found

    code, told = console.ask("POST", "/images/aula1/windows.img")
    assert code == 202 and told["state"] == "waiting"
    until(lambda: "no longer published: 'aula1/windows.img'" in console.server.log)
    assert console.server.ready("aula1/windows.img") == found
    assert console.server.log.count("aula1/windows.img: hashing") == 2

    with place.open("r+b"):
        code, why = console.ask("DELETE", "/images/aula1/windows.img")
        assert code == 409 and "open for writing" in why
    Path(f"{place}.mcast").touch()
    assert console.ask("DELETE", "/images/aula1/windows.img")[1]["info_hash"] == found.info_hash.hex()
    assert list(place.parent.iterdir()) == []
    code, why = console.ask("GET", "/images/aula1/windows.img")
    assert code == 404 and "publishes no image" in why


def test_only_who_knows_the_token_is_let_in_and_nobody_hears_it(
    serve: Callable[..., Server], top: Path, token: Path
) -> None:
    server = serve(top, "--token-file", str(token), "--verbose")
    asked = [
        Console(server).ask("PUT", "/inventory", ROOM),
        Console(server, Authorization="").ask("GET", "/inventory"),
        Console(server, Authorization=f"Bearer {SECRET}").ask("GET", "/images"),
        Console(server, Authorization=SECRET[:-1]).ask("DELETE", "/groups/a"),
        Console(server, Authorization=f"{SECRET}ñ").ask("GET", "/groups"),
    ]
    assert [code for code, _ in asked] == [401] * 5
    console = Console(server, Authorization=SECRET)
    assert console.ask("PUT", "/inventory", ROOM)[0] == 200
    # Through a proxy, too: who knows the token may be anywhere.
    assert console.ask("GET", "/inventory", **{"X-Forwarded-For": "10.9.9.9"}) == (200, ROOM)
    assert console.ask("POST", "/groups", {"name": SECRET[:3]}, Authorization=f"{SECRET}!")[0] == 401
    assert Console(server).ask("GET", "/openapi.json")[1]["security"] == [{"token": []}]
    assert SECRET not in server.log + server.said + "".join(why for _, why in asked)
    assert "refused http '/api/v1/inventory' from 127.0.0.1" in server.log


def test_without_a_token_only_this_host_is_let_in(serve: Callable[..., Server], top: Path) -> None:
    console = Console(serve(top))
    strangers = [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "10.9.9.9"},
        {"Origin": "http://127.0.0.1:6969"},
        {"Host": "rebound.example.org"},
        {"Host": "127.0.0.1.example.org:6969"},
        {"Host": "::"},
        {"Host": "\xff"},
    ]
    for headers in strangers:
        code, why = console.ask("GET", "/inventory", **headers)
        assert code == 403 and "no token" in why, headers
    assert console.ask("GET", "/inventory")[0] == 200


def test_the_guard_knows_this_host_by_its_address() -> None:
    def refused(remote: str, *proxies: str) -> bool:
        request = make_mocked_request("GET", "/", {"Host": "localhost:6969"}).clone(remote=remote)
        return Guard(None, [ip_network(proxy) for proxy in proxies]).refusal(request) is not None

    assert not refused("127.0.0.1") and not refused("::1") and not refused("::ffff:127.0.0.1")
    assert refused("10.1.0.9") and refused("::ffff:10.1.0.9") and refused("fe80::1%eth0") and refused("")
    assert refused("127.0.0.1", "127.0.0.0/8")  # a proxy for others stands there


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        (f"IPlocal=10.1.0.1\nApiToken={SECRET}\n", True),
        (f'ApiToken="{SECRET}"\r\n', True),
        (f"#ApiToken={SECRET}\n", False),
        ("ApiToken=\n", False),
        (f"ApiToken=two {SECRET}\n", False),
    ],
)
def test_the_token_of_opengnsys(tmp_path: Path, lines: str, known: bool) -> None:
    (tmp_path / "ogAdmRepo.cfg").write_text(lines)
    found = configured_token(tmp_path / "ogAdmRepo.cfg")
    assert (found is not None and found.is_(SECRET)) is known
    assert SECRET not in repr(found) + str(found)


def test_a_host_without_opengnsys_has_no_token(tmp_path: Path) -> None:
    assert configured_token(tmp_path / "ogAdmRepo.cfg") is None


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (SECRET, 0o644, "everybody on this host"),
        (SECRET, 0o602, "everybody on this host"),
        ("", 0o600, "it is empty"),
        (f"{SECRET}\n{SECRET}", 0o600, "one line"),
    ],
)
def test_a_token_file_that_guards_nothing_is_refused(
    command: Command, top: Path, token: Path, content: str, mode: int, said: str
) -> None:
    token.write_text(content)
    token.chmod(mode)
    code, _, told = command("serve", top, "--token-file", token)
    assert code == 1 and said in told and SECRET not in told


def test_the_shell_does_the_same_beside_the_server(
    serve: Callable[..., Server], top: Path, command: Command
) -> None:
    def repo(*arguments: str) -> str:
        code, said, told = command("repo", *arguments, "--root", str(top))
        assert code == 0, told
        return said

    assert repo("group", "add", "aula1", "aula2") == "aula1: added\naula2: added\n"
    console = Console(serve(top))
    repo("client", "add", "pc1", "--group", "aula1", "--mac", "02-00-00-00-00-01", "--ip", "10.1.0.1")
    repo("group", "rename", "aula1", "lab")
    repo("client", "rename", "pc1", "pc01")
    repo("client", "move", "pc01", "aula2")
    repo("client", "change", "pc01", "--ip", "10.1.0.7")
    (known,) = console.ask("GET", "/clients")[1]["clients"]
    assert known == {
        "name": "pc01",
        "group": "aula2",
        "ip": "10.1.0.7",
        "mac": "02:00:00:00:00:01",
        "id": "",
    }
    assert json.loads(repo("client", "list", "--json")) == {"clients": [known]}
    assert repo("client", "list") == "pc01\taula2\t10.1.0.7\t02:00:00:00:00:01\n"
    assert repo("group", "list") == "aula2\t1 client\nlab\t0 clients\n"
    assert json.loads(repo("group", "remove", "lab", "--json"))["groups"][0]["after"] is None
    (top / "clients/pc01/windows.img").mkdir()
    said = repo("client", "remove", "pc01")
    assert str(top / "clients/.removed/pc01.") in said
    assert console.ask("GET", "/clients") == (200, {"clients": []})
    assert repo("client", "list", "--group", "aula2") == ""
    assert command("repo", "group", "add", "aula2", "--root", top)[0] == 1
    assert command("repo", "client", "remove", "pc01", "--root", top)[0] == 2


@pytest.mark.room
def test_a_server_that_starts_finishes_what_was_cut(serve: Callable[..., Server], top: Path) -> None:
    kept, now = Kept(Tree(recognise(top))), datetime(2026, 9, 21)
    kept.change(lambda old: [Change(None, Group("a"))], now)
    (top / "groups/a/windows.img").mkdir()
    # After the journal was written, and the directory has stepped aside.
    assert killed_at(4, lambda: kept.change(lambda old: [Change(Group("a"), Group("b"))], now))
    assert not (top / "groups/a").exists() and not (top / "groups/b").exists()
    console = Console(serve(top))
    assert console.ask("GET", "/groups") == (200, {"groups": [{"name": "b", "id": ""}]})
    assert (top / "groups/b/windows.img").is_dir()


@pytest.mark.room
def test_the_inventory_of_a_university_is_taken_whole(serve: Callable[..., Server], top: Path) -> None:
    console = Console(serve(top))
    clients = [{"name": f"pc{n}", "group": "lab", "ip": f"10.0.{n >> 8}.{n & 255}"} for n in range(4000)]
    room = {"groups": [{"name": "lab"}], "clients": [{**pc, "mac": "", "id": ""} for pc in clients]}
    assert len(json.dumps(room)) > 300_000
    assert console.ask("PUT", "/inventory", room)[0] == 200
    assert len(console.ask("GET", "/clients")[1]["clients"]) == 4000


@pytest.mark.room
def test_the_overlays_of_a_group_that_is_renamed_apply_all_the_time(
    serve: Callable[..., Server], top: Path
) -> None:
    image(top / "images" / "windows.img", 1000)
    image(top / "groups/aula1/windows.img/etc/hosts", 1000)
    console = Console(serve(top))
    console.server.ready("windows.img")
    assert console.ask("PUT", "/inventory", ROOM)[0] == 200

    def told() -> list[tuple[str, str]]:
        answer = json.loads(console.server.get("/overlays/windows.img?client=pc1")[1])
        return [(one["overlay"], one["state"]) for one in answer["overlays"]]

    def served(group: str) -> int:
        return console.server.get(f"/layers/groups/{group}/windows.img.torrent")[0]

    until(lambda: told() == [("aula1/windows.img", "ready")])
    groups = [{"name": "lab", "id": "3"}, {"name": "aula2", "id": "4"}]
    clients = [{**ROOM["clients"][0], "group": "lab"}, ROOM["clients"][1]]
    assert console.ask("PUT", "/inventory", {"groups": groups, "clients": clients})[0] == 200
    heard = []
    until(lambda: heard.append(told()) or heard[-1] == [("lab/windows.img", "ready")])
    assert all([overlay for overlay, _ in one] == ["lab/windows.img"] for one in heard), heard
    until(lambda: (served("aula1"), served("lab")) == (404, 200))
    assert not list((top / "groups").glob("aula1*"))


@pytest.mark.room
def test_the_document_is_what_the_server_does(
    serve: Callable[..., Server], top: Path, token: Path, tmp_path: Path
) -> None:
    image(top / "images" / "windows.img", 1000)
    server = serve(top, "--token-file", str(token))
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://{server.address}/api/v1/openapi.json",
            *("--header", f"Authorization: {SECRET}", "--max-examples", "10"),
            *("--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE,
    )
    assert run.returncode == 0, run.stdout
    assert f"Tested: {len(OPERATIONS)}" in run.stdout
    assert SECRET not in server.log


def test_every_operation_stands_in_the_documents() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    rows = {line.split("`")[1] for line in documented.splitlines() if "/api/v1/" in line and "| `" in line}
    operations = {f"{one.method} /api/v1{one.path}" for one in OPERATIONS}
    assert {
        row for row in rows if row.split("/")[3] in ("inventory", "groups", "clients", "images")
    } == operations
