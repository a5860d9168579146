"""The speech of an evaluation: one folder per system, laid out as a corpus, so that it goes down the road again.

Every output is one audio file with its text and a note of how it was made. Files appear one by one, whole, and those
that exist are kept, so an evaluation that was killed at any moment goes on where it stood.
"""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.evaluation.items.items import EvaluationItem, continues
from warehouse.errors import ConfigurationError

SUFFIX = ".flac"
_CIRCUMSTANCES = "circumstances.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One file of speech, or the reason why there is none: which system made it of which item.

    `seconds` is the wall time it took, `first_audio_seconds` the time until its beginning could be played; None where
    nobody measured it. `failure` is None where there is a file.
    """

    system: str
    utterance: str
    trial: int
    path: Path
    seconds: float | None = None
    first_audio_seconds: float | None = None
    failure: str | None = None


def speech_path(directory: Path, system: str, item: EvaluationItem) -> Path:
    """Where the speech of an item by a system lies (or will lie) below `directory`."""
    return directory / system / f"{item.utterance}-{item.trial}{SUFFIX}"


def pending(items: Sequence[EvaluationItem], system: str, directory: Path) -> list[EvaluationItem]:
    """The items that have no speech yet; a failure is tried again."""
    return [item for item in items if not speech_path(directory, system, item).exists()]


def keep_speech(
    path: Path,
    audio: Audio,
    item: EvaluationItem,
    *,
    seconds: float | None = None,
    first_audio_seconds: float | None = None,
) -> None:
    """Write the speech of an item, the audio last: an audio file that exists has its text and its note."""
    _write_note(path, {"seconds": seconds, "first_audio_seconds": first_audio_seconds})
    path.with_suffix(".txt").write_text(item.text + "\n", encoding="utf-8")
    write_audio(path, audio)


def keep_failure(path: Path, reason: str) -> None:
    """Note why an item has no speech."""
    _write_note(path, {"failure": reason})


def _write_note(path: Path, note: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.note.tmp")
    temporary.write_text(json.dumps(note), encoding="utf-8")
    temporary.replace(path.with_suffix(".json"))


def find_speech(items: Iterable[EvaluationItem], system: str, directory: Path) -> list[Spoken]:
    """What a system has spoken so far, and what it has failed at, in the order of the items."""
    found = []
    for item in items:
        path = speech_path(directory, system, item)
        note = _read_note(path)
        if not path.exists() and note.get("failure") is None:
            continue
        found.append(
            Spoken(
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


def voices_directory(directory: Path) -> Path:
    """Beside a folder of speech, the folder of what is only compared by its voice: nobody listens to its words."""
    return directory.with_name(f"{directory.name}-voices")


def continued_path(path: Path) -> Path:
    """Where the speech of a file lies without its prompt, for speech that goes on from one."""
    return voices_directory(path.parent.parent) / path.parent.name / path.name


def write_continued(items: Sequence[EvaluationItem], systems: Sequence[str], directory: Path) -> None:
    """Write the speech of continuations once more, without the seconds of the prompt that it begins with.

    Speech that is no longer than its prompt has no such file: it is compared whole.
    """
    going_on = [item for item in items if continues(item) and item.prompt_duration]
    for system in systems:
        for item in going_on:
            path = speech_path(directory, system, item)
            cut = continued_path(path)
            if cut.exists() or not path.exists():
                continue
            audio = read_item_audio(AudioLocation(str(path)))
            start = round((item.prompt_duration or 0.0) * audio.sample_rate)
            if len(audio.samples) > start:
                keep_speech(cut, Audio(audio.samples[start:], audio.sample_rate), item)


def read_item_audio(location: AudioLocation, sample_rate: int | None = None) -> Audio:
    """Audio that a list of items names. Raises ConfigurationError when it cannot be read."""
    try:
        return read_audio(location, sample_rate)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The evaluation needs {location.path}, which cannot be read ({error}).") from error


def note_circumstances(directory: Path, device: str, threads: int) -> None:
    """Note on which hardware the speech below `directory` is made: its times mean nothing without."""
    lines = read_circumstances(directory)
    line = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, device {device}, {threads} threads"
    if line not in lines:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _CIRCUMSTANCES).write_text(json.dumps([*lines, line]), encoding="utf-8")


def read_circumstances(directory: Path) -> list[str]:
    """The hardware that `note_circumstances` noted, one line each; more than one where a run was taken up elsewhere."""
    try:
        return list(map(str, json.loads((directory / _CIRCUMSTANCES).read_text(encoding="utf-8"))))
    except (OSError, ValueError):
        return []


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
