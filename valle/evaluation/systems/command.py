"""Another system's command line as a system: a process that answers one JSON line per utterance.

We write `{"utterance", "text", "language", "prompt_text", "prompt_audio", "out"}` to its standard input, it answers
`{"utterance", "path", "seconds"}` (and `first_audio_seconds`, if it streams) or `{"utterance", "error"}` on its
standard output. `prompt_audio` is a WAV file, `out` where the speech should go; a path of its own choosing is fine.
Everything else that it prints on its standard error goes to a log. A process that dies or does not answer in time is
killed and started again, once per utterance; what then still fails is missing speech.
"""

import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from valle.audio import AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import keep_failure, keep_speech, pending, read_item_audio, speech_path
from valle.evaluation.systems.base import LONGEST_SECONDS
from warehouse.errors import ConfigurationError
from warehouse.fingerprints import short_hash

_ATTEMPTS = 2


class _NoAnswer(Exception):
    """The process died, hung or answered nonsense."""


@dataclass(frozen=True, slots=True)
class CommandSystem:
    """A system behind a command line.

    `version` is whatever the user says distinguishes one state of the system from another; without it a changed model
    behind the same command is not noticed. `first_timeout` holds for the first answer of a process, which loads.
    """

    command: str
    name: str
    version: str = ""
    timeout: float = 120.0
    first_timeout: float = 600.0
    checkpoint_id: None = None
    longest_seconds: float = LONGEST_SECONDS

    @property
    def identity(self) -> str:
        """See `System`."""
        return f"{self.command} {self.version}".strip()

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`. Raises ConfigurationError when the command cannot be started at all."""
        missing = pending(items, self.name, directory)
        if not missing:
            return
        beside = directory.with_name(f"{directory.name}.exchange")  # not inside: what lies there is a corpus
        beside.mkdir(parents=True, exist_ok=True)
        with _Process(self, beside / "stderr.log") as process:
            for item in missing:
                self._speak_one(item, process, directory, beside)

    def _speak_one(self, item: EvaluationItem, process: "_Process", directory: Path, beside: Path) -> None:
        path = speech_path(directory, self.name, item)
        out = beside / f"{short_hash(f'{item.utterance}-{item.trial}')[:16]}.wav"
        request = _request(item, beside, out)
        reason = "no answer"
        for _ in range(_ATTEMPTS):
            out.unlink(missing_ok=True)
            started = time.monotonic()
            try:
                answer = process.ask(request)
            except _NoAnswer as error:
                reason = str(error)
                process.stop()
                continue
            wall = time.monotonic() - started
            try:
                self._keep(path, item, answer, wall)
            except _NoAnswer as error:
                reason = str(error)
                break  # It is alive and has said what it has to say.
            out.unlink(missing_ok=True)
            return
        keep_failure(path, reason)

    @staticmethod
    def _keep(path: Path, item: EvaluationItem, answer: dict[str, Any], wall: float) -> None:
        if answer.get("error") is not None:
            raise _NoAnswer(f"the system says: {answer['error']}")
        if not isinstance(answer.get("path"), str):
            raise _NoAnswer("the answer has neither a path nor an error")
        try:
            audio = read_audio(AudioLocation(answer["path"]))
        except UnreadableAudio as error:
            raise _NoAnswer(f"its file cannot be read ({error.reason}: {error.detail})") from error
        seconds = _seconds(answer, "seconds", wall)
        first = _seconds(answer, "first_audio_seconds", wall)
        keep_speech(path, audio, item, seconds=wall if seconds is None else seconds, first_audio_seconds=first)


def _seconds(answer: dict[str, Any], key: str, wall: float) -> float | None:
    """A time that the system claims, unless it is impossible: it cannot have taken longer than we waited."""
    value = answer.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= wall:
        return None
    return float(value)


def _request(item: EvaluationItem, beside: Path, out: Path) -> dict[str, Any]:
    prompt = None
    if item.prompt_location is not None:
        prompt = beside / f"prompt-{short_hash(item.prompt)[:16]}.wav"
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


class _Process:
    """The running command, started on the first request and after each death."""

    def __init__(self, system: CommandSystem, log: Path) -> None:
        self._system = system
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._is_warm = False

    def __enter__(self) -> "_Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises _NoAnswer."""
        process = self._process or self._start()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise _NoAnswer("the process died") from error
        deadline = time.monotonic() + (self._system.timeout if self._is_warm else self._system.first_timeout)
        while True:
            line = self._next_line(deadline)
            try:
                answer = json.loads(line)
            except ValueError as error:
                raise _NoAnswer(f"its answer is no JSON: {line.strip()[:80]!r}") from error
            if not isinstance(answer, dict):
                raise _NoAnswer(f"its answer is no JSON object: {line.strip()[:80]!r}")
            if answer.get("utterance") != request["utterance"]:
                raise _NoAnswer(f"it answers for {answer.get('utterance')!r} instead of {request['utterance']!r}")
            self._is_warm = True
            return answer

    def _next_line(self, deadline: float) -> str:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty as error:
            raise _NoAnswer("it did not answer in time") from error
        if line is None:
            raise _NoAnswer("the process died")
        return line

    def _start(self) -> subprocess.Popen[str]:
        arguments = shlex.split(self._system.command)
        if not arguments:
            raise ConfigurationError("The command of the system is empty; give the command line that starts it.")
        try:
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,  # so that its children can be ended with it
                )
        except OSError as error:
            raise ConfigurationError(f"The command {self._system.command!r} cannot be started ({error}).") from error
        self._process = process
        self._is_warm = False
        self._lines = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=_pump, args=(process.stdout, self._lines), daemon=True).start()
        return process

    def stop(self) -> None:
        """End the process and its children; the next request starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # it may be dead already
                process.stdin.close()
        if self._is_warm:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pump(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        if line.strip():
            lines.put(line)
    lines.put(None)
