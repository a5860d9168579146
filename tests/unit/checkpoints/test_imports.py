import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("valle.synthesis.synthesizer", ("valle.training", "valle.data.sampler", "valle.data.epoch_rows")),
        ("valle.training.options", ("torch", "lhotse")),
    ],
)
def test_what_a_module_needs_not_is_not_imported_with_it(module, forbidden):
    code = f"import sys, {module}; print([name for name in sys.modules if name.startswith({forbidden!r})])"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"
