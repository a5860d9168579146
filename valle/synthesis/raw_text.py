"""Speak a text from its bytes, without any phonemizer, by a checkpoint that has learnt it."""

import time

import numpy as np

from valle.audio import Audio
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.learnt import require_task
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Prompt, Speech, Synthesizer
from valle.tasks.spelling import RAW_TEXT, text_bytes
from warehouse.errors import ConfigurationError


def speak_raw(
    synthesizer: Synthesizer, text: str, prompt: Prompt | None, options: SamplingOptions, *, language: str = "en"
) -> Speech:
    """Speak a text of one sentence.

    Raises CheckpointError for a checkpoint that has not learnt it, and ConfigurationError for an empty text.
    """
    require_task(synthesizer.card, RAW_TEXT.name, purpose="speak without phonemes", option="raw_text_ratio")
    text = " ".join(text.split())
    if not text:
        raise ConfigurationError("There is nothing to say: the text is empty.")
    started, config = time.monotonic(), synthesizer.card.model
    if options.decoding == "nar-len" and options.seconds is None:
        # Lengths are predicted from phonemes; a byte lasts about as long as a symbol.
        seconds = len(text_bytes(text)) * config.text_stride / config.frame_rate
        options = options.model_copy(update={"seconds": min(seconds, options.max_seconds)})
    condition = Condition(
        symbol_ids=np.zeros(0, dtype=np.int64),
        language_id=config.language_id(language),
        prompt=None if prompt is None else prompt.codes,
        prefix=np.zeros((config.num_codebooks, 0), dtype=np.int16),
        task=RAW_TEXT,
        context=RAW_TEXT.context(text),
    )
    (decoded,) = decode(synthesizer.model, [condition], [options])
    empty = np.zeros(0, dtype=np.float32)
    samples = synthesizer.codec.decode([decoded.codes])[0] if decoded.codes.shape[1] else empty
    audio = Audio(samples, synthesizer.codec.spec.sample_rate)
    return Speech(decoded.codes, audio, decoded.is_complete, time.monotonic() - started)
