"""The Python API: load a checkpoint, speak, stream, edit, convert.

```python
import valle

model = valle.load("shipped")
model.speak("One sentence.", prompt="voice.wav").save("speech.wav")
for samples in model.stream("A long text. It sounds while it is synthesized."):
    play(samples)
model.edit("recorded.wav", {"on Monday": "on Friday"}).save("edited.wav")
```
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from valle.audio import Audio, Samples
from valle.backends.registry import Backends
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.codec.base import Codes
from valle.data_root import DataRoot, open_data_root
from valle.synthesis.long_form import Piece, speak_long
from valle.synthesis.options import (
    DEFAULT_BEST_OF,
    DEFAULT_LONG_FORM,
    DEFAULT_SAMPLING,
    DEFAULT_STREAM,
    BestOfOptions,
    ConversionMethod,
    EditingMethod,
    LongFormOptions,
    SamplingOptions,
    StreamOptions,
    read_sampling,
)
from valle.synthesis.prompts import read_prompt, read_speech
from valle.synthesis.speech_file import SpeechFile
from valle.synthesis.speech_tags import speech_tags
from valle.synthesis.synthesizer import Prompt, Synthesizer
from valle.synthesis.texts.recorded_text import RecordedText, TextOptions
from valle.text.lexicon import read_lexicon
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.transforms import TransformedRecording

SHIPPED = "shipped"
Recorded = Audio | str | os.PathLike[str]
"""A recording: audio at any rate, or the path of a file."""
# An owner and a name, or the address of a folder, and optionally a revision.
_HUB_ID = re.compile(r"(?:[\w-][\w.-]*/[\w-][\w.-]*|file://.+?)(?:@[\w./-]+)?")


@dataclass(frozen=True, slots=True)
class SynthesizedAudio:
    """Speech of a checkpoint: float32 samples [N] within -1..1, codes [K, T], and the tags of its files."""

    samples: Samples
    sample_rate: int
    codes: Codes
    tags: Mapping[str, str]

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write 16-bit audio with its tags: .wav, .flac or .ogg. Raises ConfigurationError where it cannot."""
        with SpeechFile(Path(path), self.sample_rate, tags=self.tags) as file:
            file.append(self.samples, self.codes)


