"""`valle plan train` and `valle schedule`, as a user calls them."""

import json

from tests.unit.training.toy import make_toy_set
from valle.cli import main


def test_the_memory_of_a_training_is_a_table_of_the_asked_models(tmp_path, capsys):
    make_toy_set(tmp_path)
    command = ["plan", "train", "--data", str(tmp_path), "--training-set", "toy", "--models", "nano"]
    assert main([*command, "--options.engine", "deepspeed", "--options.processes", "2"]) == 0
    head, _, *rows, note = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["model", "parameters", "precision", "zero_stage"]
    # Four stages in fp32 and three in bf16, with and without gradient checkpointing.
    assert len(rows) == 14 and {row.split()[0] for row in rows} == {"nano"}
    assert note.startswith("One rank of 2 with batches of 4096 slots")


def test_a_corpus_is_scheduled_listed_and_removed(tmp_path, capsys):
    corpus = ["--corpus.kind", "folder", "--corpus.root", str(tmp_path / "clips"), "--corpus.name", "clips"]
    data = ["--data", str(tmp_path)]
    assert main(["schedule", "add", *corpus, *data, "--ingest-at", "0 3 * * *"]) == 0
    assert main(["schedule", "list", *data]) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = f"clips: folder {tmp_path / 'clips'}; ingest 0 3 * * *, quantize 0 5 * * * (UTC)"
    assert printed == [shown, "The local server is not up; `valle up` starts it with these schedules."] * 2
    (stored,) = json.loads((tmp_path / "prefect" / "schedules.json").read_text(encoding="utf-8"))
    assert stored["corpus"]["root"] == str(tmp_path / "clips")
    assert main(["schedule", "remove", "clips", *data]) == 0
    assert main(["schedule", "remove", "clips", *data]) == 1
    assert "There is no schedule of clips; scheduled: none." in capsys.readouterr().err


def test_a_time_that_is_no_cron_expression_schedules_nothing(tmp_path, capsys):
    corpus = ["--corpus.kind", "folder", "--corpus.root", "clips", "--corpus.name", "clips"]
    assert main(["schedule", "add", *corpus, "--data", str(tmp_path), "--quantize-at", "nightly"]) == 1
    assert "Invalid cron string" in capsys.readouterr().err
    assert not (tmp_path / "prefect" / "schedules.json").exists()
