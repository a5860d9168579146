"""Peak memory and CPU time of every step over a synthetic lake: `python benchmarks/scale.py [--rows 10000000]`.

Each step runs in a process of its own, over a lake of `--rows` utterances and over one of a tenth of them: plan, select
with weights and cuts, the start of a training, the named queries, `valle stats` and fsck. No step may take more than
4 GB, nor grow faster than the rows.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import report

_SET = "all"
_MAX_GB = 4.0
# Sorting grows a little faster than the rows.
_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a step and the peak of the resident memory of its process in GB, imports included."""

    seconds: float
    gigabytes: float


def plan(root: Path) -> None:
    """Plan every stage, as a second `prepare` does."""
    from synthetic_lake import CORPUS

    from valle.data_root import open_data_root
    from warehouse.catalogue.planning import InputView, StageTables, plan_stage

    connection = open_data_root(root).catalogue.connection()
    stages: tuple[tuple[str, InputView, str, str], ...] = (
        ("segment", "recordings", "segments", "recording_id"),
        ("transcribe", "segments", "transcripts", "segment_id"),
        ("phonemize", "transcripts", "phonemes", "segment_id"),
        ("quality", "segments", "quality", "segment_id"),
        ("speakers", "segments", "speakers", "segment_id"),
        ("quantize", "segments", "codes", "segment_id"),
    )
    for stage, reads, writes, key in stages:
        tables = StageTables(reads=reads, writes=writes, key=key)
        found = plan_stage(connection, stage, corpus=CORPUS, configuration=stage, tables=tables)
        missing = found.rows / (found.rows + found.rows_done)
        assert missing == (0.01 if stage == "quantize" else 0.0), (stage, missing)


def select(root: Path) -> None:
    """Make a training set with conditions and weights, and its cuts."""
    from synthetic_lake import CODEC

    from valle.data.selection.options import Selection
    from valle.data.selection.select import select as make_set
    from valle.data_root import open_data_root
    from valle.phonemes import phoneme_table

    selection = Selection(name=_SET, where="dnsmos_ovrl > 2", weight="0.5 + dnsmos_ovrl / 5")
    make_set(selection, open_data_root(root), codec=CODEC, phoneme_symbols=phoneme_table().symbols)


def queries(root: Path) -> None:
    """Answer every named query."""
    from valle.data_root import open_data_root
    from warehouse.catalogue.views import answer_query, named_queries

    lake = open_data_root(root).lake
    for name, query in named_queries().items():
        started = time.process_time()
        rows = answer_query(lake, query.sql).num_rows
        print(f"    {name:28} {rows:10,} rows {time.process_time() - started:8.1f} CPU s, {_peak():5.2f} GB so far")


def stats(root: Path) -> None:
    """Run `valle stats`."""
    from valle.cli import main as valle

    valle(["stats", "--data", str(root), "--out", str(root / "report")])


def fsck(root: Path) -> None:
    """Check every promise of the lake: reads every data file."""
    from valle.data_root import open_data_root
    from warehouse.upkeep.fsck import fsck as check

    found = check(open_data_root(root).lake)
    assert found.is_sound, found.faults[:3]


def train(root: Path) -> None:
    """Start a training of the smallest model: two updates."""
    from valle.training.loop import train as run
    from valle.training.options import TrainOptions

    run(
        TrainOptions(
            training_set=root / "training_sets" / _SET,
            run_dir=root / "runs" / f"run-{time.time_ns()}",
            model="nano",
            max_steps=2,
        )
    )


STEPS: dict[str, Callable[[Path], None]] = {
    "plan": plan,
    "select": select,
    "train": train,
    "queries": queries,
    "stats": stats,
    "fsck": fsck,
}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def cost(step: str, root: Path) -> Cost:
    """Run a step in a process of its own and return what it took."""
    command = [sys.executable, __file__, "--step", step, "--data", str(root)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    *lines, last = answer.stdout.splitlines()
    if step == "queries":
        print("\n".join(lines))
    found = Cost(**json.loads(last))
    print(f"  {step:10} {found.seconds:8.1f} CPU s {found.gigabytes:8.2f} GB", flush=True)
    return found


def _run_step(step: str, root: Path) -> None:
    started = time.process_time()
    STEPS[step](root)
    print(f"\n{json.dumps({'seconds': time.process_time() - started, 'gigabytes': _peak()})}")


def measure(folder: Path, rows: int, parts: int, steps: Sequence[str]) -> dict[str, Cost]:
    """Fill a lake of `rows` utterances below `folder`, or what a stopped run left of it, and run the steps over it."""
    from synthetic_lake import fill

    from valle.data_root import open_data_root

    root = folder / f"{rows}"
    started = time.process_time()
    fill(open_data_root(root).lake, rows, parts)
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    print(f"{rows:,} rows in {parts} parts: {time.process_time() - started:.0f} CPU s, {size / 1e9:.2f} GB of disk")
    return {step: cost(step, root) for step in steps}


def main() -> int:
    """Run every step at two sizes; 1 when one takes too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--parts", type=int, default=2_000)
    parser.add_argument("--data", type=Path, help="folder that keeps the lakes; a temporary one by default")
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--step", choices=list(STEPS), help="run one step in this process")
    options = parser.parse_args()
    if options.step:
        _run_step(options.step, options.data)
        return 0
    steps = options.steps.split(",")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.data or Path(temporary)).resolve()
        small = measure(folder, options.rows // 10, max(1, options.parts // 10), steps)
        large = measure(folder, options.rows, options.parts, steps)
    good = True
    for step in steps:
        grown = large[step].seconds / max(small[step].seconds, 1e-9)
        print(f"{step}: {large[step].seconds / options.rows * 1e6:.0f} CPU s per million rows")
        good &= report(f"{step}: time of all rows / of a tenth of them", grown, 10 * _GROWTH, at_least=False)
        good &= report(f"{step}: peak memory, GB", large[step].gigabytes, _MAX_GB, at_least=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
