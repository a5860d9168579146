"""Compare windowed decoding of codebooks 1 and up with the decoding of whole sentences, in WER and SIM-o.

`python benchmarks/windows.py [--count 24] [--run english] [--asr tiny.en]` speaks sentences of
`benchmarks/english_sentences.tsv` in the voices of the held-out clips of the demo. Codebook 0 of a sentence is decoded
once, so windows are compared on equal frames. Intervals are 95 %, over the speakers of the prompts.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manifests.demo.clips import DemoClip, demo_clips
from valle.audio import Audio, AudioLocation, read_audio, resample
from valle.backends.asr import SAMPLE_RATE
from valle.backends.registry import Backends
from valle.codec.base import Codes
from valle.data_root import open_data_root
from valle.evaluation.stats.bootstrap import compare_ratios, estimate_ratio
from valle.synthesis.decoding.conditions import Utterance
from valle.synthesis.decoding.rest import FrameSpan, decode_rest
from valle.synthesis.decoding.seeds import rest_generator
from valle.synthesis.default_checkpoint import find_checkpoint
from valle.synthesis.options import SamplingOptions, StreamOptions, read_sampling
from valle.synthesis.streaming.engine import iterate_chunks
from valle.synthesis.synthesizer import Request, Synthesizer
from valle.text.errors import count_word_errors
from valle.text.normalise import normalise

WINDOWS = {
    "whole": StreamOptions(window=0),
    "default": StreamOptions(),
    "short": StreamOptions(window=24, first_window=24),
    "short, no look-ahead": StreamOptions(window=24, first_window=24, lookahead=0),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Word errors of a text, its words, and the similarity to the prompt."""

    errors: int
    words: int
    similarity: float


def windowed(synthesizer: Synthesizer, utterance: Utterance, whole: Codes, options: StreamOptions) -> Codes:
    """Decode codebooks 1 and up of `whole` [K, T] again, window by window as a stream does."""
    codes, generator = whole[:, :0], rest_generator(utterance.options.seed)
    frames = whole.shape[1]
    while (done := codes.shape[1]) < frames:
        window = options.window_after(done)
        is_last = window is None or done + window + options.lookahead > frames
        start = max(0, done - options.history) if options.window else 0
        first = whole[:1, done:] if is_last else whole[:1, done : done + window + options.lookahead]
        (new,) = decode_rest(synthesizer.model, [FrameSpan(utterance, codes[:, start:], first, generator, start)])
        codes = np.concatenate([codes, new if is_last else new[:, :window]], axis=1)
    return codes


class Meter:
    """WER and SIM-o of speech."""

    def __init__(self, synthesizer: Synthesizer, asr: str) -> None:
        self._transcriber = synthesizer.backends.transcriber(asr)
        self._encoder = synthesizer.backends.speaker_encoder("resemblyzer")

    def measure(self, audio: Audio, text: str, prompt: Audio) -> Measured:
        """Measure one utterance."""
        wave, target = (resample(one.samples, one.sample_rate, SAMPLE_RATE) for one in (audio, prompt))
        transcription = self._transcriber.transcribe([wave], "en")[0].text
        reference = normalise(text, "en")
        errors = count_word_errors(reference, normalise(transcription, "en"))
        spoken, given = self._encoder.embed([wave, target])
        return Measured(errors.errors, len(reference.split()), float(spoken @ given))


def speak(synthesizer: Synthesizer, sampling: SamplingOptions, text: str, clip: DemoClip) -> tuple[Utterance, Codes]:
    """Speak a sentence whole."""
    prompt = synthesizer.encode_prompt(read_audio(AudioLocation(str(clip.path))))
    request = Request(synthesizer.phonemize(text), prompt, "en", sampling)
    (speech,) = synthesizer.speak_many([request])
    return Utterance(synthesizer.condition(request), sampling), speech.codes


def check(synthesizer: Synthesizer, sampling: SamplingOptions, text: str, clip: DemoClip) -> None:
    """Compare `windowed` with the stream itself on one sentence. Raises AssertionError where they differ."""
    utterance, whole = speak(synthesizer, sampling, text, clip)
    prompt = synthesizer.encode_prompt(read_audio(AudioLocation(str(clip.path))))
    options = WINDOWS["default"]
    chunks = list(iterate_chunks(synthesizer, text, prompt, sampling=sampling, options=options))
    streamed = np.concatenate([chunk.codes for chunk in chunks], axis=1)
    assert np.array_equal(windowed(synthesizer, utterance, whole, options), streamed), "the stream has other windows"


def report(found: dict[str, list[Measured]], speakers: Sequence[str]) -> None:
    """Print a line for each kind of window, with its difference to whole sentences."""
    whole = found["whole"]
    words, ones = [one.words for one in whole], [1] * len(whole)
    for name, rows in found.items():
        wer = estimate_ratio([one.errors for one in rows], words, clusters=speakers)
        similarity = estimate_ratio([one.similarity for one in rows], ones, clusters=speakers)
        more = compare_ratios([one.errors for one in rows], [one.errors for one in whole], words, clusters=speakers)
        less = compare_ratios(
            [one.similarity for one in rows], [one.similarity for one in whole], ones, clusters=speakers
        )
        print(
            f"{name:22} WER {100 * wer.value:5.1f} % ({_signed(more, 100)})  "
            f"SIM-o {similarity.value:.3f} ({_signed(less, 1)})"
        )


def _signed(difference: object, factor: float) -> str:
    value, low, high = (getattr(difference, name) for name in ("difference", "low", "high"))
    if low is None:
        return f"{factor * value:+.3f}"
    return f"{factor * value:+.3f}, {factor * low:+.3f} to {factor * high:+.3f}"


def _longest_of_speakers() -> list[DemoClip]:
    """Return the longest held-out clip of each speaker of the demo: below 3 s the similarity of a voice is noisy."""
    longest: dict[str, DemoClip] = {}
    for clip in demo_clips():
        known = longest.get(clip.speaker)
        if clip.split == "heldout" and (known is None or clip.duration > known.duration):
            longest[clip.speaker] = clip
    return list(longest.values())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--run", default="english")
    parser.add_argument("--asr", default="tiny.en")
    options = parser.parse_args()
    checkpoint, _ = find_checkpoint(data=open_data_root(None).root, run=options.run, checkpoint=None)
    synthesizer = Synthesizer.load(checkpoint, Backends())
    sampling = read_sampling(checkpoint)
    lines = Path(__file__).with_name("english_sentences.tsv").read_text(encoding="utf-8").splitlines()
    texts = [row["text"] for row in csv.DictReader(lines, delimiter="\t")][: options.count]
    clips = _longest_of_speakers()
    chosen = [clips[number % len(clips)] for number in range(len(texts))]
    check(synthesizer, sampling, texts[0], chosen[0])
    meter = Meter(synthesizer, options.asr)
    found: dict[str, list[Measured]] = {name: [] for name in WINDOWS}
    for text, clip in zip(texts, chosen, strict=True):
        utterance, whole = speak(synthesizer, sampling, text, clip)
        prompt = read_audio(AudioLocation(str(clip.path)))
        for name, windows in WINDOWS.items():
            codes = whole if name == "whole" else windowed(synthesizer, utterance, whole, windows)
            audio = Audio(synthesizer.codec.decode([codes])[0], synthesizer.codec.spec.sample_rate)
            found[name].append(meter.measure(audio, text, prompt))
        print(f"{len(found['whole'])} of {len(texts)}", file=sys.stderr)
    report(found, [clip.speaker for clip in chosen])
    return 0


if __name__ == "__main__":
    sys.exit(main())
