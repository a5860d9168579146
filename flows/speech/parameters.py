"""Parameters of the flow that runs a task. Do not import Prefect here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from flows.parameters import Located
from valle.synthesis.options import ConversionMethod, EditingMethod, SamplingOptions

TaskChoice = Literal[
    "speak", "edit", "convert", "denoise", "remove-speech", "extract", "transcribe-speech", "phonemize-text"
]
_OF_TEXTS = ("speak", "phonemize-text")
_WITH_VOICE = ("convert", "extract")
# The formats that libsndfile and PyAV read and people have.
_AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".webm")


@dataclass(frozen=True, slots=True)
class SpeechJob:
    """A recording with its text, "" where it is not known, or a text alone; `name` is that of its file."""

    name: str
    recording: Path | None
    text: str


class SpeechTaskParameters(Located):
    """Run a task of a checkpoint on recordings or texts.

    The results are files of a new folder below `speech/tasks` of the data root, and a table in the artifacts of the
    run.
    """

    task: TaskChoice = "denoise"
    """Work to do: speak or phonemize texts, or edit, convert, denoise, transcribe, ... recordings."""
    recordings: tuple[Path, ...] = ()
    """Audio files on the machine of the worker; a folder is all audio files in it."""
    texts: tuple[str, ...] = ()
    """Texts to speak or to phonemize; of recordings their texts, one for each, or none: then they are transcribed."""
    replace: tuple[str, ...] = ()
    """To edit: words of a recording and those in their place, as "old words=new words"; "old words=" cuts them out."""
    voice: Path | None = None
    """Recording of the speaker, to convert, to extract or to speak; 3 to 6 seconds are best."""
    run: str | None = None
    """Name of a training run, whose newest checkpoint is used. By default the embedded checkpoint, or a run with a
    better measured word error rate on the same sentences."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    language: str = "en"
    """ISO 639-1 code; `auto` detects it."""
    transcribe: bool = True
    """Transcribe recordings without a text; otherwise the task has no words of them."""
    asr: str | None = None
    """ASR model that transcribes: by default `tiny.en` for English, else `base`."""
    editing: EditingMethod = "task"
    """Way to edit, as `valle edit --method`."""
    conversion: ConversionMethod = "task"
    """Way to convert, as `valle convert --method`."""
    kept: float = Field(default=0.3, ge=0, lt=1)
    """Of the conversion `draft`: how much of the recording survives."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as the training of the checkpoint set it."""
    device: str = "cpu"
    """Torch device."""

    @property
    def subject(self) -> str:
        """Name of the run in lists: the first recording, or the first text."""
        first = self.recordings[0].name if self.recordings else self.texts[0]
        return first[:40]

    def jobs(self) -> list[SpeechJob]:
        """Return what is done, one after the other, each with another name.

        Raises ValueError for a folder without audio, and for texts that are not one for each recording.
        """
        if self.task in _OF_TEXTS:
            return [SpeechJob(f"{number:03d}", None, text) for number, text in enumerate(self.texts, start=1)]
        recordings = [one for path in self.recordings for one in _audio_files(path)]
        texts = self.texts or ("",) * len(recordings)
        if len(texts) != len(recordings):
            raise ValueError(f"There are {len(recordings)} recordings and {len(texts)} texts; give one each, or none.")
        names = _distinct([path.stem for path in recordings])
        return [SpeechJob(*one) for one in zip(names, recordings, texts, strict=True)]

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        is_of_texts = self.task in _OF_TEXTS
        if is_of_texts and (self.recordings or not any(text.strip() for text in self.texts)):
            raise ValueError(f"The task {self.task} is given texts, and no recordings.")
        if not is_of_texts and not self.recordings:
            raise ValueError(f"The task {self.task} is given recordings.")
        if (self.task == "edit") != bool(self.replace):
            raise ValueError('Give `replace`, such as "old words=new words", to edit, and to nothing else.')
        if self.task in _WITH_VOICE and self.voice is None:
            raise ValueError(f"To {self.task}, give `voice`: 3 to 6 seconds of the speaker.")
        if self.voice is not None and self.task not in (*_WITH_VOICE, "speak"):
            raise ValueError(f"The task {self.task} has no use for a voice; leave it out.")
        return self


def _audio_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in _AUDIO)
    if not found:
        raise ValueError(f"The folder {path} has no audio file ({', '.join(_AUDIO)}).")
    return found


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names with a number behind those that occur before."""
    found: list[str] = []
    for name in names:
        number, one = 2, name
        while one in found:
            one, number = f"{name}-{number}", number + 1
        found.append(one)
    return found
