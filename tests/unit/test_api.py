"""The Python API."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import valle
from manifests.demo.clips import demo_clips
from tests.unit.synthesis.toy import toy_card, untrained_model
from valle.checkpoints.saving import write_model
from valle.codec import open_codec
from valle.data_root import DataRoot
from valle.interchange.hub.publish import export_hf
from valle.interchange.hub.transfer import HubError
from valle.phonemes import phoneme_table
from valle.synthesis.options import SamplingOptions, StreamOptions
from valle.text.normalise import normalise
from warehouse.errors import CheckpointError, ConfigurationError

SHORT = SamplingOptions(max_seconds=0.6, suppressed_codes=(1024,))


LEARNT = {f"{name}_ratio": 0.1 for name in ("editing", "suppression", "extraction", "conversion")}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    card = replace(toy_card(open_codec("mini").spec, phoneme_table().symbols), options=LEARNT)
    write_model(directory, card, untrained_model(card).state_dict())
    return directory


def test_a_text_is_spoken_saved_and_streamed(checkpoint, tmp_path):
    model = valle.load(checkpoint)
    prompt = model.prompt(next(demo_clips()).path)
    spoken = model.speak("One. Two.", prompt, sampling=SHORT)
    assert spoken.problems == ("'One.': it was cut after 0.6 s", "'Two.': it was cut after 0.6 s")
    assert (spoken.duration, spoken.codes.shape, len(spoken.pieces)) == (1.2, (8, 90), 2)
    spoken.save(tmp_path / "speech.flac")
    np.testing.assert_allclose(soundfile.read(tmp_path / "speech.flac")[0], spoken.samples, atol=1e-4)
    pieces = list(model.stream("One. Two.", prompt, sampling=SHORT, options=StreamOptions(first_window=45)))
    assert len(pieces) > 1
    assert sum(map(len, pieces)) == len(spoken.samples)


def test_a_recording_is_edited_and_transformed(checkpoint, tmp_path):
    model, clip = valle.load(checkpoint), next(demo_clips())
    first = clip.text.split()[0].strip(",.")
    edited = model.edit(clip.path, {first: "ten"}, text=clip.text, sampling=SHORT)
    assert edited.text.split()[0] == "ten"
    ((start, end),) = edited.spans
    assert start < end <= edited.duration
    recording = model.prompt(clip.path).codes
    kept = edited.codes.shape[1] - round(end * 75)
    assert np.array_equal(edited.codes[:, -kept:], recording[:, -kept:])
    edited.save(tmp_path / "edited.wav")
    for made in (model.denoise(clip.path), model.extract(clip.path, clip.path), model.convert(clip.path, clip.path)):
        assert made.duration == pytest.approx(made.codes.shape[1] / 75, abs=0.01)
    with pytest.raises(CheckpointError, match="has not learnt to convert singing"):
        model.convert(clip.path, clip.path, method="singing")
    with pytest.raises(ConfigurationError, match="recording cannot be read"):
        model.denoise(tmp_path / "nothing.wav")


def test_a_language_is_detected_and_a_recording_transcribed(checkpoint):
    model, clip = valle.load(checkpoint), next(demo_clips())
    text = "Guten Morgen, wie geht es Ihnen?"
    (piece,) = model.speak(text, language="auto", sampling=SHORT).pieces
    assert piece.symbols == model.synthesizer.phonemize(text, "de") != model.synthesizer.phonemize(text, "en")
    assert model.prompt(clip.path, text, "auto").symbols == piece.symbols
    assert normalise(model.denoise(clip.path).source.text, "en") == normalise(clip.text, "en")
    assert model.denoise(clip.path, transcribe=False).source.text == ""
    assert model.denoise(clip.path, text=text, language="auto").source.language == "de"
    with pytest.raises(ConfigurationError, match="--language auto detects the language of a text"):
        model.speak(" ", language="auto")


def test_a_repository_of_the_hub_is_downloaded_once(checkpoint, tmp_path, monkeypatch):
    root, folder = DataRoot(tmp_path / "data"), tmp_path / "Repository"
    export_hf(root, checkpoint, folder)
    monkeypatch.setenv("VALLE_DATA", str(root.root))
    assert valle.load(f"file://{folder}").synthesizer.card.step == 0
    shutil.rmtree(folder)
    assert valle.load(f"file://{folder}").synthesizer.card.step == 0
    with pytest.raises(HubError, match="cannot be copied"):
        valle.load(f"file://{tmp_path}/other")


def test_the_shipped_checkpoint_is_loaded_by_name():
    model = valle.load("shipped")
    assert (model.languages, model.sample_rate) == (("en",), 24_000)
    assert model.sampling.guidance == 2


def test_errors_are_a_sentence(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("VALLE_DATA", str(tmp_path))
    with pytest.raises(CheckpointError, match="Run nothing has no checkpoint"):
        valle.load("nothing")
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        valle.load(tmp_path)
    with pytest.raises(ConfigurationError, match="nothing to speak"):
        valle.load(checkpoint).stream("...")
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = valle.lode


def test_importing_the_package_imports_no_library():
    code = "import sys, valle; print([name for name in ('numpy', 'torch', 'pydantic') if name in sys.modules])"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
    )
    assert finished.stdout.strip() == "[]"


def test_the_page_of_the_api_runs(checkpoint, tmp_path, monkeypatch):
    """Run the first block of the page with the checkpoint of this test."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    block = page.split("```python\n")[1].split("```")[0]
    assert 'valle.load("shipped")' in block
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voice.wav").symlink_to(next(demo_clips()).path)
    code = block.replace('"shipped"', repr(str(checkpoint))).replace("seed=7", "seed=7, max_seconds=0.6")
    exec(compile(code, "api.md", "exec"), {"play": lambda samples: None})
    assert soundfile.info(tmp_path / "speech.wav").samplerate == 24_000
