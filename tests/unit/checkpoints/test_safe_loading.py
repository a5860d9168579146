"""Nothing unpickles a file: a checkpoint from a stranger must not be code."""

import ast
import os
from pathlib import Path

import pytest

from valle.checkpoints.checkpoint import read_card, read_weights
from valle.state_files import read_state
from warehouse.errors import CheckpointError

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path for package in ("flows", "valle", "manifests", "warehouse") for path in (ROOT / package).rglob("*.py")
)


def unsafe_calls(tree):
    """Names of calls that may execute what a file holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(name.name in ("pickle", "joblib", "dill") for name in node.names):
            yield "import of pickle"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name == "torch.load" and options.get("weights_only") != "True":
            yield name
        if name.endswith(("load_checkpoint", "pickle.load", "pickle.loads", "joblib.load", "yaml.load")):
            yield name
        if options.get("allow_pickle", "False") != "False":
            yield f"{name} with allow_pickle"


@pytest.mark.parametrize(
    "code", ["torch.load(f)", "engine.load_checkpoint(f)", "import pickle", "np.load(f, allow_pickle=True)"]
)
def test_the_check_finds_unsafe_calls(code):
    assert list(unsafe_calls(ast.parse(code)))


ARRAYS_ONLY = "manifests/codes/arrays_only.py"
"""The unpickler that resolves nothing but arrays; tests/unit/manifests/test_codes.py holds it to that."""
WRITES_PICKLES = "manifests/codes/containers.py"
"""The writer of containers that another project reads: it saves and never loads."""


def test_no_source_file_reads_a_pickle():
    found = {
        str(path.relative_to(ROOT)): calls
        for path in SOURCES
        if (calls := list(unsafe_calls(ast.parse(path.read_text()))))
    }
    assert found.pop(ARRAYS_ONLY) == ["import of pickle"]
    assert found.pop(WRITES_PICKLES) == ["np.save with allow_pickle"]
    assert found == {}


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "[" * 100_000, '{"format": 2, "model": {}, "codec": {}}', None, "pipe"]
)
def test_a_card_of_any_damage_is_one_sentence(tmp_path, content):
    card = tmp_path / "checkpoint.json"
    if content is None:
        card.mkdir()
    elif content == "pipe":
        os.mkfifo(card)
    else:
        card.write_text(content)
    with pytest.raises(CheckpointError, match="is damaged or no card") as refused:
        read_card(tmp_path)
    assert "\n" not in str(refused.value)


def test_weights_and_states_that_are_pipes_are_refused_without_waiting(tmp_path):
    for name in ("model.safetensors", "state.safetensors"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_weights(tmp_path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_state(tmp_path / "state.safetensors")
