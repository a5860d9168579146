"""What audio exists: one reader per corpus, Lhotse manifests in and out, corpus cards, and the demo corpus."""

from manifests.corpora.registry import CorpusKind, open_corpus
from manifests.corpus import Corpus, CorpusOptions

__all__ = ["Corpus", "CorpusKind", "CorpusOptions", "open_corpus"]
