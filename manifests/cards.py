"""Read the cards of the corpora: licence, size, languages, known faults and citation, one Markdown file each."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from warehouse.errors import unknown_name

# Kinds that are another layout of a corpus with a card.
_SHARED = {"emilia-raw": "emilia", "librilight-cut": "librilight"}


def _folder() -> Traversable:
    return files("manifests") / "cards"


def card_kinds() -> tuple[str, ...]:
    """Return the kinds that have a card, sorted."""
    names = [entry.name.removesuffix(".md") for entry in _folder().iterdir() if entry.name.endswith(".md")]
    return tuple(sorted([*names, *_SHARED]))


def card(kind: str) -> str:
    """Return the card of a corpus as Markdown. Raises ConfigurationError for a kind that has none."""
    if kind not in card_kinds():
        raise unknown_name("dataset card", kind, card_kinds())
    return (_folder() / f"{_SHARED.get(kind, kind)}.md").read_text(encoding="utf-8")
