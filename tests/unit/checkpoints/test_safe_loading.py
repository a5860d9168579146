"""Nothing unpickles a file: a checkpoint from a stranger must not be code."""

import ast
from pathlib import Path

import pytest

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
