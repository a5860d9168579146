"""Derive a synthetic corpus from the training clips of another: reading them, and the command line."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import soundfile

from manifests.corpora.synthetic import TABLE, ClipRow, parse_table
from manifests.reading.growing import Samples
from warehouse.errors import ManifestError, PipelineError

_log = logging.getLogger(__name__)

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


def run_command(parser: argparse.ArgumentParser, derive: Callable[[argparse.Namespace], int]) -> int:
    """Parse the folders and the options of `parser`, call `derive`, which returns the clips it added, and log them.

    Return the exit code: 1 after an error, which is printed as a sentence.
    """
    parser.add_argument("--source", type=Path, required=True, help="folder of a synthetic corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the changed clips, new or begun")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        added = derive(arguments)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _log.info("%d clips added", added)
    return 0
