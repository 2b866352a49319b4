"""Who gave how much, over connections that come and go."""

from ogtorrent.swarm.ledger import Ledger

SERVER, SEAT = ("10.0.0.1", 6881), ("10.0.0.7", 6881)


def test_a_counter_that_grows_is_counted_once() -> None:
    ledger = Ledger()
    for total in (0, 100, 100, 250):
        ledger.observe({SERVER: total})
    assert ledger.given() == {"10.0.0.1": 250}


def test_a_peer_that_connects_anew_begins_at_zero_and_loses_nothing() -> None:
    ledger = Ledger()
    ledger.observe({SERVER: 100, SEAT: 40})
    ledger.observe({SEAT: 60})  # the server is gone
    ledger.observe({SERVER: 130, SEAT: 60})  # and is back, and has given more than before
    ledger.observe({SERVER: 135, SEAT: 5})  # the seat came back between two looks
    assert ledger.given() == {"10.0.0.1": 235, "10.0.0.7": 65}


def test_two_connections_of_one_address_add_up() -> None:
    ledger = Ledger()
    ledger.observe({SEAT: 10, ("10.0.0.7", 50000): 5})
    assert ledger.given() == {"10.0.0.7": 15}


def test_what_was_told_does_not_change_afterwards() -> None:
    ledger = Ledger()
    ledger.observe({SEAT: 10})
    told = ledger.given()
    ledger.observe({SEAT: 20})
    assert told == {"10.0.0.7": 10}
