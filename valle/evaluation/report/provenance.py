"""Where a number comes from, in one line: without it nobody can make the number again."""

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.fingerprints import short_hash
from warehouse.rows import ScoreRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the scores of one system have in common. `items` is the hash of the list of what was spoken."""

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

    def describe(self, judge: str) -> str:
        """One line for a number that `judge` (`asr`, `speaker`, `quality` or `none`) had a say in."""
        judges = {
            "asr": [f"ASR {self.asr_model}", f"normaliser {self.normaliser}"],
            "speaker": [f"speaker encoder {self.speaker_model}"],
            "quality": [f"opinion of {self.quality_model}"],
            "none": [],
        }[judge]
        where = [f"checkpoint {self.checkpoint_id}"] if self.checkpoint_id else [f"system {self.system}"]
        return "; ".join(
            [
                *judges,
                *where,
                f"evaluation {self.evaluation}",
                f"{self.num_items} items {self.items} under {self.protocol}, trials: {self.trials}",
                f"scored {self.scored_at}",
            ]
        )


def items_hash(rows: Sequence[ScoreRow]) -> str:
    """Hash of the list that the rows were made from: protocol, utterances and prompts, whatever the trials.

    The one that was stored when the list was resolved, or where there is none that of the rows themselves.
    """
    stored = {row.items_hash for row in rows}
    if len(stored) == 1 and (known := next(iter(stored))) is not None:
        return known
    asked = sorted({(row.protocol, row.utterance, row.prompt or "") for row in rows})
    return short_hash("\n".join("\t".join(item) for item in asked))[:12]


def provenance_of(rows: Sequence[ScoreRow]) -> Provenance:
    """Where the scores of one system under one normaliser come from."""
    first = rows[0]
    return Provenance(
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
        quality_model=", ".join(sorted({row.quality_model for row in rows if row.quality_model})) or "nobody",
        scored_at=max(row.scored_at for row in rows).strftime("%Y-%m-%d %H:%M:%S UTC"),
    )
