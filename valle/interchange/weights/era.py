"""The choice of the era of imported weights by the loss of a sentence at levels 2 and up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from valle.model.batch import make_batch
from valle.model.layout import Ints, Mode
from valle.model.loss import sequence_loss
from valle.tasks.tts import TTS

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.interchange.weights.description import Era
    from valle.model.valle import ValleModel

FIRST_LEVEL = 2
"""The first codebook whose sums differ between the eras."""


@dataclass(frozen=True, slots=True)
class RecordedSentence:
    """A recorded sentence: phoneme ids, language id and codes [K, T]."""

    symbol_ids: Ints
    language_id: int
    codes: Codes


@dataclass(frozen=True, slots=True)
class EraChoice:
    """An era, and one sentence with the reason."""

    era: Era
    reason: str


@torch.inference_mode()
def upper_loss(model: ValleModel, sentence: RecordedSentence) -> float:
    """Compute the mean loss of codebooks 2 and up of a sentence, in nats; the first half of it is the prompt."""
    half = sentence.codes.shape[1] // 2
    prompt, target = sentence.codes[:, :half], sentence.codes[:, half:]
    codebooks = range(FIRST_LEVEL, model.config.num_codebooks)
    rows = [
        TTS.row(sentence.symbol_ids, sentence.language_id, codebook, prompt, target[: codebook + 1])
        for codebook in codebooks
    ]
    batch = make_batch(TTS.layout(Mode.NAR), rows, model.config)
    return float(sequence_loss(model(batch), batch).total) / batch.num_labels


def choose_era(losses: dict[Era, float]) -> EraChoice:
    """Choose the era with the smaller loss."""
    best, other = sorted(losses, key=lambda era: losses[era])
    reason = (
        f"levels 2 and up of the sentence have a loss of {losses[best]:.3f} nats by the sums of {best}, and of "
        f"{losses[other]:.3f} by those of {other}"
    )
    return EraChoice(best, reason)
