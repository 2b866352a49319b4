"""What a page shows, before it is HTML: the same value fills the template and feeds the live events."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

Cell = Mapping[str, str]
"""The texts and figures of one element by field, already in the reader's language.

In the page, the element has the cell's name as its `id`, and within it each field's element has
`data-field="FIELD"`. A field whose name starts with `@` is an attribute: `@data-state` of the element itself,
`bar@value` of the element of field `bar`. Names are short: they are sent with each change.
"""


@dataclass(frozen=True)
class View:
    """One page at one moment in one language.

    `cells` are what changes from moment to moment; two views of the same `shape` differ in nothing else.
    """

    template: str
    title: str
    shape: tuple[object, ...]
    cells: Mapping[str, Cell]
    facts: Mapping[str, object]

    @property
    def stamp(self) -> str:
        """The shape in a few letters, the same in every process: `data-shape` of the page's `main`."""
        return blake2b(repr((self.template, self.title, self.shape)).encode(), digest_size=9).hexdigest()
