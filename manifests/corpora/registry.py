"""Open a corpus by the name of its kind."""

from pathlib import Path
from typing import get_args

from manifests.corpora.cutset import LhotseCuts
from manifests.corpora.emilia import Emilia, EmiliaYodas
from manifests.corpora.emilia_raw import EmiliaRaw
from manifests.corpora.folder import Folder
from manifests.corpora.libriheavy import LibriHeavy
from manifests.corpora.librilight import LibriLight
from manifests.corpora.librilight_cut import LibriLightCut
from manifests.corpora.libritts import LibriSpeech, LibriTts
from manifests.corpora.noise import Noise
from manifests.corpora.synthetic import Synthetic
from manifests.corpora.vall_e import VallE, VallEHdf5
from manifests.corpus import Corpus, CorpusKind, CorpusOptions
from warehouse.errors import ConfigurationError, unknown_name

_READERS = (
    Emilia,
    EmiliaRaw,
    EmiliaYodas,
    Folder,
    LhotseCuts,
    LibriHeavy,
    LibriLight,
    LibriLightCut,
    LibriSpeech,
    LibriTts,
    Noise,
    Synthetic,
    VallE,
    VallEHdf5,
)


def open_corpus(kind: str, root: Path, name: str | None = None, *, options: CorpusOptions | None = None) -> Corpus:
    """Return the reader of `kind` for the corpus below `root`; its name is the kind unless one is given.

    Opens nothing. Raises ConfigurationError for an unknown kind and for a name that cannot be part of a file name.
    """
    reader = next((reader for reader in _READERS if reader.kind == kind), None)
    if reader is None:
        raise unknown_name("corpus kind", kind, sorted(get_args(CorpusKind)))
    name = kind if name is None else name
    if not name[:1].isalnum() or not all(letter.isalnum() or letter in "-_." for letter in name):
        raise ConfigurationError(f"A corpus name has letters, digits, '-', '_' and '.' only, not {name!r}.")
    return reader(Path(root), name, options or CorpusOptions())
