"""What an evaluation is to do: which system speaks which items, who judges, and the name that identifies all of it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from valle.backends.asr import transcriber_revision
from valle.backends.quality import quality_scorer_revision
from valle.backends.speaker import speaker_encoder_revision
from valle.data.selection.training_set import load_training_set
from valle.data_root import DataRoot
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import choose_items
from valle.evaluation.metrics.score import normalised_reference
from valle.evaluation.systems.base import System
from valle.evaluation.systems.control_speech import Decoders
from valle.phonemes import phonemizer_revision
from valle.stages.transcribe import Transcribe
from valle.text.normalise import get_normaliser
from warehouse.catalogue.views import check_expression, connect, run_select
from warehouse.errors import DependencyError, TrainingError
from warehouse.fingerprints import short_hash

_OPTIONAL_SCORERS = ("distillmos",)
_MOST_UNASKED = 20  # utterances, where no count is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The models that listen, by name."""

    asr: str = "tiny.en"
    speaker_encoder: str = "resemblyzer"
    scorers: tuple[str, ...] = ("dnsmos",)
    normaliser: str = "valle-en"
    phonemizer: str = "espeak"

    @property
    def revisions(self) -> dict[str, str]:
        """Every model with the hash of its weights. Raises DependencyError for one that is not installed."""
        return {
            "ASR": transcriber_revision(self.asr),
            "speaker encoder": speaker_encoder_revision(self.speaker_encoder),
            "naturalness": "+".join(quality_scorer_revision(name) for name in self.scorers) or "not asked",
            "normaliser": get_normaliser(self.normaliser).label,
            "phonemizer": phonemizer_revision(self.phonemizer),
        }


def available_scorers(names: tuple[str, ...]) -> tuple[str, ...]:
    """The scorers without the optional ones that are not installed."""

    def is_there(name: str) -> bool:
        try:
            quality_scorer_revision(name)
        except DependencyError:
            if name not in _OPTIONAL_SCORERS:
                raise
            return False
        return True

    return tuple(name for name in names if is_there(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """One evaluation. `name` identifies system, items, codec and judges, by their content: equal names, equal scores.

    `controls` names the speech of the control rows, which depends on items and codec only.
    """

    name: str
    controls: str
    items: ItemList
    system: System
    judges: Judges
    decoders: Decoders

    def speech(self, data_root: DataRoot) -> tuple[Path, Path]:
        """The folders of the system's speech and of the controls'."""
        return data_root.speech / self.name, data_root.speech / self.controls


def plan_evaluation(items: ItemList, system: System, *, judges: Judges, decoders: Decoders) -> EvaluationPlan:
    """Put an evaluation together.

    Raises ConfigurationError when the normaliser leaves no word of a text: better now than after all speech is made.
    """
    normaliser = get_normaliser(judges.normaliser)
    for item in items.items:
        normalised_reference(item, normaliser)
    # The weights of an ASR do not say how it is decoded; the stage does.
    judged = json.dumps(judges.revisions | {"transcription": Transcribe.version}, sort_keys=True)
    key = short_hash("\n".join((system.name, system.identity, items.hash, decoders.identity, judged)))[:8]
    return EvaluationPlan(
        name=_corpus_name(f"evaluation-{system.name}-{items.hash}-{key}"),
        controls=_corpus_name(f"controls-{items.hash}-{short_hash(decoders.identity)[:8]}"),
        items=items,
        system=system,
        judges=judges,
        decoders=decoders,
    )


def _corpus_name(text: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", text.lower())


def items_of_training_set(
    data_root: DataRoot, name: str, *, where: str, count: int | None, trials: int, seed: int
) -> ItemList:
    """`count` utterances of a training set that satisfy `where` (SQL on its items, joined with utterances).

    None takes what there is, up to 20. Raises TrainingError when nothing satisfies `where`, and ConfigurationError when
    fewer than `count` have a prompt.
    """
    training_set = load_training_set(data_root.training_sets / name)
    with connect(data_root.lake.snapshot()) as connection:
        connection.register("items", training_set.items)
        rows = run_select(
            connection,
            f"WITH chosen AS (SELECT segment_id FROM items WHERE ({check_expression(where, option='where')})) "
            "SELECT * FROM utterances WHERE segment_id IN (SELECT segment_id FROM chosen) ORDER BY segment_id",
            lake=data_root.lake,
        )
    if rows.num_rows == 0:
        splits = ", ".join(f"{count} in {split}" for split, count in training_set.card.utterances.items())
        raise TrainingError(f"No utterance of {training_set.card.id} satisfies {where!r}; it has {splits}.")
    items = choose_items(
        rows, count=min(count or _MOST_UNASKED, rows.num_rows), seed=seed, trials=trials, fewer_will_do=count is None
    )
    source = f"training set {training_set.card.id}, items where {where}, seed {seed}"
    return ItemList(protocol=items[0].protocol, source=source, items=tuple(items))
