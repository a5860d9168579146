"""Imports of flows, which Prefect repeats: to register a flow, to run one, and after it was cancelled."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIGHT = ("ingest", "plan", "prepare", "query", "select", "speech.task", "stages", "training.train")


def test_a_flow_is_imported_without_torch() -> None:
    imports = ", ".join(f"flows.{name}" for name in LIGHT)
    asked = f"import sys, {imports}; print(sorted({{'torch', 'lhotse', 'matplotlib.pyplot'}} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_plan_of_all_stages_is_made_without_torch() -> None:
    # A second `prepare` plans every stage and loads no model.
    asked = (
        "import sys; from flows.parameters import Stages; [stage.configuration for stage in Stages().in_order()]; "
        "print(sorted({'torch', 'lhotse', 'onnxruntime', 'faster_whisper'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
