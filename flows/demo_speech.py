"""The sentences that the demo synthesizes, and their transcriptions."""

from dataclasses import dataclass
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.runtime.notices import notify
from valle.audio import AudioLocation, read_audio, resample, write_audio
from valle.backends.asr import SAMPLE_RATE
from valle.backends.registry import Backends
from valle.checkpoints.runs import newest_checkpoint, read_summary
from valle.data_root import DataRoot
from valle.reporting import write_text
from valle.synthesis.options import read_sampling

OPEN_TEXT = "The train leaves at five o'clock."
"""Sentence for the checkpoint of the repository, which speaks open English."""
DIGITS = "Three one four one five nine."
"""Sentence for the model of the demo: its corpus is mostly digits."""
_ASR = "tiny.en"


@dataclass(frozen=True, slots=True)
class DemoSpeech:
    """Speech of a checkpoint with a speaker outside its training set, and its transcription by an ASR model."""

    path: Path
    checkpoint: str
    transcription: str

    def describe(self) -> str:
        """Return checkpoint and transcription in one line."""
        return f"{self.checkpoint}: {_ASR} transcribes {self.transcription!r}"


@task(cache_policy=NO_CACHE, persist_result=False)
def speak_once(root: DataRoot, run: str, text: str, prompt: Path) -> DemoSpeech:
    """Synthesize a text with the speaker of a recording, unless the speech of this checkpoint exists."""
    checkpoint = newest_checkpoint(root.runs, run)
    name = read_summary(checkpoint).checkpoint_id
    path, transcription_file = root.speech / f"{name}.wav", root.speech / f"{name}.transcription.txt"
    if transcription_file.exists():  # written after the audio
        return DemoSpeech(path, name, transcription_file.read_text(encoding="utf-8"))
    notify("speak with %s: %r", name, text)
    # Torch needs seconds to import, and a server that deploys the flow does not need it.
    from valle.synthesis.synthesizer import Synthesizer

    backends = Backends()
    synthesizer = Synthesizer.load(checkpoint, backends)
    voice = synthesizer.encode_prompt(read_audio(AudioLocation(str(prompt)), synthesizer.codec.spec.sample_rate))
    speech = synthesizer.speak_text(text, voice, options=read_sampling(checkpoint))
    write_audio(path, speech.audio)
    samples = resample(speech.audio.samples, speech.audio.sample_rate, SAMPLE_RATE)
    [found] = backends.transcriber(_ASR).transcribe([samples], language="en") if len(samples) else [None]
    transcription = found.text if found is not None else ""
    write_text(transcription_file, transcription)
    return DemoSpeech(path, name, transcription)
