"""A page as a browser reads it: elements by id, fields within them, and what a person sees."""

from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "input", "br", "hr"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        """As `textContent`."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def words(self) -> str:
        """What is seen of it, with single spaces."""
        parts = []
        for child in self.children:
            if isinstance(child, str):
                parts.append(child)
            elif child.tag not in ("style", "script", "noscript", "title"):
                parts.append(child.words)
        return " ".join(" ".join(parts).split())

    def all(self) -> "list[Element]":
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child, *child.all()]
        return found

    def field(self, name: str) -> "Element":
        """As `querySelector('[data-field=...]')`."""
        return next(one for one in self.all() if one.attributes.get("data-field") == name)


class Page(HTMLParser):
    """Fails where a tag is not closed, an attribute stands twice, or an id does."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(html)
        assert self._open == [self.root]
        self.by_id: dict[str, Element] = {}
        for one in self.root.all():
            if name := one.attributes.get("id"):
                assert name not in self.by_id, name
                self.by_id[name] = one

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    @property
    def main(self) -> Element:
        return self.by_id["main"]

    @property
    def tiles(self) -> list[str]:
        """What stands in each tile of the seat map."""
        (seats,) = [
            one for one in self.root.all() if one.attributes.get("class", "").split()[:1] == ["seats"]
        ]
        return [one.words for one in seats.all() if one.tag == "li"]
