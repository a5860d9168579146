"""An evaluation that was done is found again from the lake alone, in seconds."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flows.parameters import EvaluateParameters
from tests.unit.warehouse.test_added_columns import OldScoreRow, values
from valle.audio import Audio, write_audio
from valle.backends.registry import Backends
from valle.checkpoints.runs import FORMAT, checkpoint_directory
from valle.cli import main
from valle.evaluation.evaluate import stored_scores
from valle.evaluation.resolve import resolve
from valle.evaluation.systems.base import CONTROLS
from warehouse.errors import ConfigurationError, LakeError
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "lhotse", "matplotlib", "prefect", "faster_whisper", "resemblyzer")
CARD = {
    "format": FORMAT,
    "run_id": "toy",
    "step": 3,
    "training_set": "toys-1",
    "codec": {
        "name": "mini",
        "revision": "1",
        "sample_rate": 24_000,
        "hop_length": 320,
        "num_codebooks": 8,
        "codebook_size": 1024,
    },
}


def resolve_parameters(parameters):
    return resolve(parameters, parameters.data_root, Backends())


@pytest.fixture
def arguments(tmp_path, make_row):
    """The command of an evaluation whose scores are in the lake, and whose report is not written yet."""
    for name in ("p", "q", "a", "b"):
        write_audio(tmp_path / f"{name}.wav", Audio(np.full(800, 0.1, np.float32), 800))
    listing = tmp_path / "meta.lst"
    listing.write_text("a|Hello.|p.wav|Say this.|a.wav\nb|Hello.|q.wav|Say that.|b.wav\n", encoding="utf-8")
    checkpoint = checkpoint_directory(tmp_path / "data" / "runs" / "toy", 3)
    checkpoint.mkdir(parents=True)
    (checkpoint / "checkpoint.json").write_text(json.dumps(CARD), encoding="utf-8")
    parameters = EvaluateParameters(data=tmp_path / "data", run="toy", protocol="seed_tts_eval", listing=listing)
    plan = resolve(parameters, parameters.data_root, Backends()).plan
    rows = [
        dataclasses.replace(make_row(system, utterance, evaluation=plan.name), score_id=f"{system}/{utterance}")
        for system in (plan.system.name, *CONTROLS)
        for utterance in ("a", "b")
    ]
    parameters.data_root.lake.append(ScoreRow, rows, f"scores:{plan.name}")
    return [
        *("evaluate", "--data", str(tmp_path / "data"), "--run", "toy"),
        *("--protocol", "seed_tts_eval", "--listing", str(listing)),
    ]


def test_a_run_that_is_scored_and_reported_is_found_without_torch_prefect_or_any_model(arguments, capsys):
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert first.startswith("Nothing to do, the scores are in the lake. toy-3: 0.00 % micro WER under zip-ls/1, ")
    script = f"""
import sys
from valle.cli import main
code = main({arguments!r})
print(code, [name for name in {HEAVY!r} if name in sys.modules])
"""
    again = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert again.stdout == f"{first}0 []\n"


def test_other_sampling_is_another_evaluation_that_is_not_done(arguments, tmp_path):
    listing = arguments[-1]
    common = {"data": tmp_path / "data", "run": "toy", "protocol": "seed_tts_eval", "listing": listing}
    done = resolve_parameters(EvaluateParameters(**common)).plan
    other = resolve_parameters(EvaluateParameters(**common, sampling={"top_p": 0.9})).plan
    lake = Lake(tmp_path / "data" / "lake")
    assert len(stored_scores(done.name, lake)) == 12
    assert stored_scores(other.name, lake) == []


def test_a_model_that_chooses_candidates_may_not_score_them(arguments, tmp_path):
    listing = arguments[-1]
    common = {"data": tmp_path / "data", "run": "toy", "protocol": "seed_tts_eval", "listing": listing}

    def resolved(**best_of):
        return resolve_parameters(EvaluateParameters(**common, best_of={"count": 3} | best_of))

    with pytest.raises(ConfigurationError, match=r"tiny\.en would score candidates that it chose"):
        resolved(similarity_weight=0)
    with pytest.raises(ConfigurationError, match="resemblyzer would score candidates that it chose"):
        resolved(transcriber="base")
    chosen = resolved(transcriber="base", similarity_weight=0)
    assert '"count":3' in chosen.facts["best of"]
    with pytest.raises(ConfigurationError, match="applies to a training run only"):
        folder = common | {"run": None, "folder": tmp_path}
        resolve_parameters(EvaluateParameters(**folder, best_of={"count": 3}))
    with pytest.raises(ConfigurationError, match="leave sampling out"):
        resolve_parameters(EvaluateParameters(**folder, sampling={"temperature": 0.5}))
    one_take = resolved(count=1)
    assert "best of" not in one_take.facts
    assert one_take.plan.name != chosen.plan.name


def test_scores_are_read_in_the_order_of_their_ids_and_of_old_lakes_too(tmp_path):
    lake = Lake(tmp_path / "lake")
    assert stored_scores("x", lake) == []
    lake.append(OldScoreRow, [OldScoreRow(**values("b"))], "old")
    (old,) = stored_scores("x", lake)
    assert (old.score_id, old.sim_r) == ("b", None)
    lake.append(ScoreRow, [ScoreRow(**values("c"), sim_r=0.5), ScoreRow(**values("a"))], "new")
    assert [row.score_id for row in stored_scores("x", lake)] == ["a", "b", "c"]
    assert [row.sim_r for row in stored_scores("x", lake)] == [None, None, 0.5]


def test_a_part_that_is_lost_is_one_sentence(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.append(OldScoreRow, [OldScoreRow(**values("b"))], "old")
    (part,) = lake.folder("scores").rglob("*.parquet")
    part.unlink()
    with pytest.raises(LakeError, match="run `valle lake fsck`"):
        stored_scores("x", lake)
