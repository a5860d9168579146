"""Evaluate the command line of another system: a process that answers one JSON line per utterance.

The evaluation writes `{"utterance", "trial", "text", "language", "prompt_text", "prompt_audio", "out"}` to its standard
input; it answers with `{"utterance", "path", "seconds"}` (and `first_audio_seconds`, if it streams) or
`{"utterance", "error"}` on its standard output. `prompt_audio` is a WAV file, `out` a suggested path for the speech. It
may write `{"ready": true}` once it has loaded: loading then counts towards no time of an utterance.

Its standard error goes to a log. A process that dies or exceeds its time is killed and started again, once per
utterance; an utterance without an answer after that is missing speech.
"""

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from valle.audio import AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import (
    pending,
    read_item_audio,
    speech_path,
    write_failure,
    write_speech,
)
from valle.evaluation.systems.base import MAX_SECONDS
from valle.evaluation.systems.line_process import LineProcess, NoAnswer
from warehouse.errors import ConfigurationError
from warehouse.fingerprints import short_hash

# A second attempt in a new process tells an accident from an utterance that always fails.
_ATTEMPTS = 2
_GRACE_SECONDS = 2.0
_MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class CommandSystem:
    """A system behind a command line.

    `version` distinguishes states of the system; without it a changed model behind the same command is not noticed.
    `first_timeout` limits the first answer of a process, which includes loading unless the process reports that it is
    ready; `timeout` limits all other answers.
    """

    command: str
    name: str
    version: str = ""
    timeout: float = 120.0
    first_timeout: float = 600.0
    checkpoint_id: None = None
    max_seconds: float = MAX_SECONDS
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @property
    def identity(self) -> str:
        """See `System`."""
        return f"{self.command} {self.version}".strip()

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`. Raise ConfigurationError when the command cannot be started."""
        missing = pending(items, self.name, directory)
        if not missing:
            return
        exchange = directory.with_name(f"{directory.name}.exchange")  # a sibling: `directory` itself is a corpus
        exchange.mkdir(parents=True, exist_ok=True)
        with _Conversation(self, exchange / "stderr.log") as conversation:
            for item in missing:
                self._speak_one(item, conversation, directory, exchange)

    def _speak_one(self, item: EvaluationItem, conversation: "_Conversation", directory: Path, exchange: Path) -> None:
        path = speech_path(directory, self.name, item)
        out = exchange / f"{short_hash(f'{item.utterance}-{item.trial}')[:16]}.wav"
        request = _request(item, exchange, out)
        reason = "no answer"
        for _ in range(_ATTEMPTS):
            # A file of an earlier attempt must not pass for the answer.
            out.unlink(missing_ok=True)
            try:
                answer = conversation.ask(request)
            except NoAnswer as error:
                reason = str(error)
                conversation.stop()
                continue
            try:
                self._write(path, item, answer)
            except NoAnswer as error:
                reason = str(error)
                break  # The process is alive and has answered, so another attempt would give the same.
            out.unlink(missing_ok=True)
            return
        write_failure(path, reason[:_MAX_REASON_CHARACTERS])

    def _write(self, path: Path, item: EvaluationItem, answer: "_Answer") -> None:
        content = answer.content
        if content.get("error") is not None:
            raise NoAnswer(f"the system reports: {content['error']}")
        if not isinstance(content.get("path"), str):
            raise NoAnswer("the answer has neither a path nor an error")
        try:
            audio = read_audio(AudioLocation(content["path"]))
        except UnreadableAudio as error:
            raise NoAnswer(f"its file cannot be read ({error.reason}: {error.detail})") from error
        if audio.duration > self.max_seconds:
            raise NoAnswer(f"longer than {self.max_seconds:g} s")
        seconds = answer.reported_time("seconds")
        write_speech(
            path,
            audio,
            item,
            seconds=answer.wall_seconds if seconds is None else seconds,
            first_audio_seconds=answer.reported_time("first_audio_seconds"),
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """The JSON object of an answer, and the wall time from request to answer."""

    content: dict[str, Any]
    wall_seconds: float

    def reported_time(self, name: str) -> float | None:
        """Return a time that the system measured; None when it is absent or exceeds the measured wall time."""
        value = self.content.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= self.wall_seconds:
            return None
        return float(value)


def _request(item: EvaluationItem, exchange: Path, out: Path) -> dict[str, Any]:
    prompt = None
    if item.prompt_location is not None:
        prompt = exchange / f"prompt-{short_hash(item.prompt)[:16]}.wav"
        if not prompt.exists():
            write_audio(prompt, read_item_audio(item.prompt_location))
    return {
        "utterance": item.utterance,
        "trial": item.trial,
        "text": item.text,
        "language": item.language,
        "prompt_text": item.prompt_text,
        "prompt_audio": None if prompt is None else str(prompt),
        "out": str(out),
    }


class _Conversation:
    """The running command, started on the first request and after each death."""

    def __init__(self, system: CommandSystem, log: Path) -> None:
        self._system = system
        self._log = log
        self._process: LineProcess | None = None
        self._has_loaded = False

    def __enter__(self) -> "_Conversation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, request: dict[str, Any]) -> _Answer:
        """Return the answer to one request. Raise NoAnswer."""
        system = self._system
        process = self._process or self._start()
        # Before sending: a fast process may answer before this thread runs again.
        started = system.clock()
        process.send(json.dumps(request, ensure_ascii=False))
        deadline = started + (system.timeout if self._has_loaded else system.first_timeout)
        while True:
            content = _parse(process.receive(deadline))
            if content.get("ready") is True and not self._has_loaded:
                self._has_loaded = True
                started = system.clock()
                deadline = started + system.timeout
                continue
            # After an answer to an earlier request, all later answers would belong to other utterances.
            if content.get("utterance") != request["utterance"]:
                raise NoAnswer(f"it answers for {content.get('utterance')!r} instead of {request['utterance']!r}")
            self._has_loaded = True
            return _Answer(content, system.clock() - started)

    def _start(self) -> LineProcess:
        arguments = shlex.split(self._system.command)
        if not arguments:
            raise ConfigurationError("The command of the system is empty; give the command line that starts it.")
        try:
            process = LineProcess(arguments, self._log, clock=self._system.clock)
        except OSError as error:
            raise ConfigurationError(f"The command {self._system.command!r} cannot be started ({error}).") from error
        self._process = process
        self._has_loaded = False
        return process

    def stop(self) -> None:
        """End the process and its children; the next request starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.close(grace_seconds=_GRACE_SECONDS if self._has_loaded else 0.0)


def _parse(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NoAnswer(f"its answer is no JSON: {line.strip()[:80]!r}") from error
    if not isinstance(content, dict):
        raise NoAnswer(f"its answer is no JSON object: {line.strip()[:80]!r}")
    return content
