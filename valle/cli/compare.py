"""`valle evaluate compare A B`: the difference between two systems of the lake, in one sentence."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import FIELDS, say
from valle.data_root import open_data_root
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.compare import StoredComparison, compare_stored


class CompareOptions(BaseModel):
    """Options of `valle evaluate compare`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    normaliser: str | None = None
    """Text normaliser; by default one under which both are stored."""
    format: Literal["text", "json"] = "text"
    """One sentence, or everything that was computed; rates in JSON are fractions."""
    replicas: int = Field(default=10_000, ge=100, le=10_000_000)
    """Replicas of the bootstrap."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the bootstrap."""


def compare(
    a: Annotated[str, Parameter(help="The system in question.")],
    b: Annotated[str, Parameter(help="The system that it is compared to.")],
    /,
    *,
    options: Annotated[CompareOptions, FIELDS] = CompareOptions(),
) -> int:
    """Compare two systems of the lake, paired on the same utterances and trials.

    A system is `EVALUATION:SYSTEM`; the evaluation alone if it has one model, the system alone if it is in one only.
    """
    result = compare_stored(
        a,
        b,
        open_data_root(options.data).lake,
        normaliser=options.normaliser,
        options=BootstrapOptions(replicas=options.replicas, seed=options.seed),
    )
    say(_as_json(result) if options.format == "json" else result.sentence)
    return 0


def _as_json(result: StoredComparison) -> str:
    verdicts = {
        "wer": result.paired.wer_verdict,
        "wer_macro": result.paired.wer_macro_verdict,
        "sim_o": result.paired.sim_verdict,
    }
    return json.dumps(dataclasses.asdict(result) | {"verdicts": verdicts}, indent=2)
