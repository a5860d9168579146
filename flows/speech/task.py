"""A task of a checkpoint as a flow: recordings or texts in, files of a folder and a table in the UI out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from prefect import flow

from flows.runtime.artifacts import publish_markdown
from flows.runtime.notices import notify
from flows.runtime.where import run_logger
from flows.speech.parameters import SpeechJob, SpeechTaskParameters
from valle.reporting import markdown_rows, write_text
from valle.synthesis.default_checkpoint import find_checkpoint
from valle.synthesis.options import SamplingOptions, read_sampling
from warehouse.errors import CheckpointError, ConfigurationError, PipelineError

if TYPE_CHECKING:
    from valle.api import LoadedModel, SynthesizedAudio
    from valle.synthesis.synthesizer import Prompt

_TRANSFORMS: Mapping[str, str] = MappingProxyType({"denoise": "ns", "remove-speech": "sr", "extract": "tse"})
_CUT = "it was cut at the longest duration; set sampling.max_seconds higher"
_HEADER = ("given", "words", "result", "seconds", "problem")


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """Outcome of a job: what it was given, words used, name of the file or phonemes made, and what went wrong."""

    given: str
    words: str
    made: str = ""
    seconds: float | None = None
    problem: str = ""

    @property
    def cells(self) -> tuple[str | None, ...]:
        """Cells of the table, in the order of its header."""
        seconds = None if self.seconds is None else f"{self.seconds:.2f}"
        return self.given, self.words or None, self.made or None, seconds, self.problem or None


@flow(name="speech-task", flow_run_name="{parameters.task} {parameters.subject}")
def speech_task(parameters: SpeechTaskParameters) -> Path:
    """Run a task on each recording or text, and return the folder of the results.

    A job that fails is a line of the table, and the others are done; the run then fails at its end. What the checkpoint
    has not learnt is refused at the first.
    """
    try:
        jobs = parameters.jobs()
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    runner = _open_runner(parameters)
    folder = parameters.data_root.speech / "tasks" / f"{parameters.task}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    folder.mkdir(parents=True, exist_ok=True)
    results: list[SpeechResult] = []
    for job in jobs:
        results.append(runner.run(job, folder / f"{job.name}.wav"))
        # After each: a run that is cancelled keeps what it has made.
        write_text(folder / "report.md", _describe(parameters, results, folder))
    failed = [one for one in results if one.problem]
    publish_markdown(f"task {parameters.task}", _describe(parameters, results, folder), str(folder))
    notify("%s: %d of %d done, in %s", parameters.task, len(results) - len(failed), len(results), folder)
    if failed:
        raise ConfigurationError(f"{len(failed)} of {len(results)} failed; {failed[0].given}: {failed[0].problem}")
    return folder


def _describe(parameters: SpeechTaskParameters, results: Sequence[SpeechResult], folder: Path) -> str:
    table = markdown_rows(_HEADER, [one.cells for one in results], numeric=[name == "seconds" for name in _HEADER])
    return f"# {parameters.task}\n\nFolder: `{folder}`\n\n{table}\n"


def _open_runner(parameters: SpeechTaskParameters) -> "_Runner":
    # Torch needs seconds to import, and a server that deploys the flow does not need it.
    from valle.api import LoadedModel
    from valle.backends.registry import Backends
    from valle.synthesis.synthesizer import Synthesizer

    root = parameters.data_root.root
    checkpoint, reason = find_checkpoint(data=root, run=parameters.run, checkpoint=parameters.checkpoint)
    if reason is not None:
        run_logger().info(reason)
    model = LoadedModel(Synthesizer.load(checkpoint, Backends(device=parameters.device)), read_sampling(checkpoint))
    return _Runner(model, parameters, None if parameters.voice is None else model.prompt(parameters.voice))


@dataclass(frozen=True, slots=True)
class _Runner:
    """A checkpoint with what all jobs of a run share."""

    model: "LoadedModel"
    asked: SpeechTaskParameters
    voice: "Prompt | None"

    def run(self, job: SpeechJob, path: Path) -> SpeechResult:
        """Do a job and write its speech; an error of its own is its problem."""
        given = job.text if job.recording is None else str(job.recording)
        try:
            found = self._of_text(job.text, path) if job.recording is None else self._of_recording(job, path)
        except CheckpointError:  # of every job alike
            raise
        except PipelineError as error:
            run_logger().warning("%s: %s", given, error)
            return SpeechResult(given, job.text, problem=str(error))
        run_logger().info("%s: %r, %s", given, found.words, found.made)
        return found

    def _of_text(self, text: str, path: Path) -> SpeechResult:
        language = self.asked.language
        if self.asked.task == "phonemize-text":
            return SpeechResult(text, text, "".join(self.model.phonemize(text, language=language)))
        spoken = self.model.speak(text, self.voice, language=language, sampling=self._sampling)
        return _saved(spoken, text, text, path, "; ".join(spoken.problems))

    def _of_recording(self, job: SpeechJob, path: Path) -> SpeechResult:
        recording = str(job.recording)
        if self.asked.task == "transcribe-speech":
            return SpeechResult(recording, "", "".join(self.model.transcribe(recording, language=self.asked.language)))
        if self.asked.task == "edit":
            return self._edited(recording, job.text, path)
        if self.asked.task == "convert":
            return self._converted(recording, job.text, path)
        done = self.model.transform(
            _TRANSFORMS[self.asked.task],
            recording,
            self.voice,
            text=job.text,
            language=self.asked.language,
            transcribe=self.asked.transcribe,
            asr=self.asked.asr,
            sampling=self._sampling,
        )
        return _saved(done, recording, done.source.text, path, "" if done.is_complete else _CUT)

    def _edited(self, recording: str, text: str, path: Path) -> SpeechResult:
        from valle.synthesis.editing import parse_replacement

        edited = self.model.edit(
            recording,
            {pair.old: pair.new for pair in map(parse_replacement, self.asked.replace)},
            text=text,
            language=self.asked.language,
            asr=self.asked.asr,
            method=self.asked.editing,
            sampling=self._sampling,
        )
        return _saved(edited, recording, edited.text, path, "" if edited.is_complete else _CUT)

    def _converted(self, recording: str, text: str, path: Path) -> SpeechResult:
        if self.voice is None:  # the parameters have refused it
            raise ValueError("A conversion has no voice.")
        done = self.model.convert(
            recording,
            self.voice,
            method=self.asked.conversion,
            kept=self.asked.kept,
            text=text,
            language=self.asked.language,
            transcribe=self.asked.transcribe,
            asr=self.asked.asr,
            sampling=self._sampling,
        )
        return _saved(done, recording, done.source.text, path, "" if done.is_complete else _CUT)

    @property
    def _sampling(self) -> SamplingOptions:
        return self.asked.sampling or SamplingOptions()


def _saved(speech: "SynthesizedAudio", given: str, words: str, path: Path, problem: str) -> SpeechResult:
    # A file without a sample is no file for most readers.
    if not len(speech.samples):
        return SpeechResult(given, words, problem=problem or "the model ended before the first sound")
    speech.save(path)
    return SpeechResult(given, words, path.name, speech.duration, problem)
