"""What audio exists: one reader per corpus, Lhotse manifests in and out, corpus cards, and the demo corpus."""

from manifests.corpus import Corpus, CorpusOptions
from manifests.open import CorpusKind, open_corpus

__all__ = ["Corpus", "CorpusKind", "CorpusOptions", "open_corpus"]
