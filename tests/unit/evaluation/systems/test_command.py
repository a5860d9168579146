"""The command line of another system: one JSON line per utterance, within time and memory."""

import dataclasses
import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.evaluation.systems.conftest import item_with_prompt, speak
from valle.audio import AudioLocation, read_audio
from valle.evaluation.systems.audio_files import speech_path
from valle.evaluation.systems.command import CommandSystem
from valle.evaluation.systems.line_process import MAX_LOG_BYTES
from warehouse.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[4]
TALKER = Path(__file__).with_name("talker.py")
HOUR = 3600.0


def is_alive(marker):
    """Return whether the process that left a marker before it hung still exists."""
    try:
        os.kill(int(marker.name.removeprefix("hang-")), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def talker(tmp_path):
    """The command of a talker and a reader of its log: one (process, utterance) per request.

    The clock jumps by a day at every look while a program hangs, so that timeouts of an hour pass at once and nothing
    else ever times out, however slow the machine is.
    """
    log = tmp_path / "talker.log"
    jumps = itertools.count(1)
    passed = 0.0

    def clock():
        nonlocal passed
        if any(is_alive(marker) for marker in tmp_path.glob("hang-*")):
            passed = 24 * HOUR * next(jumps)
        return time.monotonic() + passed

    system = CommandSystem(
        shlex.join([sys.executable, str(TALKER), str(log)]),
        "talker",
        timeout=HOUR,
        first_timeout=HOUR,
        clock=clock,
    )
    return system, lambda: [line.split() for line in log.read_text(encoding="utf-8").splitlines()]


def with_option(system, option):
    return dataclasses.replace(system, command=f"{system.command} {option}")


def failures_of(spoken):
    return [speech.failure for speech in spoken]


def test_a_command_answers_one_line_per_utterance_in_one_process(talker, make_item, tmp_path):
    system, log = talker
    items = [make_item("a"), make_item("b", "one two"), make_item("b", "one two", trial=1)]
    spoken = speak(system, items, tmp_path / "speech")
    assert failures_of(spoken) == [None] * 3
    assert [round(read_audio(AudioLocation(str(speech.path))).duration, 2) for speech in spoken] == [0.3, 0.2, 0.2]
    assert (spoken[0].seconds, spoken[0].first_audio_seconds) == (0.001, 0.0005)
    assert spoken[0].path.with_suffix(".txt").read_text(encoding="utf-8") == "one two three\n"
    assert len({process for process, _ in log()}) == 1


def test_existing_speech_is_not_requested_again(talker, make_item, tmp_path):
    system, log = talker
    speak(system, [make_item("a")], tmp_path / "speech")
    before = speech_path(tmp_path / "speech", "talker", make_item("a")).stat().st_mtime_ns
    speak(system, [make_item("a"), make_item("b")], tmp_path / "speech")
    assert [utterance for _, utterance in log()] == ["a", "b"]
    assert speech_path(tmp_path / "speech", "talker", make_item("a")).stat().st_mtime_ns == before


def test_a_crash_starts_the_command_again_once_for_each_utterance(talker, make_item, tmp_path):
    system, log = talker
    items = [make_item("a"), make_item("b", "crash once"), make_item("c", "crash always"), make_item("d")]
    spoken = speak(system, items, tmp_path / "speech")
    assert failures_of(spoken) == [None, None, "the process died", None]
    assert [utterance for _, utterance in log()] == ["a", "b", "b", "c", "c", "d"]
    assert len({process for process, _ in log()}) == 4


@pytest.mark.parametrize("option", ["", "--ready"])
def test_a_command_that_hangs_is_killed_and_the_next_utterance_is_spoken(talker, make_item, tmp_path, option):
    system, log = talker
    items = [make_item("a"), make_item("b", "hang"), make_item("c")]
    spoken = speak(with_option(system, option), items, tmp_path / "speech")
    assert failures_of(spoken) == [None, "it did not answer in time", None]
    assert [utterance for _, utterance in log()] == ["a", "b", "b", "c"]
    markers = list(tmp_path.glob("hang-*"))
    assert len(markers) == 2
    assert not any(is_alive(marker) for marker in markers)


def test_a_command_that_never_reads_does_not_block_the_evaluation(talker, make_item, tmp_path):
    item = make_item("a", "one " * 300_000)  # far more than a pipe holds
    (speech,) = speak(with_option(talker[0], "--never-reads"), [item], tmp_path / "speech")
    assert speech.failure == "it did not answer in time"


def test_loading_counts_towards_no_time_once_the_process_reports_that_it_is_ready(make_item, tmp_path):
    """A clock that only loading advances, by a thousand seconds: longer than one utterance may take."""
    script = tmp_path / "loader.py"
    script.write_text(
        "import json, pathlib, shutil, sys\n"
        "ticks = pathlib.Path(sys.argv[1])\n"
        "request = json.loads(sys.stdin.readline())\n"
        "ticks.write_text('1000')\n"
        "print(json.dumps({'ready': True}), flush=True)\n"
        "shutil.copy(request['prompt_audio'], request['out'])\n"
        "print(json.dumps({'utterance': request['utterance'], 'path': request['out']}), flush=True)\n",
        encoding="utf-8",
    )
    ticks = tmp_path / "ticks"
    ticks.write_text("0", encoding="utf-8")
    system = CommandSystem(
        shlex.join([sys.executable, str(script), str(ticks)]),
        "loader",
        timeout=10.0,
        first_timeout=2000.0,
        clock=lambda: float(ticks.read_text(encoding="utf-8") or 0),
    )
    (speech,) = speak(system, [make_item("a")], tmp_path / "speech")
    assert (speech.failure, speech.seconds) == (None, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("please fail", "the system reports: out of memory"),
        ("print nonsense", "its answer is no JSON: 'Loading model...'"),
        ("nested deep", "its answer is no JSON: '[[["),
        ("tell a lie", "its file cannot be read (missing_file"),
        ("an endless line", "its answer is longer than 1 MB"),
        ("many stray answers", "it answers for 'stranger' instead of 'a'"),
        ("very long", "longer than 180 s"),
    ],
)
def test_an_answer_without_speech_is_a_failure_with_its_reason(talker, make_item, tmp_path, text, expected):
    first, second = speak(talker[0], [make_item("a", text), make_item("b")], tmp_path / "speech")
    assert first.failure.startswith(expected)
    assert len(first.failure) <= 500
    assert not first.path.exists()
    assert second.failure is None


