"""A sentence spoken by weights without fixtures: a hash of logits to compare machines, coverage of symbols, and WER."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from valle.audio import Audio, resample
from valle.backends.asr import SAMPLE_RATE
from valle.backends.registry import Backends
from valle.codec.base import CodecSpec, Codes
from valle.interchange.weights.description import Era
from valle.interchange.weights.importing import ImportedModel, convert, default_sampling, open_weights
from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.phonemes import PLAIN
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from valle.tasks.tts import TTS
from valle.text.errors import count_word_errors
from valle.text.normalise import normalise
from warehouse.errors import DependencyError

_LANGUAGE = "en"
# Decimals of logits in the hash: those that machines agree on.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class SpokenReport:
    """The lines to print."""

    lines: tuple[str, ...]


def speak_once(file: Path, text: str, codec: CodecSpec, era: Era, *, config: Path | None) -> SpokenReport:
    """Speak a sentence greedily and measure it. Raises CheckpointError for weights that cannot be converted."""
    imported = convert(open_weights(file, config=config), codec, era)
    model, backends = imported.build(), Backends()
    symbols = backends.phonemizer(PLAIN).phonemize([text], _LANGUAGE)[0]
    unknown = imported.table.unknown(symbols)
    characters = sum(map(len, symbols))
    condition = Condition(
        symbol_ids=np.array(imported.table.encode(symbols)),
        language_id=model.config.language_id(_LANGUAGE),
        prompt=None,
        prefix=np.zeros((codec.num_codebooks, 0), dtype=np.int16),
    )
    codes = decode(model, [condition], [_sampling(imported)])[0].codes
    return SpokenReport(
        (
            f"Sums: {imported.era.era}, {imported.era.reason}",
            f"Logits: {logits_hash(model, condition)}",
            f"Symbols: {characters - len(unknown)} of {characters} characters known"
            + (f", not {' '.join(sorted(set(unknown)))}" if unknown else ""),
            f"Speech: {codes.shape[1] / codec.frame_rate:.2f} s",
            f"WER: {_word_errors(codes, text, codec, backends)}",
        )
    )


@torch.inference_mode()
def logits_hash(model: ValleModel, condition: Condition) -> str:
    """Return a hash of the logits of the first frame, rounded so that machines agree."""
    target = np.zeros((1, 0), dtype=np.int16)
    row = TTS.row(condition.symbol_ids, condition.language_id, 0, None, target)
    logits = model(make_batch(TTS.layout(Mode.AR), [row], model.config))
    rounded = np.round(logits.double().numpy(), _DIGITS) + 0.0  # without negative zeros
    return hashlib.sha256(rounded.tobytes()).hexdigest()[:16]


def _sampling(model: ImportedModel) -> SamplingOptions:
    return SamplingOptions(**(default_sampling(model.file) | {"max_seconds": 12.0}))


def _word_errors(codes: Codes, text: str, codec: CodecSpec, backends: Backends) -> str:
    """Return the word error rate of speech, or why there is none."""
    if not codes.shape[1]:
        return "none, no frame was spoken"
    try:
        samples = backends.codec(codec.name).decode([codes])[0]
        audio = Audio(samples, codec.sample_rate)
        transcriber = backends.transcriber("tiny.en")
    except DependencyError as error:
        return f"not measured: {error}"
    transcription = transcriber.transcribe([resample(audio.samples, audio.sample_rate, SAMPLE_RATE)], _LANGUAGE)[0]
    count = count_word_errors(normalise(text, _LANGUAGE), normalise(transcription.text, _LANGUAGE))
    return f"{100 * count.rate:.1f} % ({transcription.text.strip()!r})"
