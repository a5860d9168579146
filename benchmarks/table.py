"""Run the benchmarks that need no weights but those of the package, and print one table.

`python benchmarks/table.py [--quick] [--only NAME,NAME] [--output FILE.md]`: with `--quick` each runs at its smallest
useful size. The table has the machine, its load before each benchmark, every figure with its bound, and which are
missed. A benchmark that fails leaves the figures it had printed, and a run that is stopped (Ctrl-C or SIGTERM) leaves
the table so far, which `--output` has after each benchmark. Exit code 1 when a bound is missed or a benchmark fails.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, read_figures

_HERE = Path(__file__).parent
_STOPPED = "was stopped; later ones did not run"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A script of this folder with the arguments of its small size."""

    name: str
    quick: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of one benchmark."""

    benchmark: str
    figures: Sequence[Figure]
    load: float
    seconds: float
    error: str


BENCHMARKS = (
    Benchmark("commands", ("--clips", "8")),
    Benchmark("loader", ("--rows", "4000")),
    Benchmark("task_rows", ("--items", "1500", "--batches", "40")),
    Benchmark("lake", ("--rows", "500000")),
    Benchmark("scale", ("--rows", "200000", "--parts", "100")),
    Benchmark("prepare", ("--clips", "60")),
    Benchmark("quality", ("--clips", "6")),
    Benchmark("codecs", ("--clips", "8", "--rounds", "2", "--threads", "1")),
    Benchmark("decode", ("--size", "nano", "--large", "20m")),
    Benchmark("training_step", ("--size", "tiny", "--batches", "6")),
    Benchmark("attention", ("--repeats", "2")),
    Benchmark("trunks", ("--frames", "400")),
    Benchmark("workers", ("--clips", "60", "--shards", "30", "--stage", "quantize")),
)


def run(benchmark: Benchmark, *, is_quick: bool) -> Result:
    """Run a benchmark in a process of its own and show its output; a stop ends the process and becomes its error."""
    load, started = os.getloadavg()[0], time.monotonic()
    command = [sys.executable, str(_HERE / f"{benchmark.name}.py"), *(benchmark.quick if is_quick else ())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines, error = [], ""
    try:
        for line in process.stdout:
            lines.append(line)  # before the line is seen: a stop may follow at once
            print(f"  {line}", end="", flush=True)
        process.wait()
    except KeyboardInterrupt:
        process.kill()
        error = _STOPPED
    figures = read_figures("".join(lines))
    is_complete = process.wait() == 0 or (figures and not all(figure.holds for figure in figures))
    if not is_complete and not error:
        error = f"ended with exit code {process.returncode}: {''.join(lines[-1:]).strip()}"
    return Result(benchmark.name, figures, load, time.monotonic() - started, error)


def run_all(names: Sequence[str], *, is_quick: bool, output: Path | None) -> list[Result]:
    """Run benchmarks by name until one is stopped, with the table so far in `output` after each."""
    results: list[Result] = []
    for benchmark in BENCHMARKS:
        if benchmark.name not in names:
            continue
        print(f"{benchmark.name} ...", flush=True)
        results.append(run(benchmark, is_quick=is_quick))
        if output:
            output.write_text(format_table(results, is_quick=is_quick) + "\n", encoding="utf-8")
        if results[-1].error == _STOPPED:
            break
    return results


def describe_machine() -> str:
    """Return processor, cores and versions."""
    names = [line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    processor = names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def format_table(results: Sequence[Result], *, is_quick: bool) -> str:
    """Return the table in Markdown."""
    size = "small sizes (`--quick`)" if is_quick else "full sizes"
    rows = [
        f"| {result.benchmark} | {figure.name} | {figure.value:,.2f} | {figure.side} {figure.bound:,.2f} | "
        f"{'yes' if figure.holds else '**no**'} | {result.load:.1f} |"
        for result in results
        for figure in result.figures
    ]
    failed = [f"`{result.benchmark}` {result.error}" for result in results if result.error]
    return "\n".join(
        [
            f"{describe_machine()}; {size}, {sum(result.seconds for result in results) / 60:.0f} minutes.",
            "",
            "| benchmark | what | value | bound | held | load |",
            "| --- | --- | ---: | ---: | --- | ---: |",
            *rows,
            *(["", "Failed: " + "; ".join(failed)] if failed else []),
        ]
    )


def main() -> int:
    """Run the benchmarks; 1 when a bound is missed or one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="names of benchmarks, with commas between them")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [one.name for one in BENCHMARKS]
    unknown = set(names) - {one.name for one in BENCHMARKS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(one.name for one in BENCHMARKS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = run_all(names, is_quick=options.quick, output=options.output)
    print(f"\n{format_table(results, is_quick=options.quick)}")
    held = all(figure.holds for result in results for figure in result.figures)
    return 0 if held and not any(result.error for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
