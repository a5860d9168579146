"""Plan an evaluation: system, items, metric models, and the name that identifies all of them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from valle.data.selection.curated import place_cuts
from valle.data.selection.cut_list import named, read_cut_list
from valle.data.selection.training_set import load_training_set
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import choose_items
from valle.evaluation.metrics.models import MetricModels
from valle.evaluation.metrics.score import has_words
from valle.evaluation.systems.base import System
from valle.evaluation.systems.control_speech import Decoders
from valle.stages.transcribe import Transcribe
from warehouse.catalogue.views import check_expression, connect, run_query, run_select
from warehouse.errors import ConfigurationError, TrainingError
from warehouse.fingerprints import short_hash

if TYPE_CHECKING:
    from valle.data_root import DataRoot

# Upper limit on the number of utterances where no count is given.
_DEFAULT_COUNT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """One evaluation. `name` identifies system, items, codec and metric models by their content.

    Equal names mean equal scores. `controls` names the speech of the controls, which depends on items and codec only.
    `excluded` are the utterances of the list without a word under the normaliser; they are not in `items`.
    """

    name: str
    controls: str
    items: ItemList
    system: System
    models: MetricModels
    decoders: Decoders
    excluded: tuple[str, ...] = ()

    def speech(self, data_root: DataRoot) -> tuple[Path, Path]:
        """Return the folders of the system's speech and of the controls'."""
        return data_root.speech / self.name, data_root.speech / self.controls


def plan_evaluation(items: ItemList, system: System, *, models: MetricModels, decoders: Decoders) -> EvaluationPlan:
    """Plan an evaluation. Raise ConfigurationError when the normaliser leaves no word of any text."""
    kept, excluded = _split_by_words(items, models.normaliser)
    # The weights of an ASR model do not determine its decoding; the version of the stage does.
    metrics = json.dumps(models.revisions | {"transcription": Transcribe.version}, sort_keys=True)
    key = short_hash("\n".join((system.name, system.identity, kept.hash, decoders.identity, metrics)))[:8]
    return EvaluationPlan(
        name=_corpus_name(f"evaluation-{system.name}-{kept.hash}-{key}"),
        controls=_corpus_name(f"controls-{kept.hash}-{short_hash(decoders.identity)[:8]}"),
        items=kept,
        system=system,
        models=models,
        decoders=decoders,
        excluded=excluded,
    )


def _split_by_words(items: ItemList, normaliser: str) -> tuple[ItemList, tuple[str, ...]]:
    """Split off the utterances whose error rate is undefined, because their text normalises to nothing."""
    kept = tuple(item for item in items.items if has_words(item, normaliser))
    if not kept:
        raise ConfigurationError(
            f"The normaliser {normaliser} leaves no word of any of the {len(items.items)} texts; choose another one."
        )
    # The unchanged list has its hash computed already.
    if len(kept) == len(items.items):
        return items, ()
    names = {item.utterance for item in items.items} - {item.utterance for item in kept}
    return dataclasses.replace(items, items=kept), tuple(sorted(names))


def _corpus_name(text: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", text.lower())


def items_of_cuts(data_root: DataRoot, cuts: Sequence[Path], *, count: int | None, trials: int, seed: int) -> ItemList:
    """Choose `count` utterances among the cuts of Lhotse CutSets; None chooses all that have a prompt.

    The prompt of an utterance is another cut of its speaker. Raise TrainingError for cuts outside the lake, and
    ConfigurationError for parts of utterances and when fewer than `count` have a prompt.
    """
    listed = read_cut_list(cuts)
    with connect(data_root.lake.snapshot()) as connection:
        placed = place_cuts(listed, connection)
        parts = [found.cut.id for found in placed if found.offset is not None]
        if parts:
            raise ConfigurationError(f"{named(parts)} parts of utterances; evaluate whole ones.")
        connection.register("cuts", pa.table({"segment_id": [found.segment_id for found in placed]}))
        rows = run_query(connection, "SELECT * FROM utterances SEMI JOIN cuts USING (segment_id) ORDER BY segment_id")
    items = choose_items(rows, count=count or rows.num_rows, seed=seed, trials=trials, allow_fewer=count is None)
    source = f"cuts {', '.join(path.name for path in cuts)}, seed {seed}"
    return ItemList(protocol=items[0].protocol, source=source, items=tuple(items))


def items_of_training_set(
    data_root: DataRoot, name: str, *, where: str, count: int | None, trials: int, seed: int
) -> ItemList:
    """Choose `count` utterances of a training set that satisfy `where`, an SQL condition on its items.

    None chooses all that have a prompt, up to 20. Raise TrainingError when nothing satisfies `where`, and
    ConfigurationError when fewer than `count` have a prompt.
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
        rows, count=min(count or _DEFAULT_COUNT, rows.num_rows), seed=seed, trials=trials, allow_fewer=count is None
    )
    source = f"training set {training_set.card.id}, items where {where}, seed {seed}"
    return ItemList(protocol=items[0].protocol, source=source, items=tuple(items))
