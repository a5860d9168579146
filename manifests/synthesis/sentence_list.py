"""A list of test sentences for `valle evaluate`: `python -m manifests.synthesis.sentence_list --corpus DIR --out LIST`.

Each test clip of a synthetic corpus is a row `utterance|prompt text|prompt file|text|recording`, the form of
seed-tts-eval, with files relative to the list. The prompt is another clip of the voice, of 2 to 4 s where there is one.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from manifests.corpora.synthetic import TABLE, ClipRow, parse_table
from manifests.demo.clips import HELD_OUT
from warehouse.errors import ConfigurationError, ManifestError, PipelineError
from warehouse.files import atomic_write

PROMPT_SECONDS = (2.0, 4.0)


def list_rows(corpus: Path, beside: Path, *, kinds: Sequence[str] = ()) -> Iterator[str]:
    """Yield the rows of the test clips of `corpus`, of `kinds` if any are named, for a list in the folder `beside`.

    Raises ManifestError where `corpus` is no synthetic corpus, ConfigurationError for a voice with a single clip.
    """
    try:
        clips = parse_table((corpus / TABLE).read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{corpus} has no {TABLE} ({error}): name what `synthesize` made.") from error
    voices: dict[str, list[ClipRow]] = {}
    for clip in clips:
        if clip.split == HELD_OUT:
            voices.setdefault(clip.voice, []).append(clip)
    folder = os.path.relpath(corpus, beside)
    for voice, spoken in voices.items():
        for number, clip in enumerate(spoken):
            if kinds and clip.kind not in kinds:
                continue
            prompt = _prompt(voice, spoken, number)
            files = (f"{folder}/{one.file}" for one in (prompt, clip))
            yield "|".join((clip.id, prompt.prompt, next(files), clip.prompt, next(files)))


def _prompt(voice: str, spoken: Sequence[ClipRow], number: int) -> ClipRow:
    """Return the next clip of the voice, in a circle, with a good length; else the longest one."""
    others = [*spoken[number + 1 :], *spoken[:number]]
    if not others:
        raise ConfigurationError(f"{voice} has a single test clip: make two or more, so that one can be the prompt.")
    shortest, longest = PROMPT_SECONDS
    good = (clip for clip in others if shortest <= float(clip.duration_s) <= longest)
    return next(good, max(others, key=lambda clip: float(clip.duration_s)))


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m manifests.synthesis.sentence_list", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of a synthetic corpus")
    parser.add_argument("--out", type=Path, required=True, help="the list to write")
    parser.add_argument("--kinds", nargs="*", default=[], help="kinds of text, such as digits; all without it")
    arguments = parser.parse_args()
    try:
        rows = list(list_rows(arguments.corpus, arguments.out.parent, kinds=arguments.kinds))
        if not rows:
            raise ConfigurationError(f"{arguments.corpus} has no test clip of these kinds: name others.")
        with atomic_write(arguments.out) as temporary:
            temporary.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    except (PipelineError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
