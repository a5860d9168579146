"""Systems of others go through the whole flow: a folder of audio, and a command; done once, it is found again."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from flows.evaluate import evaluate
from flows.parameters import EvaluateParameters
from manifests.demo.clips import demo_clips
from tests.pipeline.prepared import rows_of
from valle.audio import Audio, AudioLocation, read_audio, write_audio
from valle.backends.registry import Backends
from valle.data_root import DataRoot
from valle.evaluation.items.item_list import read_list
from valle.evaluation.resolve import find_finished_report

TALKER = Path(__file__).parents[1] / "unit" / "evaluation" / "systems" / "talker.py"
pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sentences of two voices, each with a prompt and its recording, as seed-tts-eval lists them."""
    path = tmp_path_factory.mktemp("list") / "meta.lst"
    clips = [clip for clip in demo_clips() if clip.kind == "sentence"]
    rows = []
    for speaker, index in (("am_santa", 0), ("bm_fable", 0), ("bm_fable", 2)):
        of_speaker = [clip for clip in clips if clip.speaker == speaker]
        target, prompt = of_speaker[index], of_speaker[1]
        rows.append(f"{target.id}|{prompt.text}|{prompt.path}|{target.text}|{target.path}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_long(path: Path, audio: Audio) -> None:
    """Write a recording again and again, for more than 72 s: longer than an utterance of training may be."""
    path.parent.mkdir(parents=True)
    repeats = int(72.0 / audio.duration) + 1
    soundfile.write(path, np.tile(audio.samples, repeats), audio.sample_rate, format="WAV")


def test_a_folder_and_a_command_are_measured_beside_the_controls(
    tmp_path: Path, listing: Path, prefect_server: None
) -> None:
    folder = tmp_path / "peer"
    first, _, long = (line.split("|") for line in listing.read_text(encoding="utf-8").splitlines())
    write_audio(folder / f"{first[0]}.wav", read_audio(AudioLocation(first[4])))
    write_long(folder / "sub" / f"{long[0]}.WAV", read_audio(AudioLocation(long[4])))
    asked = EvaluateParameters(
        data=tmp_path / "data", folder=folder, protocol="seed_tts_eval", listing=listing, scorers=()
    )
    assert find_finished_report(asked, asked.data_root, Backends()) is None
    report = evaluate(asked)
    scores = rows_of(DataRoot(tmp_path / "data").lake, "scores")
    ours = {row["utterance"]: row for row in scores if row["system"] == "peer"}
    assert ours[first[0]]["word_errors"] <= 1  # the recording itself, given as somebody's speech
    assert ours[long[0]]["failure"] is None
    assert ours[long[0]]["duration"] > 72.0
    assert ours[long[0]]["hypothesis"].split()[:2] == ours[long[0]]["reference"].split()[:2]
    assert ours[long[0]]["sim_o"] > 0.5
    missing = next(row for name, row in ours.items() if name not in (first[0], long[0]))
    assert (missing["path"], missing["failure"], missing["sim_o"]) == (None, "there is no file", 0.0)
    assert missing["word_errors"] == missing["num_words"]
    assert {row["system"] for row in scores} == {
        "peer", "ground_truth", "codec", "prompt_copied", "shuffled_speaker", "espeak",
    }  # fmt: skip
    assert len(read_list(report.markdown_path.with_name("items.json")).items) == 3
    assert "SHA-256" in report.markdown_path.read_text(encoding="utf-8")

    found = find_finished_report(asked, asked.data_root, Backends())
    assert found is not None
    assert found.markdown_path == report.markdown_path

    command = shlex.join([sys.executable, str(TALKER), str(tmp_path / "talker.log")])
    # One item: the controls of each list are transcribed anew.
    one = tmp_path / "one.lst"
    one.write_text("|".join(first) + "\n", encoding="utf-8")
    changes = {"folder": None, "command": command, "name": "tones", "listing": one}
    tones = evaluate(asked.model_copy(update=changes))
    assert tones.markdown_path != report.markdown_path
    rows = [row for row in rows_of(DataRoot(tmp_path / "data").lake, "scores") if row["system"] == "tones"]
    assert [row["generation_seconds"] for row in rows if row["path"]] == [0.001] * sum(
        bool(row["path"]) for row in rows
    )
    assert all(row["word_errors"] >= row["num_words"] / 2 for row in rows)
