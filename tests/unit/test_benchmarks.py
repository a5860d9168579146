"""The benchmarks still run (on little), so that they do not rot between measurements."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_warehouse_benchmark_runs_and_codes_take_at_most_the_bits_it_allows() -> None:
    answer = subprocess.run(
        [sys.executable, "benchmarks/lake.py", "--rows", "20000"], cwd=ROOT, capture_output=True, text=True
    )
    bits = next(line for line in answer.stdout.splitlines() if line.startswith("bits per"))
    assert "MISSED" not in bits, answer.stdout
    assert "20,000 rows" in answer.stdout, answer.stderr
