"""Options of the selection of a training set."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from valle.data.selection.splits import SplitPolicy


class Selection(BaseModel):
    """Name, conditions and splits of a training set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the set; each name is used once."""
    where: str = "true"
    """SQL condition on the view `utterances`."""
    weight: str = "1.0"
    """SQL expression for the sampling weight of an utterance."""
    cuts: tuple[Path, ...] = ()
    """Files of a Lhotse CutSet (.jsonl.gz): the set is those cuts, with the splits and weights that they declare."""
    split_policy: SplitPolicy = SplitPolicy()
    """Division into train, dev and test."""
    allow_bad: bool = False
    """Use utterances whose last review is `bad`, too."""
    allow_evaluation_items: bool = False
    """Train on audio that evaluations have used; their scores are then invalid for the model."""
