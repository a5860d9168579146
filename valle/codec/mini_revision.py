"""The revision of the embedded codec, read without torch: plans of the pipeline compare it and load no model."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from warehouse.errors import DependencyError

EMBEDDED = Path(__file__).parent / "mini" / "weights" / "mini.safetensors"


def mini_revision(path: Path = EMBEDDED) -> str:
    """Return the revision of the codes in the header of a weights file.

    Raises DependencyError when the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as weights:
            revision: str = weights.metadata()["revision"]
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise unusable(path) from error
    return revision


def unusable(path: Path) -> DependencyError:
    """Return the error for a weights file that is missing, damaged or of another version."""
    return DependencyError(
        f"The codec weights {path} are missing, damaged or of another version; reinstall the package with "
        "`pip install --force-reinstall --no-deps .`"
    )
