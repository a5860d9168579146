"""A YAML file of upstream becomes options."""

import pytest
import yaml

from valle.cli import main
from valle.interchange.config import read_config
from valle.training.options import TrainSettings

CONFIG = {
    "audio_backend": "vocos",
    "models": [
        {
            "size": "full",
            "dropout": 0.1,
            "experimental": {"rvq_levels_p": "equal", "masking_train_p": 0.5, "audio_embedding_sums": True},
        }
    ],
    "hyperparameters": {"learning_rate": 1e-4, "optimizer": "Prodigy", "torch_optimizer": False},
    "dataset": {"duration_range": [1.0, 12.0], "tasks_list": ["tts", "tts-c", "tts", "stt"]},
    "trainer": {"weight_dtype": "bfloat16"},
}


def test_every_key_is_listed_with_its_counterpart(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    found = {line.key: line.ours for line in read_config(path)}
    assert found["models.experimental.rvq_levels_p"] == {"options.codebook_schedule": "uniform"}
    assert found["dataset.tasks_list"] == {"options.continuation_ratio": 0.25, "options.transcription_ratio": 0.25}
    assert found["models.experimental.audio_embedding_sums"] == found["hyperparameters.torch_optimizer"] == {}
    assert len(found) == 12


def test_the_command_writes_options_that_training_accepts(tmp_path, capsys):
    path, out = tmp_path / "config.yaml", tmp_path / "ours.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    assert main(["import", "config", str(path), "--out", str(out)]) == 0
    options = TrainSettings(**yaml.safe_load(out.read_text())["options"])
    assert (options.model, options.optimizer, options.precision, options.dropout) == ("220m", "prodigy", "bf16", 0.1)
    printed = capsys.readouterr().out
    assert "hyperparameters.torch_optimizer = False: no counterpart" in printed
    assert "selection.where: duration BETWEEN 1 AND 12" in printed
    assert main(["import", "config", str(path), "--out", str(out)]) == 1


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [\n"])
def test_another_file_is_refused(tmp_path, content, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    assert main(["import", "config", str(path), "--out", str(tmp_path / "out.yaml")]) == 1
    assert str(path) in capsys.readouterr().err
