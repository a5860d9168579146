"""The choice of the checkpoint when none is named."""

import json
from datetime import UTC, datetime

import pytest

from valle.checkpoints.runs import CARD, EMBEDDED, newest_checkpoint, read_summary
from valle.data_root import DataRoot
from valle.synthesis.default_checkpoint import choose_checkpoint
from warehouse.model_rows import ScoreRow


@pytest.fixture
def data_root(tmp_path):
    return DataRoot(tmp_path)


@pytest.fixture
def embedded(data_root):
    return newest_checkpoint(data_root.runs, EMBEDDED)


def add_run(data_root, embedded, run, step=5):
    directory = data_root.runs / run / "checkpoints" / f"step-{step:08d}"
    directory.mkdir(parents=True)
    card = json.loads((embedded / CARD).read_text(encoding="utf-8"))
    (directory / CARD).write_text(json.dumps(card | {"run_id": run, "step": step}), encoding="utf-8")
    return directory


def score(data_root, system, errors, *, evaluation="e", utterances=("a", "b"), **changes):
    rows = [
        ScoreRow(
            **{
                "score_id": f"{evaluation}/{system}/{utterance}",
                "evaluation": f"{evaluation}-{system}",
                "protocol": "cross_sentence",
                "system": system,
                "checkpoint_id": system,
                "utterance": utterance,
                "prompt": "p",
                "trial": 0,
                "speaker": "ann",
                "path": f"{utterance}.wav",
                "duration": 2.0,
                "reference": "one two three four",
                "hypothesis": "one two three four",
                "normaliser": "valle-en/1",
                "asr_model": "tiny",
                "num_words": 4,
                "word_errors": errors,
                "num_characters": 18,
                "character_errors": errors,
                "speaker_model": "resemblyzer",
                "sim_o": 0.5,
                "generation_seconds": 1.0,
                "scored_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
            | changes
        )
        for utterance in utterances
    ]
    data_root.lake.append(ScoreRow, rows, f"scores:{evaluation}:{system}")


def test_without_a_run_the_embedded_checkpoint_speaks(data_root, embedded):
    choice = choose_checkpoint(data_root)
    assert choice.directory == embedded
    assert choice.reason == f"{read_summary(embedded).checkpoint_id} speaks: it is part of the package."


def test_a_run_without_a_score_does_not_speak_by_default(data_root, embedded):
    add_run(data_root, embedded, "mine")
    choice = choose_checkpoint(data_root)
    assert choice.directory == embedded
    assert choice.reason.endswith("no run has a better score on the same sentences; --run chooses one of mine.")


@pytest.mark.parametrize(("errors", "speaks"), [(1, True), (2, False), (3, False)])
def test_a_run_speaks_by_default_if_its_score_is_better_on_the_same_sentences(data_root, embedded, errors, speaks):
    directory = add_run(data_root, embedded, "mine")
    embedded_id = read_summary(embedded).checkpoint_id
    score(data_root, embedded_id, 2)
    score(data_root, "mine-5", errors)
    choice = choose_checkpoint(data_root)
    assert choice.directory == (directory if speaks else embedded)
    if speaks:
        sentence = f"its WER is 25.0 %, that of the embedded {embedded_id} 50.0 % on the same 2 sentences."
        assert choice.reason == f"mine-5 speaks: {sentence}"


def test_the_best_of_several_runs_speaks_and_an_older_checkpoint_of_a_run_does_not(data_root, embedded):
    for run in ("first", "second"):
        add_run(data_root, embedded, run)
    newer = add_run(data_root, embedded, "second", step=9)
    score(data_root, read_summary(embedded).checkpoint_id, 3)
    for system, errors in (("first-5", 2), ("second-5", 0), ("second-9", 1)):
        score(data_root, system, errors)
    assert choose_checkpoint(data_root).directory == newer


@pytest.mark.parametrize("field", ["asr_model", "normaliser", "protocol", "items_hash"])
def test_scores_under_other_terms_are_not_compared(data_root, embedded, field):
    add_run(data_root, embedded, "mine")
    score(data_root, read_summary(embedded).checkpoint_id, 3)
    score(data_root, "mine-5", 0, **{field: "other"})
    assert choose_checkpoint(data_root).directory == embedded


def test_the_list_with_the_most_scores_decides(data_root, embedded):
    add_run(data_root, embedded, "mine")
    embedded_id = read_summary(embedded).checkpoint_id
    for evaluation, utterances, errors in (("small", ("a",), (2, 1)), ("large", ("a", "b", "c"), (1, 2))):
        for system, count in zip((embedded_id, "mine-5"), errors, strict=True):
            changes = {"evaluation": evaluation, "utterances": utterances, "items_hash": evaluation}
            score(data_root, system, count, **changes)
    assert choose_checkpoint(data_root).directory == embedded


def test_a_lake_or_a_card_that_cannot_be_read_does_not_keep_the_embedded_checkpoint_from_speaking(data_root, embedded):
    (add_run(data_root, embedded, "broken") / CARD).write_text("{", encoding="utf-8")
    add_run(data_root, embedded, "mine")
    score(data_root, "mine-5", 0)
    for part in data_root.lake.folder("scores").glob("_delta_log/*.json"):
        part.write_text("nonsense", encoding="utf-8")
    assert choose_checkpoint(data_root).directory == embedded