def test_the_log_of_standard_error_is_bounded_and_its_writer_never_blocks(talker, make_item, tmp_path):
    (speech,) = speak(talker[0], [make_item("a", "complain")], tmp_path / "speech")
    assert speech.failure is None
    assert (tmp_path / "speech.exchange" / "stderr.log").stat().st_size == MAX_LOG_BYTES


def test_an_impossible_time_is_replaced_by_the_measured_one(talker, make_item, tmp_path):
    (speech,) = speak(talker[0], [make_item("a", "slow clock")], tmp_path / "speech")
    assert 0 < speech.seconds < 1e6


def test_a_command_that_does_not_exist_is_one_sentence(make_item, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be started"):
        speak(CommandSystem("no-such-program-here", "x"), [make_item("a")], tmp_path / "speech")


def test_a_kill_at_any_moment_loses_at_most_the_utterance_in_work(talker, make_item, tmp_path):
    """The evaluating process is killed without warning; the next one requests only what is missing."""
    system, log = talker
    names = [f"u{number}" for number in range(40)]
    script = (
        "import sys; from valle.evaluation.systems.command import CommandSystem\n"
        "from valle.backends.registry import Backends\n"
        "from tests.unit.evaluation.systems.test_command import items_for_kill; from pathlib import Path\n"
        "CommandSystem(sys.argv[1], 'talker').speak(items_for_kill(Path(sys.argv[2])), "
        "Path(sys.argv[2]) / 'speech', Backends())\n"
    )
    make_item("a")  # writes the prompt
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script, system.command, str(tmp_path)], env=environment)
    directory = tmp_path / "speech" / "talker"
    while len(list(directory.glob("u*.flac"))) < 5 and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in directory.glob("u*.flac")}
    assert 5 <= len(kept) < 40
    items = items_for_kill(tmp_path)
    spoken = speak(system, items, tmp_path / "speech")
    assert [speech.utterance for speech in spoken if speech.failure is None] == names
    assert all((directory / name).stat().st_mtime_ns == time_written for name, time_written in kept.items())
    assert len(log()) <= 41  # what was in work is requested again, and nothing else


def items_for_kill(folder):
    return [item_with_prompt(folder / "prompt.wav", f"u{number}") for number in range(40)]
