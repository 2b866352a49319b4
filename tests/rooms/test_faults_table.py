"""docs/faults.md has a row for every fault that is staged, and no other."""

from .faults import FAULTS, TABLE, rows


def test_the_table_has_every_fault() -> None:
    assert tuple(rows(TABLE.read_text())) == FAULTS, "make faults"
