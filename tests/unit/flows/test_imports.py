"""Imports of flows, which Prefect repeats: to register a flow, to run one, and after it was cancelled."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIGHT = ("ingest", "plan", "prepare", "query", "select", "stages", "train")


def test_a_flow_is_imported_without_torch() -> None:
    imports = ", ".join(f"flows.{name}" for name in LIGHT)
    asked = f"import sys, {imports}; print(sorted({{'torch', 'lhotse', 'matplotlib.pyplot'}} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
