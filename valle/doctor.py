"""Check the installation: libraries, weights, the data root and the machine, with the command that fixes each.

Checks download nothing. A finding is `ok`, `missing` (it can be added) or `broken` (it is there and does not work);
`is_needed` marks what the embedded defaults need.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from valle.backends import weights
from warehouse.errors import DependencyError, PipelineError

OK, MISSING, BROKEN = "ok", "missing", "broken"
_INSTALL = "pip install valle"
_MIN_FREE_GIGABYTES = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check: `status` is `ok`, `missing` or `broken`; `fix` is a command, empty for `ok`."""

    name: str
    status: str
    detail: str
    fix: str = ""
    is_needed: bool = True


def _python() -> Finding:
    return Finding("python", OK, ".".join(map(str, sys.version_info[:3])))


def _library(module: str, *, fix: str, distribution: str | None = None, is_needed: bool = True) -> Finding:
    """Find a library by its metadata, without importing it."""
    name = distribution or module
    if importlib.util.find_spec(module) is None:
        return Finding(name, MISSING, "not installed", fix, is_needed)
    try:
        return Finding(name, OK, version(name), is_needed=is_needed)
    except PackageNotFoundError:
        return Finding(name, BROKEN, "can be imported but has no metadata", fix, is_needed)


def _torch() -> Finding:
    try:
        import torch
        import torchaudio  # encodec, vocos and distillmos import it, and it fails beside another version of torch
    except (ImportError, OSError, RuntimeError) as error:
        fix = "pip install 'torch>=2.9,<2.15' 'torchaudio>=2.9,<2.12'"
        return Finding("torch", BROKEN, str(error).splitlines()[0], fix)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    return Finding("torch", OK, f"{torch.__version__}, torchaudio {torchaudio.__version__}, {device}")


def _espeak() -> Finding:
    from valle.phonemes import open_phonemizer

    fix = "pip install phonemizer espeakng-loader"
    try:
        symbols = open_phonemizer("espeak").phonemize(["hello"], "en")[0]
    except (PipelineError, ImportError, OSError, RuntimeError) as error:
        return Finding("espeak", BROKEN, str(error), fix)
    return Finding("espeak", OK, f"hello is {''.join(symbols)}")


def _haqumei() -> Finding:
    from valle.phonemes import open_phonemizer, phonemizer_revision

    try:
        symbols = open_phonemizer("espeak").phonemize(["東京"], "ja")[0]
        detail = f"{phonemizer_revision('espeak', 'ja')} 東京 is {''.join(symbols)}"
    except DependencyError as error:
        return Finding("haqumei", MISSING, str(error), "pip install haqumei", is_needed=False)
    except (PipelineError, ImportError, OSError, RuntimeError) as error:
        return Finding("haqumei", BROKEN, str(error), "pip install haqumei", is_needed=False)
    return Finding("haqumei", OK, detail, is_needed=False)


def _weights(name: str, revision: Callable[[], str], *, fix: str, is_needed: bool = True) -> Finding:
    try:
        return Finding(name, OK, revision(), is_needed=is_needed)
    except (DependencyError, ImportError) as error:
        return Finding(name, MISSING, str(error), fix, is_needed)
    except (PipelineError, OSError, ValueError) as error:
        return Finding(name, BROKEN, str(error), fix, is_needed)


def _base() -> Finding:
    joined = weights.models_directory() / "whisper-base" / "model.bin"
    finding = _weights("base", weights.base_revision, fix=weights.BASE_COMMAND, is_needed=False)
    state = f"joined in {joined.parent}" if joined.exists() else "joined on first use"
    return Finding("base", OK, f"{finding.detail}, {state}", is_needed=False) if finding.status == OK else finding


def _tiny() -> str:
    return weights.file_revision(weights.tiny_en_directory() / "model.bin")


def _mini() -> str:
    from valle.codec import codec_revision

    return codec_revision("mini")


def _silero() -> str:
    from valle.backends.vad import voice_activity_revision

    return voice_activity_revision("silero")


def _resemblyzer() -> str:
    from valle.backends.speaker import speaker_encoder_revision

    return speaker_encoder_revision("resemblyzer")


def _scorer(name: str) -> Callable[[], str]:
    def revision() -> str:
        from valle.backends.quality import quality_scorer_revision

        return quality_scorer_revision(name)

    return revision


def _encodec() -> Finding:
    from valle.backends.fetched import find_weights

    path = find_weights("encodec_24khz")
    if path is not None:
        return Finding("encodec_24khz", OK, str(path), is_needed=False)
    return Finding(
        "encodec_24khz", MISSING, "fetched on first use", "valle models fetch encodec_24khz", is_needed=False
    )


def _data_directory(directory: Path) -> Finding:
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding("data", BROKEN, f"cannot write in {existing}: {error.strerror}", "export VALLE_DATA=<a folder>")
    return Finding("data", OK, f"{directory} can be written")


def _disk(directory: Path) -> Finding:
    existing = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < _MIN_FREE_GIGABYTES:
        detail = f"{free:.1f} GB free, and {_MIN_FREE_GIGABYTES:.0f} GB are advised"
        return Finding("disk", BROKEN, detail, "export VALLE_DATA=<a folder on a larger disk>")
    return Finding("disk", OK, f"{free:.0f} GB free")


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding("cores", OK, f"{usable} usable; run as many worker processes, one thread each")


def diagnose(data: Path | None = None) -> Sequence[Finding]:
    """Run every check, in the order of the pipeline. `data` is the data root (default `VALLE_DATA`, `./data`)."""
    directory = data or Path(os.environ.get("VALLE_DATA", "data"))
    return [
        _python(),
        _torch(),
        _library("prefect", fix="pip install 'prefect>=3.8.8,<3.9' 'fastapi<0.151'"),
        _library("deltalake", fix=_INSTALL),
        _library("duckdb", fix=_INSTALL),
        _library("lhotse", fix=_INSTALL),
        # Without it the plain engine trains, the only one elsewhere than on Linux.
        _library("deepspeed", fix="pip install 'deepspeed>=0.19'", is_needed=False),
        _library("faster_whisper", distribution="faster-whisper", fix="pip install faster-whisper"),
        _espeak(),
        _haqumei(),
        _library("pypinyin", fix="pip install pypinyin", is_needed=False),
        _weights("tiny.en", _tiny, fix=weights.TINY_COMMAND),
        _base(),
        _weights("silero", _silero, fix="pip install 'silero-vad>=6.2'"),
        _weights("resemblyzer", _resemblyzer, fix="pip install --no-deps Resemblyzer==0.1.4"),
        _weights("dnsmos", _scorer("dnsmos"), fix="pip install --no-deps speechmos==0.0.1.1"),
        _weights("distillmos", _scorer("distillmos"), fix="pip install distillmos xls-r-sqa", is_needed=False),
        _weights("mini", _mini, fix="pip install --force-reinstall --no-deps valle"),
        _encodec(),
        _data_directory(directory),
        _disk(directory),
        _cores(),
    ]
