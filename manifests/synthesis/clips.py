"""Read the training clips of a synthetic corpus that another is made from."""

from pathlib import Path

import soundfile

from manifests.corpora.synthetic import TABLE, ClipRow, parse_table
from manifests.reading.growing import Samples
from warehouse.errors import ManifestError

MAIN = "main"
"""Split of the clips to train on."""


def read_main_rows(source: Path) -> list[ClipRow]:
    """Return the rows of the training clips of a folder. Raises ManifestError for one that has no table."""
    try:
        rows = parse_table((source / TABLE).read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(
            f"{source} has no {TABLE} ({error}): name a folder of `manifests.synthesis.synthesize`."
        ) from error
    return [row for row in rows if row.split == MAIN]


def read_clip(path: Path) -> tuple[Samples, int]:
    """Return the samples of a clip and their rate. Raises ManifestError for a file that cannot be read."""
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (OSError, soundfile.LibsndfileError) as error:
        raise ManifestError(f"{path} cannot be read ({error}): make it again, or delete its row.") from error
    return samples, rate
