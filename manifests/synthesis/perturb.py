"""Derive voices by speed perturbation: `python -m manifests.synthesis.perturb --source DIR --out DIR`.

Every training clip of a synthetic corpus is resampled to another speed (Ko et al., "Audio Augmentation for Speech
Recognition", Interspeech 2015): pitch and formants change with it, so to a model it is another voice, `af_sky@0.89`.
The command can be killed anywhere, and started again when the source has grown.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import soxr

from manifests.corpora.synthetic import ClipRow
from manifests.reading.growing import Samples, grow_corpus
from manifests.synthesis.clips import read_clip, read_main_rows, run_command
from warehouse.errors import ConfigurationError


def perturb(source: Path, out: Path, factors: Sequence[float]) -> int:
    """Add the missing clips to `out`, each main clip of `source` at every factor, and return how many were added.

    Raises ConfigurationError for a factor that is 1 or no speed, ManifestError where `source` is no synthetic corpus.
    """
    if not factors or any(not 0.5 <= factor <= 2 or factor == 1 for factor in factors):
        raise ConfigurationError("A factor must be between 0.5 and 2, and not 1: 0.89 is slower, 1.12 faster.")
    rows = read_main_rows(source)
    added = 0
    with grow_corpus(out) as corpus:
        known = {row.id for row in corpus.rows}
        for row in rows:
            for factor in factors:
                changed = _rename(row, factor)
                if changed.id in known:
                    continue
                samples, rate = _play(source / row.file, factor)
                corpus.add(replace(changed, duration_s=f"{len(samples) / rate:.2f}"), samples, rate)
                added += 1
    return added


def _rename(row: ClipRow, factor: float) -> ClipRow:
    name = f"{row.id}@{factor:g}"
    speed = f"{float(row.speed) * factor:.2f}"
    return replace(row, id=name, file=f"audio/{name}.ogg", voice=f"{row.voice}@{factor:g}", speed=speed)


def _play(path: Path, factor: float) -> tuple[Samples, int]:
    samples, rate = read_clip(path)
    return soxr.resample(samples, rate * factor, rate).astype("float32"), rate


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m manifests.synthesis.perturb", description=__doc__)
    parser.add_argument("--factors", default="0.89,1.12", help="speeds, with commas; each makes voices of its own")
    return run_command(parser, lambda given: perturb(given.source, given.out, _parse_factors(given.factors)))


def _parse_factors(given: str) -> list[float]:
    try:
        return [float(factor) for factor in given.split(",")]
    except ValueError as error:
        raise ConfigurationError(f"{given!r} are no numbers with commas: write 0.89,1.12.") from error


if __name__ == "__main__":
    sys.exit(main())
