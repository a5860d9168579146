"""The benchmarks still run (on little), so that they do not rot between measurements."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_warehouse_benchmark_runs_and_codes_take_at_most_the_bits_it_allows(tmp_path: Path) -> None:
    script = (
        "import sys, table; table.BENCHMARKS = (table.Benchmark('lake', ('--rows', '20000')),); sys.exit(table.main())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, "--quick", "--output", str(tmp_path / "table.md")],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}/benchmarks:{ROOT}"}, capture_output=True, text=True,
    )  # fmt: skip
    rows = [line for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| lake |")]
    bits = [row for row in rows if "bits per" in row]
    assert len(rows) == 4
    assert len(bits) == 2
    assert all("| yes |" in row for row in bits), answer.stdout
    assert "20,000 rows" in answer.stdout, answer.stderr


def test_every_figure_of_a_benchmark_is_in_the_table_and_a_missed_one_is_marked() -> None:
    script = """
from figures import Figure, read_figures
from table import Result, format_table
held, missed = Figure("rows, a CPU second", 142_000.5, 1000, True), Figure("time / time", 2.5, 2, False)
output = f"load 3.0\\n{held.line()}\\nother 3   4\\n{missed.line()}\\n"
assert read_figures(output) == [held, missed], read_figures(output)
print(format_table([Result("loader", [held, missed], 1.5, 60, "ended")], is_quick=True))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": f"{ROOT}/benchmarks"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert "| loader | rows, a CPU second | 142,000.50 | at least 1,000.00 | yes | 1.5 |" in answer.stdout
    assert "| loader | time / time | 2.50 | at most 2.00 | **no** | 1.5 |" in answer.stdout
    assert "Failed: `loader` ended" in answer.stdout
