"""The table by which the store in memory finds a peer again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.swarm.index import Index


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=300))
def test_it_finds_what_is_in_it_and_nothing_else(steps: list[tuple[bool, int]]) -> None:
    column = [b"key %d" % row for row in range(41)]
    index = Index(column)
    held: set[int] = set()
    for add, row in steps:
        if add and row not in held:
            index.add(row)
            held.add(row)
        elif not add and row in held:
            index.remove(row)
            held.remove(row)
    assert {row for row, key in enumerate(column) if index.find(key) == row} == held
    assert all(index.find(column[row]) is None for row in set(range(41)) - held)


def test_a_table_of_thousands_is_as_good_as_one_of_ten() -> None:
    column = [row.to_bytes(20, "big") for row in range(5000)]
    index = Index(column)
    for row in range(5000):
        index.add(row)
    for row in range(0, 5000, 2):
        index.remove(row)
    found = [index.find(key) for key in column]
    assert found == [row if row % 2 else None for row in range(5000)]
    assert index.find(b"nobody") is None
