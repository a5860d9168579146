import pytest

from tests.unit.training.toy import make_toy_set
from valle.training.options import TrainOptions


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return make_toy_set(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def options(toy, tmp_path):
    return TrainOptions(
        training_set=toy,
        run_dir=tmp_path / "run",
        model="nano",
        max_steps=6,
        warmup_steps=2,
        batch_tokens=300,
        prompt_seconds=(0.1, 0.2),
        log_every=1,
        save_every=100,
    )
