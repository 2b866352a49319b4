"""Multicast sessions: OpenGnsys's are read, others refused, and no two images share one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import MULTICAST_SESSIONS

from ogtorrent.errors import BadSession
from ogtorrent.multicast import PORT_BASES, MulticastSession, assign, on_free_port

EXAMPLE = "9000:full-duplex:239.194.17.36:70M:50:60"


def test_the_example_of_opengnsys_says_what_it_means() -> None:
    found = MulticastSession.parse(EXAMPLE)
    assert (found.port_base, found.method, str(found.address)) == (9000, "full-duplex", "239.194.17.36")
    assert (found.speed, found.clients, found.wait) == (70, 50, 60)
    assert MulticastSession.parse(EXAMPLE.replace("full-duplex", "FULL-DUPLEX")) == found


@given(MULTICAST_SESSIONS)
def test_a_session_is_read_as_it_was_written(session: MulticastSession) -> None:
    assert MulticastSession.parse(str(session)) == session


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("9000", "9001"),
        ("9000", "8998"),
        ("9000", "9100"),
        ("9000", "٩٠٠٠"),
        ("full-duplex", "full"),
        ("239.194.17.36", "172.17.36.11"),  # a PC, which would drown
        ("239.194.17.36", "239.194.17.256"),
        ("239.194.17.36", "ff02::1"),
        ("70M", "70"),
        ("70M", "0M"),
        ("70M", "1000M"),
        (":50:", ":0:"),
        (":50:", ":1025:"),
        (":60", ":-1"),
        (":60", ":86401"),
        (":60", ""),
        (":60", ":60:"),
        (":60", ":60\n"),
    ],
)
def test_any_other_form_exits_55(was: str, now: str) -> None:
    with pytest.raises(BadSession) as refused:
        MulticastSession.parse(EXAMPLE.replace(was, now))
    assert refused.value.exit_code == 55


@given(st.text(alphabet=":M0123456789.full-duplexhalfbroadcast\n ") | st.text())
@example(":::::")
def test_nothing_that_is_no_session_does_more_than_be_refused(text: str) -> None:
    try:
        found = MulticastSession.parse(text)
    except BadSession:
        return
    assert MulticastSession.parse(str(found)) == found


@given(st.lists(st.text(min_size=1), unique=True, max_size=120))
def test_images_have_addresses_of_their_own_and_share_a_port_only_when_there_are_more_than_ports(
    images: list[str],
) -> None:
    taken: dict[str, MulticastSession] = {}
    for image in images:
        taken[image] = assign(image, list(taken.values()))
    assert len({session.address for session in taken.values()}) == len(images)
    ports = [session.port_base for session in taken.values()]
    assert max(map(ports.count, ports), default=0) <= -(-len(images) // len(PORT_BASES))
    assert all(MulticastSession.parse(str(session)) == session for session in taken.values())
    for image, session in taken.items():  # published anew, it gets what it had
        others = [other for name, other in taken.items() if name != image]
        assert assign(image, others).address == session.address


def test_an_address_that_is_taken_is_passed_over() -> None:
    first = assign("windows.img", [])
    second = assign("windows.img", [first])
    assert len({first.address, second.address, assign("windows.img", [first, second]).address}) == 3


def test_a_session_leaves_a_port_that_another_is_sent_on() -> None:
    own = MulticastSession.parse(EXAMPLE)
    assert on_free_port(own, [9002]) == own
    moved = on_free_port(own, [9000])
    assert moved is not None and moved.port_base != 9000 and moved.address == own.address
    assert on_free_port(own, PORT_BASES) is None
