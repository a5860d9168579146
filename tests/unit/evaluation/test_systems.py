"""Systems that somebody else made: a folder of audio, and a command that speaks one JSON line per utterance."""

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from valle.audio import Audio, AudioLocation, read_audio, write_audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import (
    continued_path,
    find_speech,
    note_circumstances,
    read_circumstances,
    speech_path,
    write_continued,
)
from valle.evaluation.systems.base import FolderSystem, check_system_name
from valle.evaluation.systems.command import CommandSystem
from warehouse.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
TALKER = Path(__file__).with_name("talker.py")
RATE = 16_000


def tone(seconds):
    return Audio((0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.1)).astype(np.float32), RATE)


@pytest.fixture
def make_item(tmp_path):
    prompt = tmp_path / "prompt.wav"
    write_audio(prompt, tone(1.0))

    def make(utterance, text="one two three", trial=0, protocol="seed_tts_eval"):
        return EvaluationItem(
            utterance=utterance,
            text=text,
            language="en",
            speaker="ann",
            location=None,
            duration=None,
            prompt="p",
            prompt_location=AudioLocation(str(prompt)),
            prompt_text="",
            prompt_duration=1.0,
            protocol=protocol,
            trial=trial,
        )

    return make


@pytest.fixture
def talker(tmp_path):
    """The command of a talker and a reader of its log: one (process, utterance) per request."""
    log = tmp_path / "talker.log"
    command = shlex.join([sys.executable, str(TALKER), str(log)])
    system = CommandSystem(command, "talker", timeout=1.0, first_timeout=10.0)
    return system, lambda: [line.split() for line in log.read_text(encoding="utf-8").splitlines()]


def speak(system, items, directory):
    system.speak(items, directory, Backends())
    return find_speech(items, system.name, directory)


def test_a_command_answers_one_line_per_utterance_in_one_process(talker, make_item, tmp_path):
    system, log = talker
    items = [make_item("a"), make_item("b", "one two"), make_item("b", "one two", trial=1)]
    spoken = speak(system, items, tmp_path / "speech")
    assert [one.failure for one in spoken] == [None] * 3
    assert [round(read_audio(AudioLocation(str(one.path))).duration, 2) for one in spoken] == [0.3, 0.2, 0.2]
    assert (spoken[0].seconds, spoken[0].first_audio_seconds) == (0.001, 0.0005)
    assert spoken[0].path.with_suffix(".txt").read_text(encoding="utf-8") == "one two three\n"
    assert len({process for process, _ in log()}) == 1


def test_what_was_said_is_not_asked_for_again(talker, make_item, tmp_path):
    system, log = talker
    speak(system, [make_item("a")], tmp_path / "speech")
    before = speech_path(tmp_path / "speech", "talker", make_item("a")).stat().st_mtime_ns
    speak(system, [make_item("a"), make_item("b")], tmp_path / "speech")
    assert [utterance for _, utterance in log()] == ["a", "b"]
    assert speech_path(tmp_path / "speech", "talker", make_item("a")).stat().st_mtime_ns == before


def test_a_crash_starts_the_command_again_once_for_each_utterance(talker, make_item, tmp_path):
    system, log = talker
    items = [make_item("a"), make_item("b", "crash once"), make_item("c", "crash always"), make_item("d")]
    failures = {one.utterance: one.failure for one in speak(system, items, tmp_path / "speech")}
    assert failures == {"a": None, "b": None, "c": "the process died", "d": None}
    assert [utterance for _, utterance in log()] == ["a", "b", "b", "c", "c", "d"]
    assert len({process for process, _ in log()}) == 4


def test_a_command_that_hangs_is_killed_and_the_next_utterance_is_spoken(talker, make_item, tmp_path):
    system, _ = talker
    started = time.monotonic()
    spoken = speak(
        dataclasses.replace(system, first_timeout=1.0), [make_item("a", "hang"), make_item("b")], tmp_path / "speech"
    )
    assert [one.failure for one in spoken] == ["it did not answer in time", None]
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("please fail", "the system says: out of memory"),
        ("print nonsense", "its answer is no JSON: 'Loading model...'"),
        ("tell a lie", "its file cannot be read (missing_file"),
    ],
)
def test_an_answer_without_speech_is_a_failure_with_its_reason(talker, make_item, tmp_path, text, expected):
    (one,) = speak(talker[0], [make_item("a", text)], tmp_path / "speech")
    assert one.failure.startswith(expected)
    assert not one.path.exists()


def test_a_time_that_cannot_be_true_is_replaced_by_our_own_clock(talker, make_item, tmp_path):
    (one,) = speak(talker[0], [make_item("a", "slow clock")], tmp_path / "speech")
    assert 0 < one.seconds < 20


