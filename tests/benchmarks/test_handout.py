"""What hand-outs make of a site: who gets connected, and what of the image stays inside the rooms."""

from __future__ import annotations

import asyncio
import random

import pytest

from benchmarks.exchange import Flow, Graph, Site
from benchmarks.handout import (
    HAND_OUTS,
    SITES,
    TITLES,
    Outcome,
    connect,
    draw,
    row,
    simulate,
    span,
    title,
)

CHAIN = [{1}, {0, 2}, {1, 3}, {2}, set()]


def graph_of(name: str, site: Site) -> Graph:
    rng = random.Random(1)
    return asyncio.run(connect(site, HAND_OUTS[name](site, rng), rng))


def flow_of(name: str, site: Site) -> Flow:
    return draw(site, name, 256, random.Random(1)).flow


def test_parts_and_hops_are_those_of_the_members_alone() -> None:
    assert span(CHAIN, range(4)) == (1, 3)
    assert span(CHAIN, range(5)) == (2, 3)
    assert span(CHAIN, [0, 1, 3]) == (2, 1)
    assert span(CHAIN, [4]) == (1, 0)


@pytest.mark.parametrize("name", HAND_OUTS)
def test_connections_have_two_ends_and_nobody_is_its_own_peer(name: str) -> None:
    graph = graph_of(name, Site(2, 20))
    assert all(peer in graph[other] and peer != other for peer, peers in enumerate(graph) for other in peers)
    assert len(graph) == 41


def test_our_tracker_connects_all_of_a_room_and_the_repository_and_few_of_the_others() -> None:
    site = Site(3, 20)
    graph = graph_of("rooms first", site)
    assert graph[site.seed] == set(range(60))
    for seat in range(60):
        room = set(site.members(site.room(seat)))
        assert room <= graph[seat] | {seat}
        assert len(graph[seat] - room) < 10
    assert span(graph, range(60))[0] == 1


def test_an_ordinary_tracker_tells_everybody_of_everybody_while_they_are_few_and_else_of_some() -> None:
    graph = graph_of("whole swarm", Site(3, 20))
    assert all(len(peers) == 60 for peers in graph)
    # Two announces, and as often another's answer.
    great = graph_of("whole swarm", Site(100, 10))
    assert 500 < sum(map(len, great)) / len(great) < 650


@pytest.mark.room
@pytest.mark.parametrize("site", [Site(2, 8, uplink=None), Site(10, 10, uplink=10)])
def test_rooms_first_keeps_more_inside_than_the_whole_swarm_in_no_more_time(site: Site) -> None:
    ours, ordinary = (flow_of(name, site) for name in ("rooms first", "whole swarm"))
    assert ours.inside > ordinary.inside + 0.2
    assert max(ours.inward) < min(ordinary.inward) / 1.5
    assert ours.inside <= 1 - 1 / site.seats
    assert ours.time < ordinary.time + 0.1


@pytest.mark.room
def test_a_narrow_uplink_is_full_for_longer_where_more_goes_over_it() -> None:
    site = Site(5, 10)
    ours, ordinary = (flow_of(name, site) for name in ("rooms first", "whole swarm"))
    assert ours.time < ordinary.time
    assert ours.inside > ordinary.inside


@pytest.mark.room
def test_a_simulation_is_the_same_each_time() -> None:
    assert simulate(Site(2, 4), "rooms first") == simulate(Site(2, 4), "rooms first")


def test_a_row_has_a_cell_for_each_title_with_the_means_of_all_draws_and_names_islands() -> None:
    site = Site(2, 3, uplink=3)
    apart = [{1, 6}, {0, 2}, {1, 3}, {2, 4}, {3}, {6}, {0, 5}]
    joined = [{1}, {0, 2}, {1, 3}, {2, 4, 5}, {3, 5}, {3, 4}, set()]
    one = Outcome(site, apart, Flow(sent=1.25, inward=[1.5, 1.75], inside=0.5, time=1.125))
    other = Outcome(site, joined, Flow(sent=1.75, inward=[2.25, 0], inside=0.25, time=1.375))

    def cells(*outcomes: Outcome) -> list[str]:
        return [cell.strip() for cell in row("by hand", outcomes).strip("|").split("|")]

    assert cells(one) == [
        *(title(site), "by hand", "50.0%", "66.7%", "1.75", "1.25", "1.12"),
        *("1.3", "0.3", "2 islands", "2 islands"),
    ]
    assert cells(one, other)[2:9] == ["37.5%", "66.7%", "2.00", "1.50", "1.25", "1.7", "0.3"]
    assert cells(other)[9:] == ["2", "4"]
    assert cells(other, one)[9:] == cells(one)[9:]
    assert len(cells(one)) == len(TITLES)


def test_sites_have_titles_of_their_own() -> None:
    assert len({title(site) for site in SITES}) == len(SITES)
