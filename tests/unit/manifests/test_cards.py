"""Every corpus has a card that answers the same questions."""

from typing import get_args

import pytest

from manifests import CorpusKind
from manifests.cards import card, card_kinds
from manifests.corpora.registry import open_corpus
from warehouse.errors import ConfigurationError

WITHOUT_CARD = {"cutset", "folder", "vall-e", "vall-e-hdf5"}
"""Layouts of data that users have made."""


@pytest.mark.parametrize("kind", sorted({*get_args(CorpusKind), "demo"} - WITHOUT_CARD))
def test_every_corpus_has_a_card_with_licence_size_faults_and_citation(kind):
    text = card(kind)
    for wanted in ("| Licence |", "| Size |", "| Language", "| Audio |", "## Known faults", "## Citation"):
        assert wanted in text
    assert kind in card_kinds()


@pytest.mark.parametrize(("kind", "name"), [("emilia", "CC BY-NC 4.0"), ("emilia-yodas", "CC BY 4.0")])
def test_the_licence_of_the_card_is_the_licence_of_the_rows(kind, name):
    assert name in card(kind)
    assert open_corpus(kind, ".").licence == name.replace("CC BY", "CC-BY").replace(" ", "-")


def test_an_unknown_card_lists_the_cards():
    with pytest.raises(ConfigurationError, match="emilia"):
        card("common-voice")
