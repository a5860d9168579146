"""The Python API: load a checkpoint, speak, stream.

```python
import valle

model = valle.load("shipped")
model.speak("One sentence.", prompt="voice.wav").save("speech.wav")
for samples in model.stream("A long text. It sounds while it is synthesized."):
    play(samples)
```
"""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valle.audio import Audio, Samples, write_audio
from valle.backends.registry import Backends
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.codec.base import Codes
from valle.data_root import open_data_root
from valle.synthesis.long_form import Piece, speak_long
from valle.synthesis.options import (
    DEFAULT_BEST_OF,
    DEFAULT_LONG_FORM,
    DEFAULT_SAMPLING,
    DEFAULT_STREAM,
    BestOfOptions,
    LongFormOptions,
    SamplingOptions,
    StreamOptions,
    read_sampling,
)
from valle.synthesis.prompts import read_prompt
from valle.synthesis.synthesizer import Prompt, Synthesizer
from valle.text.lexicon import read_lexicon
from warehouse.errors import ConfigurationError

SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Speech of a text: float32 samples [N] within -1..1, codes [K, T], and one piece per sentence."""

    samples: Samples
    sample_rate: int
    codes: Codes
    pieces: tuple[Piece, ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def problems(self) -> tuple[str, ...]:
        """One line per sentence that is missing or cut, with its reason."""
        return tuple(f"{piece.text!r}: {piece.problem}" for piece in self.pieces if piece.problem)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write 16-bit audio: .wav, .flac or .ogg."""
        write_audio(Path(path), Audio(self.samples, self.sample_rate))


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A checkpoint that speaks; `load` opens one.

    Every method draws by `sampling`; what it leaves open is as the training of the checkpoint set it.
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
        spoken = speak_long(
            self.synthesizer,
            text,
            self._prompt(prompt),
            language=language,
            sampling=sampling.over(self.sampling),
            options=long_form,
            best_of=best_of,
        )
        audio = spoken.speech.audio
        return SpokenText(audio.samples, audio.sample_rate, spoken.speech.codes, spoken.pieces)

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
            language=language,
            sampling=sampling.over(self.sampling),
            long_form=long_form,
            options=options,
        )
        return (chunk.samples for chunk in chunks if len(chunk.samples))

    def _prompt(self, prompt: Prompt | str | os.PathLike[str] | None) -> Prompt | None:
        return prompt if prompt is None or isinstance(prompt, Prompt) else self.prompt(prompt)


def load(
    checkpoint: str | os.PathLike[str] = SHIPPED, *, device: str = "cpu", lexicon: str | os.PathLike[str] | None = None
) -> LoadedModel:
    """Open a checkpoint: `shipped` for the one in the package, a checkpoint directory, or the name of a run.

    `lexicon` is a file of pronunciations: a word, a tab and its IPA per line.

    Of a run of the data root (`VALLE_DATA`, or `data`) the newest checkpoint is loaded. Raises CheckpointError when
    there is none or it is damaged, ConfigurationError for an unknown device.
    """
    directory = _find(checkpoint)
    synthesizer = Synthesizer.load(directory, Backends(device=device))
    if lexicon is not None:
        synthesizer = dataclasses.replace(synthesizer, lexicon=read_lexicon(Path(lexicon)))
    return LoadedModel(synthesizer, read_sampling(directory))


def _find(checkpoint: str | os.PathLike[str]) -> Path:
    if isinstance(checkpoint, str) and Path(checkpoint).name == checkpoint and not Path(checkpoint).is_dir():
        if not checkpoint:
            raise ConfigurationError("Give `shipped`, a checkpoint directory, or the name of a run.")
        return newest_checkpoint(open_data_root(None).runs, EMBEDDED if checkpoint == SHIPPED else checkpoint)
    return Path(checkpoint)