@dataclass(frozen=True, slots=True)
class SpokenText(SynthesizedAudio):
    """Speech of a text, with one piece per sentence."""

    pieces: tuple[Piece, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One line per sentence that is missing or cut, with its reason."""
        return tuple(f"{piece.text!r}: {piece.problem}" for piece in self.pieces if piece.problem)


@dataclass(frozen=True, slots=True)
class EditedText(SynthesizedAudio):
    """A recording with other words: the new text, start and end in seconds of each new span, and the text before.

    `is_complete` is False when the longest duration cut a span.
    """

    text: str
    spans: tuple[tuple[float, float], ...]
    is_complete: bool
    source: RecordedText


@dataclass(frozen=True, slots=True)
class TransformedSpeech(SynthesizedAudio):
    """A recording in another voice, or without its noise, and the text of the recording that the task used.

    `is_complete` is False when it was cut.
    """

    is_complete: bool
    source: RecordedText


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A checkpoint that speaks; `load` opens one.

    Every method draws by `sampling`; what it leaves open is as the training of the checkpoint set it. A `language` is
    an ISO 639-1 code, or `auto`: that of the text, or of a recording without one.
    """

    synthesizer: Synthesizer
    sampling: SamplingOptions

    @property
    def sample_rate(self) -> int:
        """Samples a second of all speech."""
        return self.synthesizer.codec.spec.sample_rate

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of the languages in the training set."""
        return self.synthesizer.card.model.languages[1:]

    def prompt(self, recording: str | os.PathLike[str], text: str = "", language: str = "en") -> Prompt:
        """Encode a recording, of which the first 15 s count, for several calls of `speak` or `stream`.

        `text` is its transcript, which a continuation of the prompt needs. Raises ConfigurationError for a recording
        that cannot be read, is silent or shorter than a second.
        """
        audio = read_prompt(Path(recording), self.sample_rate)
        return self.synthesizer.encode_prompt(audio, text, language)

    def speak(
        self,
        text: str,
        prompt: Prompt | str | os.PathLike[str] | None = None,
        *,
        language: str = "en",
        sampling: SamplingOptions = DEFAULT_SAMPLING,
        long_form: LongFormOptions = DEFAULT_LONG_FORM,
        best_of: BestOfOptions = DEFAULT_BEST_OF,
    ) -> SpokenText:
        """Speak a text of any length in the voice of a prompt; without one the seed chooses a voice.

        Raises ConfigurationError for a text of which nothing can be spoken; `SpokenText.problems` lists the sentences
        that failed.
        """
        encoded, drawn = self._prompt(prompt), sampling.over(self.sampling)
        language = self.synthesizer.language_of(text, language)
        spoken = speak_long(
            self.synthesizer, text, encoded, language=language, sampling=drawn, options=long_form, best_of=best_of
        )
        audio, tags = spoken.speech.audio, self._tags(encoded, drawn)
        return SpokenText(audio.samples, audio.sample_rate, spoken.speech.codes, tags, spoken.pieces)

    def stream(
        self,
        text: str,
        prompt: Prompt | str | os.PathLike[str] | None = None,
        *,
        language: str = "en",
        sampling: SamplingOptions = DEFAULT_SAMPLING,
        long_form: LongFormOptions = DEFAULT_LONG_FORM,
        options: StreamOptions = DEFAULT_STREAM,
    ) -> Iterator[Samples]:
        """Yield the samples [N] of a text while it is synthesized. Errors as `speak`, before the first samples."""
        from valle.synthesis.streaming.engine import iterate_chunks

        chunks = iterate_chunks(
            self.synthesizer,
            text,
            self._prompt(prompt),
            language=self.synthesizer.language_of(text, language),
            sampling=sampling.over(self.sampling),
            long_form=long_form,
            options=options,
        )
        return (chunk.samples for chunk in chunks if len(chunk.samples))

    def edit(
        self,
        recording: Recorded,
        replacements: Mapping[str, str],
        *,
        text: str = "",
        language: str = "en",
        asr: str | None = None,
        method: EditingMethod = "task",
        sampling: SamplingOptions = DEFAULT_SAMPLING,
    ) -> EditedText:
        """Replace words of a recording of at most 30 s; every frame outside of them keeps its codes and samples.

        `replacements` maps words that occur once to the words in their place, "" to cut them out. `text` is the text
        of the recording, which the ASR model transcribes otherwise. `noisy` is for noisy recordings; `masked` needs a
        checkpoint that decodes NAR-len in place of one that has learnt to edit. Raises CheckpointError for a checkpoint
        that has not learnt to edit, ConfigurationError for words that do not occur once, and DependencyError for an ASR
        model that cannot be had.
        """
        from valle.synthesis.editing import Replacement, edit, read_recording, require_editing

        require_editing(self.synthesizer, method)  # before the minutes that a transcription may take
        source = TextOptions(text=text, language=language, asr=asr)
        found = read_recording(self.synthesizer, _read(recording), source)
        pairs = [Replacement(old, new) for old, new in replacements.items()]
        drawn = sampling.over(self.sampling)
        edited = edit(self.synthesizer, found, pairs, drawn, method)
        rate = self.synthesizer.codec.spec.frame_rate
        spans = tuple((start / rate, end / rate) for start, end in edited.spans)
        made = (edited.audio.samples, edited.audio.sample_rate, edited.codes, self._tags(None, drawn))
        return EditedText(*made, edited.text, spans, edited.is_complete, found.text)

    def convert(
        self,
        recording: Recorded,
        voice: Prompt | str | os.PathLike[str],
        *,
        method: ConversionMethod = "task",
        kept: float = 0.3,
        text: str = "",
        language: str = "en",
        transcribe: bool = True,
        asr: str | None = None,
        sampling: SamplingOptions = DEFAULT_SAMPLING,
    ) -> TransformedSpeech:
        """Give a recording another voice, with the same words and rhythm.

        `task` and `singing` need a checkpoint that has learnt them. `draft` needs one with NAR-len; it speaks the text
        of the recording over its own codes, of which `kept` (0 to 1) survives. Text and errors as `transform`.
        """
        source = TextOptions(text=text, language=language, transcribe=transcribe, asr=asr)
        if method != "draft":
            return self._transform("vc" if method == "task" else "svc", recording, voice, source, sampling)
        from valle.synthesis.transforms import convert_draft

        prompt, drawn = self._encoded(voice), sampling.over(self.sampling)
        done = convert_draft(self.synthesizer, _read(recording), prompt, drawn, source=source, kept=kept)
        return _transformed(done, self._tags(prompt, drawn))

    def denoise(
        self, recording: Recorded, *, text: str = "", language: str = "en", transcribe: bool = True
    ) -> TransformedSpeech:
        """Remove noise and reverberation. Text and errors as `transform`."""
        return self.transform("ns", recording, text=text, language=language, transcribe=transcribe)

    def extract(
        self,
        recording: Recorded,
        voice: Prompt | str | os.PathLike[str],
        *,
        text: str = "",
        language: str = "en",
        transcribe: bool = True,
    ) -> TransformedSpeech:
        """Extract the speaker of `voice` from a recording of two. Text and errors as `transform`."""
        return self.transform("tse", recording, voice, text=text, language=language, transcribe=transcribe)

    def transcribe(self, recording: Recorded, *, language: str = "en") -> tuple[str, ...]:
        """Transcribe a recording to phonemes by the checkpoint itself. Raises CheckpointError where it cannot."""
        from valle.synthesis.tokens import transcribe_speech

        return transcribe_speech(self.synthesizer, _read(recording), language)

    def phonemize(self, text: str, *, language: str = "en") -> tuple[str, ...]:
        """Read a text as phonemes by the checkpoint itself, without a phonemizer. Raises CheckpointError."""
        from valle.synthesis.tokens import phonemize_text

        return phonemize_text(self.synthesizer, text, self.synthesizer.language_of(text, language))

    def transform(
        self,
        task: str,
        recording: Recorded,
        voice: Prompt | str | os.PathLike[str] | None = None,
        *,
        text: str = "",
        language: str = "en",
        transcribe: bool = True,
        asr: str | None = None,
        sampling: SamplingOptions = DEFAULT_SAMPLING,
    ) -> TransformedSpeech:
        """Run a task on a recording by its name: `ns`, `sr`, `tse`, `vc` or `svc`.

        Without `text` the ASR model transcribes the recording, unless `transcribe` is False: the task then has no
        words. Raises CheckpointError for a checkpoint that has not learnt the task, ConfigurationError for a missing
        voice, and DependencyError for an ASR model that cannot be had.
        """
        source = TextOptions(text=text, language=language, transcribe=transcribe, asr=asr)
        return self._transform(task, recording, voice, source, sampling)

    def _transform(
        self,
        task: str,
        recording: Recorded,
        voice: Prompt | str | os.PathLike[str] | None,
        source: TextOptions,
        sampling: SamplingOptions,
    ) -> TransformedSpeech:
        from valle.synthesis.transforms import require_transform, transform, transform_sampling

        require_transform(self.synthesizer, task)
        audio, prompt = _read(recording), self._prompt(voice)
        drawn = transform_sampling(self.synthesizer.card, sampling, self.sampling)
        done = transform(self.synthesizer, task, audio, drawn, voice=prompt, source=source)
        return _transformed(done, self._tags(prompt, drawn))

    def _tags(self, prompt: Prompt | None, sampling: SamplingOptions) -> Mapping[str, str]:
        codes = None if prompt is None else prompt.codes
        return speech_tags(self.synthesizer.card.checkpoint_id, codes, sampling)

    def _prompt(self, prompt: Prompt | str | os.PathLike[str] | None) -> Prompt | None:
        return None if prompt is None else self._encoded(prompt)

    def _encoded(self, prompt: Prompt | str | os.PathLike[str]) -> Prompt:
        return prompt if isinstance(prompt, Prompt) else self.prompt(prompt)


def _transformed(done: TransformedRecording, tags: Mapping[str, str]) -> TransformedSpeech:
    speech, audio = done.speech, done.speech.audio
    return TransformedSpeech(audio.samples, audio.sample_rate, speech.codes, tags, speech.is_complete, done.text)


def _read(recording: Recorded) -> Audio:
    return recording if isinstance(recording, Audio) else read_speech(Path(recording))


def load(
    checkpoint: str | os.PathLike[str] = SHIPPED, *, device: str = "cpu", lexicon: str | os.PathLike[str] | None = None
) -> LoadedModel:
    """Open a checkpoint: `shipped` for the one in the package, a checkpoint directory, the name of a run, or a hub id.

    A hub id is `owner/name`, with `@REVISION` for one of several; the checkpoint is downloaded once, as a run of the
    data root.

    `lexicon` is a file of pronunciations: a word, a tab and its IPA per line.

    Of a run of the data root (`VALLE_DATA`, or `data`) the newest checkpoint is loaded. Raises CheckpointError when
    there is none or it is damaged, HubError for a repository that cannot be read, ConfigurationError for an unknown
    device.
    """
    directory = _find(checkpoint)
    synthesizer = Synthesizer.load(directory, Backends(device=device))
    if lexicon is not None:
        synthesizer = dataclasses.replace(synthesizer, lexicon=read_lexicon(Path(lexicon)))
    return LoadedModel(synthesizer, read_sampling(directory))


def _find(checkpoint: str | os.PathLike[str]) -> Path:
    if not isinstance(checkpoint, str) or Path(checkpoint).is_dir():
        return Path(checkpoint)
    root = open_data_root(None)
    if _HUB_ID.fullmatch(checkpoint):
        return _fetched(root, checkpoint)
    if Path(checkpoint).name == checkpoint:
        if not checkpoint:
            raise ConfigurationError("Give `shipped`, a checkpoint directory, the name of a run, or an id of the hub.")
        return newest_checkpoint(root.runs, EMBEDDED if checkpoint == SHIPPED else checkpoint)
    return Path(checkpoint)


def _fetched(root: DataRoot, source: str) -> Path:
    """Return the checkpoint of a repository, which is downloaded once, as a run of the data root."""
    from valle.interchange.hub.publish import fetch_run

    address, _, revision = source.partition("@")
    name = re.sub(r"[^a-z0-9_.-]+", "--", source.lower().removeprefix("file://").strip("/"))
    # Downloaded once; another revision of it has another name.
    if (root.runs / name).is_dir():
        return newest_checkpoint(root.runs, name)
    return fetch_run(root, address, name, revision=revision or None)
