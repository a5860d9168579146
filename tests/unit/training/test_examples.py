"""Examples that a run synthesizes while it trains."""

import pytest
import soundfile

from tests.unit.training.toy import make_toy_set
from valle.checkpoints.runs import list_checkpoints
from valle.codec import open_codec
from valle.training.loop import train
from valle.training.options import TrainOptions


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_toy_set(tmp_path_factory.mktemp("mini"), num_items=12, dev_items=4, spec=open_codec("mini").spec)


@pytest.fixture
def speaking(options, home):
    changes = {"training_set": home, "max_steps": 4, "evaluate_every": 2, "examples": 2}
    return TrainOptions.model_validate(options.model_dump() | changes)


def test_every_evaluation_leaves_audio_beside_the_truth(speaking):
    train(speaking)
    audio = speaking.run_dir / "audio"
    folders = sorted(path.name for path in audio.iterdir())
    assert folders == ["step-00000002", "step-00000004", "truth"]
    names = [sorted(path.name for path in (audio / folder).iterdir()) for folder in folders]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) == 2
    for path in (audio / "truth").iterdir():
        assert soundfile.info(path).frames > 0


def test_an_evaluation_that_speaks_leaves_the_same_weights(speaking):
    silent = speaking.model_copy(update={"examples": 0, "run_dir": speaking.run_dir.with_name("silent")})
    spoken, unspoken = train(speaking), train(silent)
    files = [result.checkpoint / "model.safetensors" for result in (spoken, unspoken)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(list_checkpoints(speaking.run_dir)) == 2


def test_without_a_dev_split_nothing_is_spoken(speaking, tmp_path):
    home = make_toy_set(tmp_path / "none", num_items=12, dev_items=0, spec=open_codec("mini").spec)
    train(speaking.model_copy(update={"training_set": home, "max_steps": 2}))
    assert not (speaking.run_dir / "audio").exists()
