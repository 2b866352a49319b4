"""The pages: what stands for whom, that live events say the same, and that names are only text."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.tracker import pictures
from tests.tracker.pictures import MIB, NOW, done, seat, snapshot, swarm
from tests.tracker.reading import Page
from tracker.classroom.snapshot import SeatState, Snapshot, Trouble, TroubleKind
from tracker.look import page, views
from tracker.look.troubles import told
from tracker.look.view import View
from tracker.words import LANGUAGES

EN, ES = (page.words_in(language) for language in LANGUAGES)

SNAPSHOTS = {
    "empty": pictures.empty(),
    "room of 24": pictures.room_of_24(),
    "listed": pictures.listed(),
    "200 seats": pictures.seats_200(),
    "hostile": pictures.hostile(),
}


def read(view: View | None) -> Page:
    assert view is not None
    return Page(page.render(view, EN))


def every_view(picture: Snapshot) -> Iterator[View]:
    """All pages there are for it."""
    made: list[View | None] = [views.overview(picture, EN)]
    made += [views.room(picture, room.name, EN) for room in picture.rooms]
    made += [views.swarm(picture, one.name, EN) for one in picture.swarms]
    addresses = {one.address for swarm_ in picture.swarms for one in swarm_.seats}
    made += [views.seat(picture, address, EN) for address in sorted(addresses)[:20]]
    for view in made:
        assert view is not None
        yield view


@pytest.mark.parametrize("picture", SNAPSHOTS.values(), ids=SNAPSHOTS.keys())
def test_the_html_holds_every_cell_where_live_events_put_it(picture: Snapshot) -> None:
    for view in every_view(picture):
        shown = Page(page.render(view, EN))
        assert shown.main.attributes["data-shape"] == view.stamp
        for name, cell in view.cells.items():
            for key, text in cell.items():
                field, _, attribute = key.partition("@")
                element = shown.by_id[name].field(field) if field else shown.by_id[name]
                has = element.attributes[attribute] if attribute else element.text
                assert has == text, (view.template, name, key)


def test_seats_that_go_on_change_cells_and_no_shape() -> None:
    before, after = (views.room(pictures.one_room_of_200(moment), "hall", EN) for moment in (0, 1))
    assert before and after
    assert before.stamp == after.stamp
    changed = {
        name: {key: text for key, text in cell.items() if before.cells[name][key] != text}
        for name, cell in after.cells.items()
    }
    sent = json.dumps(changed, ensure_ascii=False, separators=(",", ":"))
    assert len(sent) < 60 * 200


def test_a_seat_that_comes_changes_the_shape() -> None:
    few, many = (snapshot(swarm(seats=tuple(seat(n) for n in range(1, most)))) for most in (4, 5))
    for shown in (
        lambda picture: views.room(picture, "aula1", EN),
        lambda picture: views.swarm(picture, "aula1/windows.img", EN),
    ):
        assert shown(few).stamp != shown(many).stamp


def test_a_room_is_a_map_of_tiles_as_people_count() -> None:
    tiles = read(views.room(pictures.room_of_24(), "aula1", EN)).tiles
    assert len(tiles) == 24
    assert tiles[0] == "10.1.1.20 48 % 70.2 MiB/s 3 min"
    assert tiles[3] == "pc02 100 % ready in 3 min"
    by_name = {tile.split()[0]: tile for tile in tiles}
    assert by_name["pc05"] == "pc05 11 % 11.4 MiB/s 52 min port at 100 Mbit/s"
    assert by_name["pc11"] == "pc11 43 % lost silent for 2 min"
    assert by_name["pc18"] == "pc18 0 % failed cache full"
    assert by_name["pc24"] == "pc24 7 % checking 6 min"
    assert list(by_name)[2:] == sorted(list(by_name)[2:])


def test_pcs_that_are_listed_and_not_there_stand_among_the_others_and_lead_nowhere() -> None:
    shown = read(views.room(pictures.listed(), "aula1", EN))
    assert shown.tiles[-3:] == ["pc25 not seen", "pc26 not seen", "pc3000 not seen"]
    assert "3 PCs of this room have not been seen" in shown.root.words
    assert "href" not in next(one for one in shown.by_id["s26"].all() if one.tag == "a").attributes
    empty = read(views.room(pictures.listed(), "seminar", EN))
    assert empty.tiles == ["10.1.9.9 not seen", "10.1.9.10 not seen"]
    first = read(views.overview(pictures.listed(), EN))
    assert "3 not seen" in first.by_id["r0"].words
    assert "r3" not in first.by_id
    assert "1 room of which no PC has been seen seminar 2 PCs" in first.by_id["quiet-rooms"].words


def test_states_differ_in_more_than_hue() -> None:
    shown = read(views.room(pictures.room_of_24(), "aula1", EN))
    states = {
        one.attributes["data-state"]
        for one in shown.root.all()
        if one.attributes.get("id", "")[:1] == "s" and one.tag == "li"
    }
    assert states == {"checking", "filling", "slow", "done", "lost", "failed"}
    style = next(one.text for one in shown.root.all() if one.tag == "style")
    glyphs = {}
    for selectors, body in re.findall(r"^(\[data-state[^{]*)\{([^}]*)\}", style, re.MULTILINE):
        for state in re.findall(r'"([a-z-]+)"', selectors):
            if glyph := re.search(r"--glyph: var\(--([a-z]+)\)", body):
                glyphs[state] = glyph[1]
    assert [glyphs[state] for state in ("checking", "filling", "slow", "done", "lost")] == [
        "eye",
        "down",
        "warn",
        "tick",
        "cross",
    ]


def test_a_pc_with_two_images_is_one_tile_that_speaks_of_the_one_under_way() -> None:
    picture = snapshot(swarm("a/windows.img", (done(7),)), swarm("a/linux.img", (seat(7), seat(8))))
    assert read(views.room(picture, "aula1", EN)).tiles == [
        "pc07 60 % linux.img and 1 more 101 MiB/s 3 min",
        "pc08 60 % linux.img 101 MiB/s 3 min",
    ]


def test_two_clients_behind_one_address_are_two_tiles() -> None:
    twins = tuple(replace(seat(1, name=""), port=port) for port in (6881, 6882))
    assert len(read(views.room(snapshot(swarm(seats=twins)), "aula1", EN)).tiles) == 2


def test_who_needs_somebody_is_named_with_cause_and_advice_the_worst_first() -> None:
    shown = read(views.overview(pictures.room_of_24(), EN))
    needs = [one.words for one in shown.root.all() if re.fullmatch("n[0-9]+", one.attributes.get("id", ""))]
    assert [line.split()[0] for line in needs] == ["pc18", "pc11", "pc05", "pc13", "10.1.1.22"]
    assert needs[1] == (
        "pc11 aula1 aula1/windows.img Lost at 43 %: no word from it for 2 min. "
        "Look whether it is on, and whether its cable is in."
    )
    assert "5 seats need somebody" in shown.main.words


def test_a_switch_that_dies_does_not_push_the_rest_off_the_page() -> None:
    lost = tuple(pictures.stuck(n, SeatState.LOST, Trouble(TroubleKind.LOST, 100), 0.5) for n in range(1, 61))
    shown = read(views.overview(snapshot(swarm(seats=lost)), EN))
    folded = shown.by_id["more-needs"]
    assert folded.tag == "details"
    assert folded.words.startswith("54 seats more")
    assert "60 seats need somebody" in shown.main.words


def test_the_overview_says_when_the_last_is_ready_and_how_each_image_goes() -> None:
    shown = read(views.overview(pictures.room_of_24(), EN))
    clock = EN.clock(NOW + 3120)
    assert shown.by_id["top"].words.startswith(
        f"The last seat is ready in 52 min at {' '.join(clock.split())}; half of those that fill, in"
    )
    windows, ubuntu, debian = (shown.by_id[f"c{index}"].words for index in range(3))
    assert windows.startswith("aula1/windows.img 39 GiB 55 % 52 min left")
    assert "4 ready 18 filling 2 lost" in windows
    assert "copies sent 1.05 given by seats 93 %" in windows
    assert "repository does not seed" not in windows
    assert ubuntu.endswith("The repository does not seed it.")
    assert debian.startswith("aula3/debian.img 22 GiB 100 % ready in 6 min")
    assert shown.by_id["r0"].words.startswith("aula1 55 % 4 ready 18 filling 2 lost 52 min left")


@pytest.mark.parametrize(
    ("seats", "headline"),
    [
        ((), "No seat is filling"),
        ((done(1), done(2)), "All seats are ready"),
        ((done(1), seat(2, time_left=None)), "1 seat stands still"),
        ((done(1), seat(2, time_left=42.0)), "The last seat is ready in 40 s"),
        (
            (done(1), pictures.stuck(2, SeatState.LEFT, Trouble(TroubleKind.LOST, 99), 0.5)),
            "1 seat will not be ready by itself",
        ),
    ],
)
def test_the_headline_is_what_one_comes_for(seats: tuple[pictures.Seat, ...], headline: str) -> None:
    shown = read(views.overview(snapshot(swarm(seats=seats)), EN))
    assert shown.by_id["top"].field("h").text == headline


def test_a_seat_that_stands_still_does_not_hide_when_the_others_are_ready() -> None:
    picture = snapshot(swarm(seats=(seat(1, time_left=None), seat(2, time_left=300.0))))
    top = read(views.overview(picture, EN)).by_id["top"]
    assert top.field("s").text.startswith("2 seats fill, the others are ready in 5 min, at ")


def test_a_thousand_quiet_images_are_folded_and_few_bytes() -> None:
    quiet = tuple(swarm(f"aula{n}/image.img") for n in range(1000))
    html = page.render(views.overview(snapshot(*quiet, swarm(seats=(seat(1),))), EN), EN)
    shown = Page(html)
    assert shown.by_id["quiet"].tag == "details"
    assert "open" not in shown.by_id["quiet"].attributes
    assert shown.by_id["quiet"].words.startswith("1000 images that no seat asks for")
    assert shown.by_id["quiet"].words.endswith("and 800 more")
    assert len(html) < 80_000


def test_a_seat_shows_its_hardware_and_calls_its_peers_by_name() -> None:
    shown = read(views.seat(pictures.room_of_24(), "10.1.1.7", EN))
    pc = shown.by_id["pc"].words
    for told_ in ("network port 1000 Mbit/s", "disk writes 420 MiB/s", "cache 200 GiB", "free in it 61 GiB"):
        assert told_ in pc
    peers = [one for one in shown.root.all() if re.fullmatch("i0p[0-9]+", one.attributes.get("id", ""))]
    assert [peer.words.split()[0] for peer in peers] == [
        "10.9.9.9", "pc01", "pc02", "pc03", "pc04", "pc06", "pc08", "repository",
    ]  # fmt: skip
    links = [one.attributes["href"] for peer in peers for one in peer.all() if one.tag == "a"]
    assert links == [f"/seats/10.1.1.{n}" for n in (1, 2, 3, 4, 6, 8)]


def test_a_foreign_client_has_dashes_where_it_tells_nothing() -> None:
    foreign = snapshot(swarm(seats=(seat(1, name="", report=None),)))
    shown = read(views.seat(foreign, "10.1.1.1", EN))
    assert "network port –" in shown.by_id["pc"].words
    assert "This client tells only what it announces" in shown.main.words


def test_an_image_names_the_seats_that_are_behind_beside_their_curves() -> None:
    view = views.swarm(pictures.room_of_24(), "aula1/windows.img", EN)
    shown = read(view)
    names = [shown.by_id[f"k{index}l"].children[0] for index in range(5)]
    assert names == ["pc11", "pc13", "10.1.1.22", "pc05", "pc18"]
    heights = [int(shown.by_id[f"k{index}l"].attributes["y"].rstrip("%")) for index in range(5)]
    assert all(below - above >= 9 for above, below in pairwise(heights))
    assert heights[0] >= 0 and heights[-1] <= 100
    plot = shown.by_id["all"].field("plot")
    assert plot.attributes["aria-label"].endswith(
        "4 of 24 are ready. Behind: pc11 43 %, pc13 31 %, 10.1.1.22 26 %, pc05 11 %, pc18 0 %."
    )
    assert "The rarest piece is there 4 times, the most common 23 times." in shown.main.words
    assert "the slowest 9.8 MiB/s" in shown.main.words


def test_events_are_told_the_newest_first() -> None:
    shown = read(views.swarm(pictures.room_of_24(), "aula1/windows.img", EN))
    assert "pc11: Lost at 43 %: no word from it for 2 min." in shown.by_id["e0"].words
    assert shown.by_id["e1"].words.endswith("pc02 was ready after 3 min.")
    assert shown.by_id["e28"].words.endswith("The deployment began.")


def test_every_plot_has_a_text() -> None:
    for view in every_view(pictures.room_of_24()):
        for one in read(view).root.all():
            if one.tag == "svg" and one.attributes.get("aria-hidden") != "true":
                assert one.attributes["role"] == "img"
                assert len(one.attributes["aria-label"]) > 10


def test_history_has_a_line_for_each_deployment() -> None:
    shown = read(views.history(pictures.summaries(12), EN))
    rows = [one.words for one in shown.root.all() if one.tag == "tr"][1:]
    assert len(rows) == 12
    assert "aula1/windows.img 39 GiB aula1 59 of 60 runs 6 min 52 min 1.05 98 % pc05, pc11" in rows[0]
    assert "60 of 60 53 min" in rows[1]
    assert read(views.history((), EN)).main.words.startswith("History No deployment yet.")


def test_a_deployment_of_the_past_says_who_was_behind_and_why() -> None:
    shown = read(views.deployment(pictures.records(1)[0], EN))
    assert "Stragglers pc05 aula1 Its network port runs at 100 Mbit/s." in shown.main.words
    assert "pc11 aula1 lost 43 %" in shown.main.words
    assert "pc01 aula1 ready 100 %" in shown.main.words


def test_hostile_names_are_text_and_nothing_else() -> None:
    for view in every_view(pictures.hostile()):
        html = page.render(view, EN)
        assert len(html) < 120_000
        for one in Page(html).root.all():
            assert one.tag not in ("img", "iframe", "object", "form", "input", "base")
            assert one.tag != "script" or one.attributes == {"type": "module"}
            assert not [name for name in one.attributes if name.startswith("on") or name == "style"]
            assert not re.match(r"(?i)\s*(javascript|https?|//)", one.attributes.get("href", ""))
            assert len(one.attributes.get("title", "")) <= 200
            assert len(one.attributes.get("aria-label", "")) < 1500
            assert re.fullmatch("[a-z0-9-]*", one.attributes.get("id", ""))
    assert pictures.SCRIPT in read(views.swarm(pictures.hostile(), pictures.SCRIPT, EN)).main.words


def test_what_is_not_there_has_no_page() -> None:
    picture = pictures.room_of_24()
    assert views.room(picture, "aula9", EN) is None
    assert views.seat(picture, "10.9.9.9", EN) is None
    assert views.swarm(picture, "aula9/no.img", EN) is None


def test_places_are_quoted() -> None:
    odd = snapshot(swarm("a b/ñ?#.img", (replace(seat(1), room="10.1.0.0/24", address="2001:db8::1"),)))
    hrefs = {
        one.attributes["href"] for one in read(views.overview(odd, EN)).root.all() if "href" in one.attributes
    }
    assert {"/swarms/a%20b/%C3%B1%3F%23.img", "/rooms/10.1.0.0/24"} <= hrefs
    hrefs = {one.attributes.get("href") for one in read(views.room(odd, "10.1.0.0/24", EN)).root.all()}
    assert "/seats/2001:db8::1" in hrefs


@pytest.mark.parametrize("kind", TroubleKind)
def test_each_trouble_has_a_sentence_with_advice_in_both_languages(kind: TroubleKind) -> None:
    trouble = Trouble(kind, 100.0, "no <space>")
    english, spanish = told(trouble, 0.39, EN), told(trouble, 0.39, ES)
    assert english != spanish
    for sentence in (english, spanish):
        assert sentence.count(". ") >= 1 and sentence.endswith(".")
        assert "{" not in sentence


def test_the_page_is_in_the_readers_language() -> None:
    html = page.render(views.overview(pictures.room_of_24(), ES), ES)
    assert '<html lang="es">' in html
    shown = Page(html)
    assert shown.by_id["top"].field("h").text == "El último equipo, listo en 52 min"
    assert "6,2 GiB" in shown.main.words
    links = {
        one.attributes["hreflang"]: one.attributes for one in shown.root.all() if "hreflang" in one.attributes
    }
    assert [links[language]["href"] for language in LANGUAGES] == ["?lang=en", "?lang=es"]
    assert "aria-current" in links["es"] and "aria-current" not in links["en"]


def test_rates_are_drawn_to_scale() -> None:
    picture = snapshot(
        swarm(seats=(seat(1, rates=pictures.Curve(NOW - 4, 1.0, (0.0, 50.0 * MIB, 100.0 * MIB))),))
    )
    shown = read(views.seat(picture, "10.1.1.1", EN))
    assert shown.by_id["i0"].field("top").text == "100 MiB/s"
    assert shown.by_id["i0"].field("line").attributes["d"] == "M0 100l75-50 75-50 150 0"


def test_names_of_curves_that_end_together_stay_apart_and_on_the_plot() -> None:
    trouble = Trouble(TroubleKind.LOST, 100)
    for progress in (0.0, 0.97):
        lost = tuple(pictures.stuck(n, SeatState.LOST, trouble, progress) for n in range(1, 6))
        view = views.swarm(snapshot(swarm(seats=lost)), "aula1/windows.img", EN)
        assert view
        heights = [int(view.cells[f"k{index}l"]["@y"].rstrip("%")) for index in range(5)]
        assert all(below - above >= 9 for above, below in pairwise(heights))
        assert heights[0] >= 0 and heights[-1] <= 100


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        # Told every four seconds: a slope, and no stairs.
        ((0.0, *[0.25] * 4, *[0.5] * 4, *[0.75] * 4, *[1.0] * 3), "M0 100l19-25 75-25 75-25 75-25"),
        # Stood still for twelve seconds.
        ((0.0, *[0.5] * 13, 0.75, 1.0), "M0 100l19-50 225 0 18-25 19-25"),
    ],
)
def test_a_curve_goes_through_what_a_seat_told_and_stands_still_where_the_seat_did(
    values: tuple[float, ...], drawn: str
) -> None:
    filled = pictures.Curve(NOW - 16, 1.0, values)
    one = pictures.deployment(began=NOW - 16, ended=NOW)
    picture = snapshot(swarm(seats=(seat(1, filled=filled),), deployment=one))
    view = views.swarm(picture, "aula1/windows.img", EN)
    assert view and view.cells["all"]["d@d"] == drawn
