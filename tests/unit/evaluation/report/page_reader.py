"""Reads a page as a browser would, as far as the tests need it: elements, their attributes and their text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "input", "br", "link"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    children: list["Element | str"] = field(default_factory=list)

    def all(self, name: str) -> list["Element"]:
        """Every element of a name below this one, in order."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] * (child.name == name) + child.all(name)
        return found

    def by_id(self, name: str, wanted: str) -> "Element":
        (found,) = [element for element in self.all(name) if element.attributes.get("id") == wanted]
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = Element("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read_page(path) -> Element:
    """The tree of a page; fails when an element is closed that was not the last to be opened."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == [reader.root], "an element is never closed"
    return reader.root
