"""`valle evaluate compare A B`: the verdict on two systems of the lake, in words."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg

from valle.cli.arguments import parse, say
from valle.data_root import open_data_root
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.compare import StoredComparison, compare_stored


class CompareOptions(BaseModel):
    """Compare two systems of the lake, paired on the same utterances and trials.

    A system is `EVALUATION:SYSTEM`; the evaluation alone if it has one model, the system alone if it is in one only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    a: CliPositionalArg[str]
    """The system that is judged."""
    b: CliPositionalArg[str]
    """The system that it is compared with."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    normaliser: str | None = None
    """Text normaliser; by default one under which both are stored."""
    format: Literal["text", "json"] = "text"
    """One sentence, or everything that was computed; rates in JSON are fractions."""
    replicas: int = Field(default=10_000, ge=100)
    """Replicas of the bootstrap."""
    seed: int = 0
    """Seed of the bootstrap."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Print the verdict."""
    options = parse(CompareOptions, command, arguments)
    result = compare_stored(
        options.a,
        options.b,
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
