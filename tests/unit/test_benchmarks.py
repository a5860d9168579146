"""The benchmarks still run (on little), so that they do not rot between measurements."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
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


def test_a_run_that_is_stopped_leaves_the_figures_so_far(tmp_path: Path) -> None:
    figure = "from figures import report; report('rows', {}, 1, at_least=True)"
    (tmp_path / "first.py").write_text(f"import time; {figure.format(2)}")
    (tmp_path / "second.py").write_text(f"import time; {figure.format(3)}\nwhile True: time.sleep(0.05)")
    (tmp_path / "third.py").write_text("raise SystemExit('the third ran')")
    script = f"""
import sys, table
from pathlib import Path
table._HERE = Path({str(tmp_path)!r})
table.BENCHMARKS = tuple(table.Benchmark(name, ()) for name in ("first", "second", "third"))
sys.exit(table.main())
"""
    run = subprocess.Popen(
        [sys.executable, "-c", script, "--output", str(tmp_path / "table.md")],
        env=os.environ | {"PYTHONPATH": f"{ROOT}/benchmarks"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    while "3.00" not in run.stdout.readline():
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)
    printed = run.communicate(timeout=60)[0]
    for table in (printed, (tmp_path / "table.md").read_text()):
        assert "| first | rows | 2.00 |" in table
        assert "| second | rows | 3.00 |" in table
        assert "Failed: `second` was stopped" in table
        assert "third" not in table
    assert run.returncode == 1


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules of the project that a benchmark imports from, with the names it imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {
            "valle",
            "warehouse",
            "manifests",
        }:
            yield from ((str(node.module), one.name) for one in node.names)


def _has(module: str, name: str) -> bool:
    """Return whether a module defines or imports a name at its top level, or is a package with a module of it."""
    place = ROOT.joinpath(*module.split("."))
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not source.exists():
        return False
    found: set[str] = {path.stem for path in place.iterdir()} if place.is_dir() else set()
    for node in ast.parse(source.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                found.add(node.name)
            case ast.Import() | ast.ImportFrom():
                found.update((one.asname or one.name).split(".")[0] for one in node.names)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
    return name in found


def test_every_name_that_a_benchmark_imports_exists() -> None:
    """Without importing any: most of them load torch."""
    scripts = sorted((ROOT / "benchmarks").glob("*.py"))
    wanted = [(path.name, module, name) for path in scripts for module, name in _imported(path)]
    assert len(wanted) > 100
    assert [one for one in wanted if not _has(*one[1:])] == []
