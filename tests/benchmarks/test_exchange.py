"""The model of an exchange, where arithmetic knows what comes of it."""

from __future__ import annotations

import random

import pytest

from benchmarks.exchange import Flow, Graph, Site, exchange

PIECES = 64


def fill(site: Site, graph: Graph) -> Flow:
    return exchange(site, graph, PIECES, random.Random(1))


def together(site: Site) -> list[set[int]]:
    """Everybody is connected to everybody."""
    everybody = set(range(site.seed + 1))
    return [everybody - {peer} for peer in range(site.seed + 1)]


def apart(site: Site) -> list[set[int]]:
    """Everybody is connected to the repository only."""
    return [*({site.seed} for _ in range(site.seed)), set(range(site.seed))]


def test_who_is_alone_takes_one_copy_in_the_time_of_its_port() -> None:
    assert fill(Site(1, 1), together(Site(1, 1))) == Flow(1, [1], 0, 1)


def test_a_chain_passes_each_piece_on_a_round_later() -> None:
    chain = [{1, 2}, {0}, {0}]  # the repository is 2
    late = pytest.approx(1 + 1 / PIECES)
    assert fill(Site(1, 2), chain) == Flow(1, [1], 0.5, late)
    assert fill(Site(2, 1), chain) == Flow(1, [1, 1], 0, late)


def test_seats_that_do_not_know_each_other_share_the_repositorys_port() -> None:
    for repository, time in ((1, 4), (2, 2), (4, 1)):
        site = Site(1, 4, uplink=None, repository=repository)
        assert fill(site, apart(site)) == Flow(4, [4], 0, pytest.approx(time, rel=0.1))


def test_an_uplink_is_as_narrow_as_it_is_said_to_be() -> None:
    for uplink, time in ((1, 4), (2, 2), (None, 1)):
        for rooms in (1, 2):
            site = Site(rooms, 4, uplink, repository=8)
            flow = fill(site, apart(site))
            assert flow == Flow(4 * rooms, [4] * rooms, 0, pytest.approx(time, rel=0.1))


def test_an_uplink_is_as_narrow_outward_too() -> None:
    # The two seats of the first room feed one of another room each, and those their neighbours.
    ways = [{1, 2, 6}, {0, 4, 6}, {0, 3}, {2}, {1, 5}, {4}, {0, 1}]
    assert fill(Site(3, 2, uplink=2, repository=2), ways).time < 1.5
    assert fill(Site(3, 2, uplink=1, repository=2), ways).time >= 2


def test_in_a_room_the_rarest_first_have_the_repository_send_hardly_more_than_one_copy() -> None:
    site = Site(1, 8)
    flow = fill(site, together(site))
    assert 1 <= flow.sent <= 1.1
    assert flow.time <= 1.2
    assert flow.inside == pytest.approx(1 - flow.sent / 8)


def test_islands_are_an_error() -> None:
    with pytest.raises(ValueError, match="1 seats"):
        fill(Site(1, 2), [{2}, set(), {0}])
