"""A sweep: runs that differ in some options, trained on the same rows and compared.

The seeds of a variant are runs of their own, so that a difference between variants can be compared with that between
seeds. A sweep that is started again continues with the first run that is not finished.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import flow

from flows.parameters import EvaluateParameters, SweepParameters, SweepRun, TrainParameters
from flows.runtime.artifacts import publish_report
from flows.runtime.notices import notify
from flows.runtime.where import call
from flows.training.train import train
from valle.data_root import DataRoot
from valle.reporting import Plot, Report, markdown_rows, write_text
from valle.statistics.runs import plot_runs
from warehouse.catalogue.views import connect, named_query, run_query

# Columns of the table of variants, those of the named query `runs`.
_COLUMNS = ("parameters", "tokens", "dev_loss", "dev_loss_ar", "dev_loss_nar", "tokens_per_second", "wer", "sim_o")


@flow(name="sweep", flow_run_name="sweep {parameters.name}")
def sweep(parameters: SweepParameters) -> Report:
    """Train every variant with every seed, and report loss, error rate, similarity and cost side by side."""
    runs = parameters.runs()
    for number, run in enumerate(runs, 1):
        notify("sweep %s: run %d of %d, %s", parameters.name, number, len(runs), run.name)
        call(
            train,
            TrainParameters(
                data=parameters.data,
                training_set=parameters.training_set,
                run=run.name,
                options=run.options,
                evaluate=False,
            ),
        )
        if parameters.evaluate:
            # Loaded by the sweeps that evaluate: it brings every metric model's module.
            from flows.evaluate import evaluate

            call(evaluate, EvaluateParameters(data=parameters.data, run=run.name, count=parameters.count))
    return _report(parameters, runs)


def _report(parameters: SweepParameters, runs: Sequence[SweepRun]) -> Report:
    root = parameters.data_root
    folder = root.reports / f"sweep-{parameters.name}"
    rows = _rows(root, runs)
    plots = [
        plot_runs({run.name: root.runs / run.name for run in runs}, folder / f"{field}.png", x="tokens", fields=[field])
        for field in ("loss", "dev_loss")
        if all(field in row for row in rows.values()) or field == "loss"
    ]
    markdown = folder / "report.md"
    write_text(markdown, format_sweep(parameters, runs, rows, plots))
    publish_report(f"sweep {parameters.name}", markdown, [plot.path for plot in plots])
    return Report(markdown, tuple(plots), summary=f"{parameters.name}: {len(runs)} runs, {markdown}")


def _rows(root: DataRoot, runs: Sequence[SweepRun]) -> dict[str, Mapping[str, Any]]:
    """Return the newest checkpoint of each run with its metrics and scores, by the name of the run."""
    with connect(root.lake.snapshot(), tables_only=True) as connection:
        rows = run_query(connection, named_query("runs").sql).to_pylist()
    names = {run.name for run in runs}
    return {row["run_id"]: row for row in rows if row["run_id"] in names}


def format_sweep(
    parameters: SweepParameters,
    runs: Sequence[SweepRun],
    rows: Mapping[str, Mapping[str, Any]],
    plots: Sequence[Plot],
) -> str:
    """Format the report: means over seeds with their range by variant, and every run."""
    by_variant: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_variant.setdefault(run.variant, []).append(rows[run.name])
    columns = [column for column in _COLUMNS if any(row[column] is not None for row in rows.values())]
    variants = [[variant, *(_spread(group, column) for column in columns)] for variant, group in by_variant.items()]
    single = [[run.name, *(rows[run.name][column] for column in columns)] for run in runs]
    numeric = [False, *(True for _ in columns)]
    pictures = "\n\n".join(f"![{plot.caption}]({Path(plot.path).name})" for plot in plots)
    names = [name.replace("_", " ") for name in columns]
    return (
        f"# Sweep {parameters.name}\n\n{len(by_variant)} variants on {parameters.training_set}, "
        f"seeds {', '.join(map(str, parameters.seeds))}: mean, and the smallest and largest of the seeds.\n\n"
        f"{markdown_rows(['variant', *names], variants, numeric=numeric)}\n\n{pictures}\n\n## Runs\n\n"
        f"{markdown_rows(['run', *names], single, numeric=numeric)}\n"
    )


def _spread(rows: Sequence[Mapping[str, Any]], column: str) -> str:
    values = [float(row[column]) for row in rows if row[column] is not None]
    if not values:
        return "-"
    mean, smallest, largest = (_number(value) for value in (statistics.fmean(values), min(values), max(values)))
    return mean if smallest == largest else f"{mean} [{smallest}, {largest}]"


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
