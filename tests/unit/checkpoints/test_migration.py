import json
import shutil

import pytest

from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.migration import migrate_card
from valle.checkpoints.runs import EMBEDDED, find_run, latest_checkpoint
from valle.cli import main
from valle.training.options import TrainSettings
from warehouse.errors import CheckpointError

OLD_OPTIONS = {
    "level_law": "bell",
    "level_weights": [7.0, *[1.0] * 7],
    "later_level_law": "uniform",
    "level_law_changes": [2, 4],
    "masked_share": 0.4,
    "continuation_share": 0.1,
    "length_share": 0.03,
    "transcription_share": 0.2,
    "similar_prompts": 0.5,
    "codes_start": "codec",
    "learning_rate": 0.0012,
    "sampling": {"shortest": 0.5, "temperature": 0.75},
}


@pytest.fixture
def old_checkpoint(tmp_path):
    """A card of format 1, made from the embedded one."""
    embedded = latest_checkpoint(find_run(tmp_path, EMBEDDED))
    content = json.loads((embedded / "checkpoint.json").read_text())
    del content["format"]
    content |= {
        "schema": 3,
        "options": OLD_OPTIONS,
        "metrics": {"dev_loss": 4.0, "dev_top10_nar_by_level": {"1": 0.5}},
        "cursor": {"epoch": 2, "batch": 1045},
    }
    (tmp_path / "checkpoint.json").write_text(json.dumps(content))
    return tmp_path


def test_a_card_of_format_1_is_refused_with_the_command_that_converts_it(old_checkpoint):
    with pytest.raises(CheckpointError, match="convert it with `valle migrate"):
        read_card(old_checkpoint)


def test_a_migrated_card_has_the_names_and_values_of_today(old_checkpoint):
    assert main(["migrate", str(old_checkpoint)]) == 0
    card = read_card(old_checkpoint)
    options = TrainSettings(**card.options)
    assert options.codebook_schedule == "bell"
    assert options.codebook_weights == tuple(OLD_OPTIONS["level_weights"])
    assert (options.later_codebook_schedule, options.codebook_schedule_epochs) == ("uniform", (2, 4))
    ratios = (options.nar_len_ratio, options.continuation_ratio, options.length_ratio, options.transcription_ratio)
    assert ratios == (0.4, 0.1, 0.03, 0.2)
    assert (options.similar_prompt_ratio, options.init_code_embeddings) == (0.5, "codec")
    assert options.learning_rate == 0.0012
    assert (options.sampling.min_duration_ratio, options.sampling.temperature) == (0.5, 0.75)
    assert card.metrics == {"dev_loss": 4.0, "dev_top10_nar_by_codebook": {"1": 0.5}}
    assert (card.cursor.epoch, card.cursor.rows) == (3, 0)


def test_only_cards_of_format_1_are_migrated(old_checkpoint, capsys):
    with pytest.raises(CheckpointError, match="only cards of format 1"):
        migrate_card({"schema": 2})
    assert main(["migrate", str(old_checkpoint), str(old_checkpoint)]) == 0
    assert [line.rsplit(": ")[1] for line in capsys.readouterr().out.splitlines()] == ["converted", "current already"]
    (old_checkpoint / "checkpoint.json").write_text('{"schema": 2}')
    assert main(["migrate", str(old_checkpoint)]) == 1
    assert "only cards of format 1" in capsys.readouterr().err
    shutil.rmtree(old_checkpoint)
    assert main(["migrate", str(old_checkpoint)]) == 1


def test_the_embedded_card_has_only_options_of_today(tmp_path):
    card = read_card(latest_checkpoint(find_run(tmp_path, EMBEDDED)))
    assert set(card.options) - {"run_id"} <= set(TrainSettings.model_fields)
    TrainSettings(**{name: value for name, value in card.options.items() if name != "run_id"})
