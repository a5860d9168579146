"""`valle evaluate aggregate FILE [FILE]`: scores of a table of transcripts, and the paired difference of two."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import FIELDS, say
from valle.evaluation.metrics.external import read_transcripts
from valle.evaluation.stats.aggregate import Clustering, Comparison, SystemScores, Verdict, compare
from valle.evaluation.stats.aggregate import aggregate as aggregate_rows
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, PairedDifference
from valle.text.normalise import DEFAULT_NORMALISER, get_normaliser
from warehouse.errors import ConfigurationError


class AggregateOptions(BaseModel):
    """Options of `valle evaluate aggregate`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    normaliser: str = DEFAULT_NORMALISER
    """Text normaliser that both texts go through."""
    language: str = "en"
    """ISO 639-1 code of the texts."""
    format: Literal["table", "json"] = "table"
    """Format of the scores; rates in JSON are fractions."""
    clustering: Clustering = "speaker"
    """Unit of the bootstrap: speakers, or single lines."""
    replicas: int = Field(default=10_000, ge=100, le=10_000_000)
    """Replicas of the bootstrap."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the bootstrap."""


def aggregate(
    *files: Annotated[Path, Parameter(help="One table, or two to compare.")],
    options: Annotated[AggregateOptions, FIELDS] = AggregateOptions(),
) -> int:
    """Score one table of transcripts, or two and compare them.

    A table is tab-separated text, gzipped or not, with the columns utterance, trial, reference, hypothesis, sim_o.
    """
    if len(files) not in (1, 2):
        raise ConfigurationError("Give one file to score or two to compare.")
    normaliser = get_normaliser(options.normaliser)
    bootstrap = BootstrapOptions(replicas=options.replicas, seed=options.seed)
    tables = [read_transcripts(path, normaliser, language=options.language) for path in files]
    systems = [aggregate_rows(table.rows, options=bootstrap, clustering=options.clustering)[0] for table in tables]
    paired = (
        compare(*(table.rows for table in tables), options=bootstrap, clustering=options.clustering)
        if len(tables) == 2
        else None
    )
    excluded = {str(path): table.excluded for path, table in zip(files, tables, strict=True) if table.excluded}
    if options.format == "json":
        say(_as_json(systems, paired, options, excluded))
    else:
        say(_as_text(systems, paired, options, excluded))
    return 0


def _interval(estimate: Estimate | PairedDifference) -> list[float] | None:
    return None if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]


def _rate(micro: Estimate, macro: Estimate) -> dict[str, Any]:
    return {
        "micro": micro.value,
        "macro": macro.value,
        "interval": _interval(micro),
        "macro_interval": _interval(macro),
    }


def _mean(estimate: Estimate | None) -> dict[str, Any] | None:
    """Return a mean in the shape of a rate, so that all metrics are read alike: it is both micro and macro."""
    return None if estimate is None else {"mean": estimate.value} | _rate(estimate, estimate)


def _scores(system: SystemScores) -> dict[str, Any]:
    return {
        "system": system.system,
        "normaliser": system.normaliser,
        "wer": _rate(system.wer, system.wer_macro),
        "cer": _rate(system.cer, system.cer_macro),
        "ser": _mean(system.sentence_error),
        "catastrophic": _mean(system.catastrophic),
        "sim_o": _mean(system.sim_o),
        "lines": system.num_scores,
        "missing": system.num_missing,
        "speakers": system.num_speakers,
        "words": system.num_words,
    }


def _difference(paired: PairedDifference, verdict: Verdict, *, lower_is_better: bool) -> dict[str, Any]:
    return {
        "delta": paired.difference,
        "interval": _interval(paired),
        "probability_of_improvement": paired.probability if lower_is_better else 1 - paired.probability,
        "verdict": verdict,
    }


def _paired(paired: Comparison) -> dict[str, Any]:
    sim = paired.sim_o
    return {
        "a": paired.system_a,
        "b": paired.system_b,
        "pairs": paired.num_pairs,
        "wer": {
            "micro": _difference(paired.wer, paired.wer_verdict, lower_is_better=True),
            "macro": _difference(paired.wer_macro, paired.wer_macro_verdict, lower_is_better=True),
        },
        "sim_o": None if sim is None else _difference(sim, paired.sim_verdict, lower_is_better=False),
    }


def _as_json(
    systems: Sequence[SystemScores],
    paired: Comparison | None,
    options: AggregateOptions,
    excluded: Mapping[str, Sequence[str]],
) -> str:
    bootstrap = {"clustering": options.clustering, "replicas": options.replicas, "seed": options.seed}
    common = {"bootstrap": bootstrap} | ({"excluded": dict(excluded)} if excluded else {})
    if paired is None:
        return json.dumps(_scores(systems[0]) | common, indent=2)
    content = {"systems": [_scores(system) for system in systems], "paired": _paired(paired)}
    return json.dumps(content | common, indent=2)


def _text(estimate: Estimate | None, factor: float, decimals: int) -> str:
    if estimate is None:
        return "not measured"
    interval = _interval(estimate)
    value = f"{factor * estimate.value:.{decimals}f}"
    if interval is None:
        return value
    return f"{value} [{factor * interval[0]:.{decimals}f}, {factor * interval[1]:.{decimals}f}]"


def _as_text(
    systems: Sequence[SystemScores],
    paired: Comparison | None,
    options: AggregateOptions,
    excluded: Mapping[str, Sequence[str]],
) -> str:
    lines = []
    for system in systems:
        lines += [
            f"{system.system} ({system.normaliser})",
            f"  WER % micro       {_text(system.wer, 100, 2)}",
            f"  WER % macro       {_text(system.wer_macro, 100, 2)}",
            f"  CER % micro       {_text(system.cer, 100, 2)}",
            f"  lines with errors {_text(system.sentence_error, 100, 2)} %",
            f"  lines above 50 %  {_text(system.catastrophic, 100, 2)} %",
            f"  SIM-o             {_text(system.sim_o, 1, 3)}",
            f"  {system.num_scores} lines, {system.num_missing} missing, {system.num_speakers} speakers, "
            f"{system.num_words} words",
        ]
    if paired is not None:
        lines += [f"{paired.system_a} against {paired.system_b} on {paired.num_pairs} lines"]
        lines += [
            f"  WER micro  {_sentence(paired.wer, paired.wer_verdict, 100, 2)}",
            f"  WER macro  {_sentence(paired.wer_macro, paired.wer_macro_verdict, 100, 2)}",
        ]
        if paired.sim_o is not None:
            lines.append(f"  SIM-o      {_sentence(paired.sim_o, paired.sim_verdict, 1, 3)}")
    lines += [
        f"Excluded from {path}, because no word of their reference is left: {'; '.join(names)}."
        for path, names in excluded.items()
    ]
    lines.append(f"In brackets: 95 % intervals, bootstrap by {options.clustering}, {options.replicas:,} replicas.")
    return "\n".join(lines)


def _sentence(paired: PairedDifference, verdict: Verdict, factor: float, decimals: int) -> str:
    interval = _interval(paired)
    bounds = (
        "" if interval is None else f" [{factor * interval[0]:+.{decimals}f}, {factor * interval[1]:+.{decimals}f}]"
    )
    return f"{factor * paired.difference:+.{decimals}f}{bounds}: {verdict}"