def test_a_command_that_does_not_exist_is_one_sentence(make_item, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be started"):
        speak(CommandSystem("no-such-program-here", "x"), [make_item("a")], tmp_path / "speech")


def test_a_kill_at_any_moment_loses_at_most_the_utterance_in_work(talker, make_item, tmp_path):
    """The evaluating process is killed without warning; the next one asks only for what is not there."""
    system, log = talker
    names = [f"u{number}" for number in range(40)]
    script = (
        "import sys; from valle.evaluation.systems.command import CommandSystem\n"
        "from valle.backends.registry import Backends\n"
        "from tests.unit.evaluation.test_systems import items_for_kill; from pathlib import Path\n"
        "CommandSystem(sys.argv[1], 'talker').speak(items_for_kill(Path(sys.argv[2])), "
        "Path(sys.argv[2]) / 'speech', Backends())\n"
    )
    make_item("a")  # writes the prompt
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script, system.command, str(tmp_path)], env=environment)
    directory = tmp_path / "speech" / "talker"
    deadline = time.monotonic() + 60
    while len(list(directory.glob("u*.flac"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in directory.glob("u*.flac")}
    assert 5 <= len(kept) < 40
    items = items_for_kill(tmp_path)
    spoken = speak(system, items, tmp_path / "speech")
    assert [one.utterance for one in spoken if one.failure is None] == names
    assert all((directory / name).stat().st_mtime_ns == time_written for name, time_written in kept.items())
    assert len(log()) <= 41  # what was in work is asked for again, and nothing else


def items_for_kill(folder):
    prompt = AudioLocation(str(folder / "prompt.wav"))
    return [
        EvaluationItem(
            utterance=f"u{number}",
            text="one two three",
            language="en",
            speaker="ann",
            location=None,
            duration=None,
            prompt="p",
            prompt_location=prompt,
            prompt_text="",
            prompt_duration=1.0,
            protocol="seed_tts_eval",
        )
        for number in range(40)
    ]


def test_a_folder_gives_its_files_by_utterance_and_trial(make_item, tmp_path):
    folder = tmp_path / "theirs"
    for name, seconds in (("a.wav", 0.5), ("a-1.wav", 0.75), ("b.flac", 1.0), ("stranger.wav", 2.0)):
        write_audio(folder / name, tone(seconds))
    (folder / "c.wav").write_bytes(b"not audio")
    items = [make_item("a"), make_item("a", trial=1), make_item("b"), make_item("c"), make_item("d")]
    spoken = speak(FolderSystem(folder, "theirs"), items, tmp_path / "speech")
    durations = [read_audio(AudioLocation(str(one.path))).duration for one in spoken if one.failure is None]
    assert durations == [0.5, 0.75, 1.0]
    assert [one.failure for one in spoken][4] == "there is no file"
    assert "undecodable" in [one.failure for one in spoken][3]


def test_the_identity_of_a_folder_follows_the_content_of_its_files(tmp_path):
    folder = tmp_path / "theirs"
    write_audio(folder / "a.wav", tone(0.5))
    first = FolderSystem(folder, "theirs").identity
    assert FolderSystem(folder, "theirs").identity == first
    write_audio(folder / "a.wav", tone(0.6))
    assert FolderSystem(folder, "theirs").identity != first


def test_a_folder_without_any_of_the_utterances_is_refused(make_item, tmp_path):
    write_audio(tmp_path / "theirs" / "other.wav", tone(0.5))
    with pytest.raises(ConfigurationError, match=r"should be called like a\.wav"):
        speak(FolderSystem(tmp_path / "theirs", "theirs"), [make_item("a")], tmp_path / "speech")
    with pytest.raises(ConfigurationError, match="There is no folder"):
        _ = FolderSystem(tmp_path / "nowhere", "theirs").identity


def test_the_voice_of_a_continuation_is_taken_from_what_follows_the_prompt(make_item, tmp_path):
    directory = tmp_path / "speech"
    items = [make_item("a", protocol="librispeech_continuation"), make_item("b", protocol="librispeech_continuation")]
    for item, seconds in zip(items, (2.5, 0.9), strict=True):
        write_audio(speech_path(directory, "model", item), tone(seconds))
    write_continued(items, ("model",), directory)
    long, short = (continued_path(speech_path(directory, "model", item)) for item in items)
    assert read_audio(AudioLocation(str(long))).duration == pytest.approx(1.5)
    assert not short.exists()
    assert directory not in long.parents


def test_the_hardware_that_made_speech_is_noted_once(tmp_path):
    note_circumstances(tmp_path, "cpu", 2)
    note_circumstances(tmp_path, "cpu", 2)
    (line,) = read_circumstances(tmp_path)
    assert "device cpu, 2 threads" in line


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_a_system_is_called_like_a_folder(name):
    with pytest.raises(ConfigurationError, match="system's name"):
        check_system_name(name)
