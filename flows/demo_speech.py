"""The sentence that the demo says, and what a speech recogniser hears of it."""

from dataclasses import dataclass
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from valle.audio import AudioLocation, read_audio, resample, write_audio
from valle.backends.asr import SAMPLE_RATE
from valle.backends.registry import Backends
from valle.checkpoints.runs import newest_checkpoint, read_summary
from valle.data_root import DataRoot
from valle.reporting import write_text
from valle.synthesis.options import read_sampling

TEXT = "Three one four one five nine."
_ASR = "tiny.en"


@dataclass(frozen=True, slots=True)
class DemoSpeech:
    """Speech of a checkpoint in a voice that it was never trained on; `heard` is what an ASR model heard."""

    path: Path
    checkpoint: str
    heard: str

    def describe(self) -> str:
        """In a line: who said what, and what was heard."""
        return f"({self.checkpoint} says {TEXT!r}; {_ASR} hears {self.heard!r})"


@task(cache_policy=NO_CACHE, persist_result=False)
def speak_once(root: DataRoot, run: str, prompt: Path) -> DemoSpeech:
    """Say the sentence of the demo in the voice of a recording, unless this checkpoint has said it already."""
    checkpoint = newest_checkpoint(root.runs, run)
    name = read_summary(checkpoint).checkpoint_id
    path, note = root.speech / f"{name}.wav", root.speech / f"{name}.heard.txt"
    if note.exists():  # it is written last
        return DemoSpeech(path, name, note.read_text(encoding="utf-8"))
    # Torch takes seconds, and a server that registers the flow needs none of it.
    from valle.synthesis.synthesizer import Synthesizer

    backends = Backends()
    synthesizer = Synthesizer.load(checkpoint, backends)
    voice = synthesizer.encode_prompt(read_audio(AudioLocation(str(prompt)), synthesizer.codec.spec.sample_rate))
    speech = synthesizer.speak_text(TEXT, voice, options=read_sampling(checkpoint))
    write_audio(path, speech.audio)
    samples = resample(speech.audio.samples, speech.audio.sample_rate, SAMPLE_RATE)
    [heard] = backends.transcriber(_ASR).transcribe([samples], language="en") if len(samples) else [None]
    text = heard.text if heard is not None else ""
    write_text(note, text)
    return DemoSpeech(path, name, text)
