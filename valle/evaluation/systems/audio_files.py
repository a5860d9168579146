"""Store the speech of an evaluation: one folder per system, laid out as a corpus that the pipeline ingests.

Every output is one audio file with its text and a note of how it was made. Files are written atomically and existing
ones are kept, so an evaluation that was killed continues from its last complete file.
"""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.evaluation.items.items import EvaluationItem, is_continuation
from valle.reporting import write_text
from warehouse.errors import ConfigurationError

SUFFIX = ".flac"
_HARDWARE_NOTES = "hardware.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpeech:
    """The speech of one item by one system, or the reason why there is none.

    `seconds` is the wall time of the synthesis, `first_audio_seconds` the time until the first playable audio; None
    where it was not measured. `failure` is None where there is a file.
    """

    system: str
    utterance: str
    trial: int
    path: Path
    seconds: float | None = None
    first_audio_seconds: float | None = None
    failure: str | None = None


def speech_path(directory: Path, system: str, item: EvaluationItem) -> Path:
    """Return the path of the speech of an item by a system below `directory`."""
    return directory / system / f"{item.utterance}-{item.trial}{SUFFIX}"


def pending(items: Sequence[EvaluationItem], system: str, directory: Path) -> list[EvaluationItem]:
    """Return the items without a file of speech; failures are tried again."""
    return [item for item in items if not speech_path(directory, system, item).exists()]


def write_speech(
    path: Path,
    audio: Audio,
    item: EvaluationItem,
    *,
    seconds: float | None = None,
    first_audio_seconds: float | None = None,
) -> None:
    """Write the speech of an item, the audio last: an audio file that exists has its text and its note."""
    _write_note(path, {"seconds": seconds, "first_audio_seconds": first_audio_seconds})
    write_text(path.with_suffix(".txt"), item.text + "\n")
    write_audio(path, audio)


def write_failure(path: Path, reason: str) -> None:
    """Write the reason why an item has no speech."""
    _write_note(path, {"failure": reason})


def _write_note(path: Path, note: Mapping[str, Any]) -> None:
    write_text(path.with_suffix(".json"), json.dumps(note))


def find_speech(items: Iterable[EvaluationItem], system: str, directory: Path) -> list[SystemSpeech]:
    """Return the files and failures of a system so far, in the order of the items."""
    found = []
    for item in items:
        path = speech_path(directory, system, item)
        note = _read_note(path)
        # Without file and failure the item was not attempted yet.
        if not path.exists() and note.get("failure") is None:
            continue
        found.append(
            SystemSpeech(
                system=system,
                utterance=item.utterance,
                trial=item.trial,
                path=path,
                seconds=note.get("seconds"),
                first_audio_seconds=note.get("first_audio_seconds"),
                failure=None if path.exists() else note["failure"],
            )
        )
    return found


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def similarity_directory(directory: Path) -> Path:
    """Return the sibling folder for audio that is only used for speaker similarity and never transcribed."""
    # A sibling and not a subfolder, because every file below `directory` is transcribed.
    return directory.with_name(f"{directory.name}-voices")


def continuation_path(path: Path) -> Path:
    """Return the path of the speech of a file without the prompt that it begins with."""
    return similarity_directory(path.parent.parent) / path.parent.name / path.name


def write_continuations(items: Sequence[EvaluationItem], systems: Sequence[str], directory: Path) -> None:
    """Write the speech of continuations again without the prompt, so that similarity is measured on new speech only.

    Speech that is no longer than its prompt gets no such file and is compared as it is.
    """
    continuations = [item for item in items if is_continuation(item) and item.prompt_duration]
    for system in systems:
        for item in continuations:
            path = speech_path(directory, system, item)
            target = continuation_path(path)
            if target.exists() or not path.exists():
                continue
            audio = read_item_audio(AudioLocation(str(path)))
            start = round((item.prompt_duration or 0.0) * audio.sample_rate)
            if len(audio.samples) > start:
                write_speech(target, Audio(audio.samples[start:], audio.sample_rate), item)


def read_item_audio(location: AudioLocation, sample_rate: int | None = None) -> Audio:
    """Read audio that a list of items names. Raise ConfigurationError when it cannot be read."""
    try:
        return read_audio(location, sample_rate)
    except UnreadableAudio as error:
        raise ConfigurationError(
            f"The evaluation needs {location.path}, which cannot be read ({error}); restore it or leave it out of "
            "the list."
        ) from error


def write_hardware_note(directory: Path, device: str, threads: int) -> None:
    """Record the hardware that synthesizes the speech below `directory`, without which its times mean nothing."""
    notes = read_hardware_notes(directory)
    note = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, device {device}, {threads} threads"
    if note not in notes:
        write_text(directory / _HARDWARE_NOTES, json.dumps([*notes, note]))


def read_hardware_notes(directory: Path) -> list[str]:
    """Return the recorded hardware, one line each; more than one when a run was continued on another machine."""
    try:
        return list(map(str, json.loads((directory / _HARDWARE_NOTES).read_text(encoding="utf-8"))))
    except (OSError, ValueError):
        return []


def _processor() -> str:
    try:
        # `platform.processor()` is empty on most Linux distributions.
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
