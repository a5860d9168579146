"""Facts of the data root about a checkpoint, for its model card: the training set, and scores with intervals."""

import duckdb

from valle.checkpoints.checkpoint import CheckpointCard
from valle.data.selection.training_set import TrainingSetCard, load_training_set
from valle.data_root import DataRoot
from valle.evaluation.stats.aggregate import SystemScores, aggregate
from warehouse.catalogue.views import connect
from warehouse.errors import PipelineError
from warehouse.lake.arrow import from_table
from warehouse.model_rows import ScoreRow


def training_set_of(card: CheckpointCard, root: DataRoot) -> TrainingSetCard | None:
    """Return the card of the training set of a checkpoint, if it is in the data root."""
    folders = sorted(root.training_sets.glob("*/set.json"))
    cards = (load_training_set(folder.parent).card for folder in folders)
    return next((found for found in cards if found.id == card.training_set), None)


def scores_of(card: CheckpointCard, root: DataRoot) -> list[SystemScores]:
    """Return the scores of a checkpoint by evaluation; none for a lake without any."""
    try:
        with connect(root.lake.snapshot(tables=[ScoreRow.table]), tables_only=True) as connection:
            found = connection.execute("SELECT * FROM scores WHERE checkpoint_id = ?", [card.checkpoint_id])
            rows = list(from_table(ScoreRow, found.to_arrow_table()))
    except (PipelineError, duckdb.Error):
        return []
    return aggregate(rows)
