"""Describe the origin of a score in one line, so that it can be reproduced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from warehouse.fingerprints import short_hash
from warehouse.model_rows import ScoreRow

MetricModel = Literal["asr", "speaker", "quality", "none"]
"""The kind of model that a number depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreProvenance:
    """Fields that the scores of one system share. `items` is the hash of the list of items."""

    system: str
    checkpoint_id: str | None
    evaluation: str
    protocol: str
    items: str
    num_items: int
    trials: int
    normaliser: str
    asr_model: str
    speaker_model: str
    quality_model: str
    scored_at: str

    def describe(self, model: MetricModel) -> str:
        """Return one line for a number that depends on a kind of metric model."""
        models = {
            "asr": [f"ASR {self.asr_model}", f"normaliser {self.normaliser}"],
            "speaker": [f"speaker encoder {self.speaker_model}"],
            "quality": [f"quality score of {self.quality_model}"],
            "none": [],
        }[model]
        system = [f"checkpoint {self.checkpoint_id}"] if self.checkpoint_id else [f"system {self.system}"]
        return "; ".join(
            [
                *models,
                *system,
                f"evaluation {self.evaluation}",
                f"{self.num_items} items {self.items} under {self.protocol}, trials: {self.trials}",
                f"scored {self.scored_at}",
            ]
        )


def items_hash(rows: Sequence[ScoreRow]) -> str:
    """Return the hash of the list of items of the rows.

    It is the hash stored when the list was resolved, or, in rows without one, a hash over protocol, utterances and
    prompts of the rows, which ignores trials.
    """
    # Rows of early lakes and external tables have no stored hash.
    stored = {row.items_hash for row in rows}
    if len(stored) == 1 and (known := next(iter(stored))) is not None:
        return known
    listed = sorted({(row.protocol, row.utterance, row.prompt or "") for row in rows})
    return short_hash("\n".join("\t".join(item) for item in listed))[:12]


def provenance_of(rows: Sequence[ScoreRow]) -> ScoreProvenance:
    """Return the origin of the scores of one system under one normaliser."""
    first = rows[0]
    return ScoreProvenance(
        system=first.system,
        checkpoint_id=first.checkpoint_id,
        evaluation=first.evaluation,
        protocol=first.protocol,
        items=items_hash(rows),
        num_items=len({row.utterance for row in rows}),
        trials=len({row.trial for row in rows}),
        normaliser=first.normaliser,
        asr_model=first.asr_model,
        speaker_model=first.speaker_model,
        quality_model=", ".join(sorted({row.quality_model for row in rows if row.quality_model})) or "none",
        scored_at=max(row.scored_at for row in rows).strftime("%Y-%m-%d %H:%M:%S UTC"),
    )
