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
from valle.checkpoints.runs import newest_checkpoint, read_content
from valle.data_root import DataRoot
from valle.reporting import Plot, Report, markdown_rows, write_text
from valle.statistics.runs import plot_runs
from warehouse.catalogue.views import connect, named_query, run_query

# Columns of the table of variants, those of the named query `runs` and what is measured here.
_COLUMNS = (
    "parameters",
    "tokens",
    "dev_loss",
    "difference",
    "dev_loss_ar",
    "dev_loss_nar_len",
    "dev_loss_nar",
    "tokens_per_second",
    "frames_per_second",
    "megabytes_kept",
    "wer",
    "sim_o",
)
_Row = dict[str, Any]


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
    if parameters.decode_frames:
        _add_decoding(root, runs, rows, parameters.decode_frames)
    plots = [
        plot_runs({run.name: root.runs / run.name for run in runs}, folder / f"{field}.png", x="tokens", fields=[field])
        for field in ("loss", "dev_loss")
        if all(row.get(field) is not None for row in rows.values()) or field == "loss"
    ]
    markdown = folder / "report.md"
    write_text(markdown, format_sweep(parameters, runs, rows, plots))
    publish_report(f"sweep {parameters.name}", markdown, [plot.path for plot in plots])
    return Report(markdown, tuple(plots), summary=f"{parameters.name}: {len(runs)} runs, {markdown}")


def _rows(root: DataRoot, runs: Sequence[SweepRun]) -> dict[str, _Row]:
    """Return the newest checkpoint of each run with its metrics and scores, by the name of the run."""
    with connect(root.lake.snapshot(), tables_only=True) as connection:
        rows = run_query(connection, named_query("runs").sql).to_pylist()
    names = {run.name for run in runs}
    found = {row["run_id"]: row for row in rows if row["run_id"] in names}
    for name, row in found.items():
        metrics = read_content(newest_checkpoint(root.runs, name))["metrics"]
        row["by_codebook"] = metrics.get("dev_loss_nar_by_codebook", {})
    return found


def _add_decoding(root: DataRoot, runs: Sequence[SweepRun], rows: Mapping[str, _Row], frames: int) -> None:
    """Measure the decoding of the first run of each variant; its other seeds have the same shapes."""
    # Torch is loaded by the process that trains, and by this measurement.
    from valle.checkpoints.checkpoint import load_model
    from valle.synthesis.decoding.cost import measure_decoding

    first = {run.variant: run.name for run in reversed(runs)}
    for name in first.values():
        cost = measure_decoding(load_model(newest_checkpoint(root.runs, name))[0], frames)
        rows[name] |= {"frames_per_second": cost.frames_per_second, "megabytes_kept": cost.num_bytes / 1e6}


def format_sweep(
    parameters: SweepParameters, runs: Sequence[SweepRun], rows: Mapping[str, _Row], plots: Sequence[Plot]
) -> str:
    """Format the report: means over seeds with their range by variant, losses by codebook, and every run."""
    base = next(iter(parameters.variants))
    compared = _with_differences(runs, rows, base)
    by_variant: dict[str, list[_Row]] = {}
    for run in runs:
        by_variant.setdefault(run.variant, []).append(compared[run.name])
    columns = [column for column in _COLUMNS if any(row.get(column) is not None for row in compared.values())]
    variants = [[variant, *(_spread(group, column) for column in columns)] for variant, group in by_variant.items()]
    shown = [column for column in columns if column != "difference"]
    single = [[run.name, *(compared[run.name].get(column) for column in shown)] for run in runs]
    pictures = "\n\n".join(f"![{plot.caption}]({Path(plot.path).name})" for plot in plots)
    decoding = (
        f" Frames a CPU second and memory are those of the AR over {parameters.decode_frames:,} frames of one run."
        if parameters.decode_frames
        else ""
    )
    return (
        f"# Sweep {parameters.name}\n\n{len(by_variant)} variants on {parameters.training_set}, "
        f"seeds {', '.join(map(str, parameters.seeds))}: mean, and the smallest and largest of the seeds. The "
        f"difference is that of the dev loss to {base} with the same seed.{decoding}\n\n"
        f"{_table('variant', columns, variants)}\n\n{_codebooks(by_variant)}{pictures}\n\n## Runs\n\n"
        f"{_table('run', shown, single)}\n"
    )


def _with_differences(runs: Sequence[SweepRun], rows: Mapping[str, _Row], base: str) -> dict[str, _Row]:
    """Return the rows with the difference of their dev loss to that of the base with the same seed."""
    losses = {run.options.seed: rows[run.name].get("dev_loss") for run in runs if run.variant == base}
    compared = {}
    for run in runs:
        loss, other = rows[run.name].get("dev_loss"), losses[run.options.seed]
        difference = None if run.variant == base or loss is None or other is None else loss - other
        compared[run.name] = {**rows[run.name], "difference": difference}
    return compared


def _codebooks(by_variant: Mapping[str, Sequence[_Row]]) -> str:
    """Format the dev loss of the NAR by codebook and variant; nothing where no run has it."""
    found = {number for group in by_variant.values() for row in group for number in row.get("by_codebook", {})}
    if not found:
        return ""
    numbers = sorted(found, key=int)
    table = [
        [variant, *(_spread([row.get("by_codebook", {}) for row in group], number) for number in numbers)]
        for variant, group in by_variant.items()
    ]
    names = [f"codebook {number}" for number in numbers]
    return f"## Dev loss of the NAR by codebook\n\n{_table('variant', names, table)}\n\n"


def _table(first: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    names = [name.replace("_", " ") for name in columns]
    return markdown_rows([first, *names], rows, numeric=[False, *(True for _ in columns)])


def _spread(rows: Sequence[Mapping[str, Any]], column: str) -> str:
    values = [float(row[column]) for row in rows if row.get(column) is not None]
    if not values:
        return "-"
    mean, smallest, largest = (_number(value) for value in (statistics.fmean(values), min(values), max(values)))
    return mean if smallest == largest else f"{mean} [{smallest}, {largest}]"


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
