"""The start of the trainer of a run."""

from flows.training import train
from valle.training.options import TrainOptions


def test_a_command_for_an_earlier_process_of_the_run_does_not_reach_the_next_one(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train, "run_module", lambda *_, **__: seen.append((tmp_path / "run" / "commands").exists()))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "commands").write_text("quit\n")
    train.run_trainer(TrainOptions(training_set=tmp_path / "set", run_dir=tmp_path / "run"))
    assert seen == [False]
