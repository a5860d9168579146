"""The flow of the tasks with the real codec and an untrained model: files, the table, and refusals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid, validate
from pydantic import ValidationError

from flows.speech.parameters import SpeechTaskParameters
from flows.speech.task import speech_task
from manifests.demo.clips import demo_clips
from tests.unit.synthesis.toy import toy_card, untrained_model
from valle.checkpoints.saving import write_model
from valle.codec import open_codec
from valle.phonemes import phoneme_table
from valle.synthesis.options import MaskedOptions, SamplingOptions
from valle.text.normalise import normalise
from warehouse.errors import CheckpointError, ConfigurationError

LEARNT = dict.fromkeys(
    ("suppression_ratio", "conversion_ratio", "phonemes_ratio", "editing_ratio", "transcription_ratio"), 0.1
)
FILE = Path(__file__).parents[3] / "prefect.yaml"
QUICK = SamplingOptions(decoding="nar-len", masked=MaskedOptions(steps=1))
CLIP = next(clip for clip in demo_clips() if clip.duration < 3)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoint")
    card = replace(toy_card(open_codec("mini").spec, phoneme_table().symbols), options=LEARNT)
    write_model(directory, card, untrained_model(card, stop=4.0).state_dict())
    return directory


@pytest.fixture
def asked(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    return {"data": tmp_path / "data", "checkpoint": checkpoint, "sampling": QUICK, "recordings": [CLIP.path]}


def test_each_recording_is_a_file_and_a_line_and_a_bad_one_fails_the_run_at_its_end(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "a.wav").symlink_to(CLIP.path)
    (folder / "broken.flac").write_text("not audio")
    (folder / "note.txt").write_text("not audio either")
    with pytest.raises(ConfigurationError, match=r"1 of 3 failed; .*broken\.flac: The recording cannot be read"):
        speech_task.fn(SpeechTaskParameters(**asked | {"recordings": [folder, folder / "a.wav"], "texts": []}))
    (made,) = (tmp_path / "data" / "speech" / "tasks").iterdir()
    assert {path.name for path in made.iterdir()} == {"a.wav", "a-2.wav", "report.md"}
    assert soundfile.info(made / "a.wav").duration == pytest.approx(CLIP.duration, abs=0.05)
    lines = (made / "report.md").read_text().splitlines()[4:]
    assert len(lines) == 5
    assert "| a-2.wav |" in lines[-1]
    assert normalise(lines[-1].split(" | ")[1], "en") == normalise(CLIP.text, "en"), (
        "the words of the recording are in the table"
    )


def test_the_words_that_are_given_are_those_that_are_used(asked: dict[str, Any]) -> None:
    words = "Any other words."
    changed = {"task": "convert", "voice": CLIP.path, "texts": [words]}
    made = speech_task.fn(SpeechTaskParameters(**asked | changed))
    assert f"| {words} |" in (made / "report.md").read_text()


def test_a_recording_is_edited_and_transcribed_and_a_text_phonemized(asked: dict[str, Any]) -> None:
    last = CLIP.text.split()[-1].strip(".")
    edit = {"task": "edit", "replace": [f"{last}=winter"], "texts": [CLIP.text]}
    edited = speech_task.fn(SpeechTaskParameters(**asked | edit))
    assert "winter" in (edited / "report.md").read_text()
    for changes in ({"task": "transcribe-speech"}, {"task": "phonemize-text", "recordings": [], "texts": ["Yes"]}):
        made = speech_task.fn(SpeechTaskParameters(**asked | changes))
        assert [path.name for path in made.iterdir()] == ["report.md"]
    assert "| Yes | Yes |" in (made / "report.md").read_text()


def test_what_the_checkpoint_has_not_learnt_is_refused_at_once(asked: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="has not learnt to remove speech"):
        speech_task.fn(SpeechTaskParameters(**asked | {"task": "remove-speech"}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task": "speak"}, "is given texts, and no recordings"),
        ({"recordings": []}, "is given recordings"),
        ({"task": "edit"}, "Give `replace`"),
        ({"replace": ["a=b"]}, "to nothing else"),
        ({"task": "extract"}, "give `voice`"),
        ({"voice": "a.wav"}, "no use for a voice"),
        ({"task": "sing"}, "Input should be 'speak'"),
    ],
)
def test_a_contradiction_is_one_sentence(asked: dict[str, Any], changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SpeechTaskParameters(**asked | changes)


def test_texts_and_folders_that_do_not_fit_are_one_sentence(asked: dict[str, Any], tmp_path: Path) -> None:
    for changes, sentence in (
        ({"texts": ["a", "b"]}, "There are 1 recordings and 2 texts"),
        ({"recordings": [tmp_path]}, "has no audio file"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            speech_task.fn(SpeechTaskParameters(**asked | changes))


def test_the_form_offers_the_tasks() -> None:
    schema = parameter_schema(speech_task.fn).model_dump_for_openapi()
    declared = next(one for one in yaml.safe_load(FILE.read_text())["deployments"] if one["name"] == "speech-task")
    validate(declared["parameters"], schema, raise_on_error=True)
    assert not is_valid({"parameters": {"task": "sing"}}, schema)
    task = schema["definitions"]["SpeechTaskParameters"]["properties"]["task"]
    assert {"edit", "convert", "denoise", "extract", "transcribe-speech", "phonemize-text"} <= set(task["enum"])
