"""Who gave how much, over connections that come and go."""

from ogtorrent.swarm.ledger import Ledger

KIB = 1024
SERVER, SEAT, CALLED = ("10.0.0.1", 6881), ("10.0.0.7", 6881), ("10.0.0.7", 50000)


def test_a_counter_that_grows_is_counted_once() -> None:
    ledger = Ledger()
    for total in (0, 100, 100, 250):
        ledger.observe({SERVER: total})
    assert ledger.given() == {"10.0.0.1": 250}


def test_a_peer_that_connects_anew_has_what_it_had_and_is_counted_once() -> None:
    ledger = Ledger()
    ledger.observe({SERVER: 100 * KIB + 900, SEAT: 40 * KIB})
    ledger.observe({SEAT: 60 * KIB})  # the server is gone
    ledger.observe({SERVER: 100 * KIB, SEAT: 60 * KIB})  # and is back
    ledger.observe({SERVER: 130 * KIB, CALLED: 70 * KIB})  # the seat came back from another port
    assert ledger.given() == {"10.0.0.1": 130 * KIB + 900, "10.0.0.7": 70 * KIB}


def test_a_peer_that_was_forgotten_begins_at_zero_and_loses_nothing() -> None:
    ledger = Ledger()
    ledger.observe({SERVER: 100 * KIB, SEAT: 60 * KIB})
    ledger.observe({SEAT: 5 * KIB})  # the seat came back between two looks
    ledger.observe({SERVER: 30 * KIB, SEAT: 6 * KIB})
    assert ledger.given() == {"10.0.0.1": 130 * KIB, "10.0.0.7": 66 * KIB}


def test_two_connections_of_one_address_add_up() -> None:
    ledger = Ledger()
    ledger.observe({SEAT: 10, CALLED: 5})
    assert ledger.given() == {"10.0.0.7": 15}


def test_what_was_told_does_not_change_afterwards() -> None:
    ledger = Ledger()
    ledger.observe({SEAT: 10})
    told = ledger.given()
    ledger.observe({SEAT: 20})
    assert told == {"10.0.0.7": 10}
