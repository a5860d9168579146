"""Read corpora, one reader per layout; read and write Lhotse manifests; synthesize speech; lay out the demo corpus."""

from manifests.corpora.registry import open_corpus
from manifests.corpus import Corpus, CorpusKind, CorpusOptions

__all__ = ["Corpus", "CorpusKind", "CorpusOptions", "open_corpus"]
