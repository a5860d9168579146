"""The name of an evaluation: equal names mean equal scores, so everything that changes a score changes the name."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flows.evaluate import metric_stages
from flows.parameters import EvaluateParameters
from valle.audio import Audio, write_audio
from valle.backends.registry import Backends
from valle.codec import codec_revision
from valle.evaluation.evaluate import impossible_controls
from valle.evaluation.items.protocols import read_seed_tts_eval
from valle.evaluation.metrics.models import MetricModels
from valle.evaluation.plan import plan_evaluation
from valle.evaluation.resolve import resolve
from valle.evaluation.systems.control_speech import decoder_revision, find_decoders, write_espeak
from valle.evaluation.systems.folder import FolderSystem
from valle.stages.transcribe import Transcribe
from warehouse.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
MODELS = MetricModels(scorers=("dnsmos",))


def resolve_parameters(parameters):
    return resolve(parameters, parameters.data_root, Backends())


@pytest.fixture
def listing(tmp_path):
    path = tmp_path / "meta.lst"
    path.write_text("a|Hello.|p.wav|Say this.|a.wav\nb|Hello.|q.wav|Say that.|b.wav\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    write_audio(tmp_path / "peer" / "a.wav", Audio(np.full(800, 0.1, np.float32), 800))
    return tmp_path / "peer"


@pytest.fixture
def plan(listing, folder):
    items = read_seed_tts_eval(listing, language="en")
    return plan_evaluation(
        items, FolderSystem(folder, "peer"), models=MODELS, decoders=find_decoders("mini", Backends())
    )


def name_of(plan, **changes):
    parts = {"items": plan.items, "system": plan.system, "models": plan.models, "decoders": plan.decoders} | changes
    items, system = parts.pop("items"), parts.pop("system")
    return plan_evaluation(items, system, **parts).name


def test_the_same_parts_give_the_same_name_with_the_hash_of_the_list_in_it(plan):
    assert name_of(plan) == plan.name
    assert plan.items.hash in plan.name
    assert plan.items.hash in plan.controls
    assert plan.name.islower()


def test_items_system_audio_and_metric_models_all_change_the_name(plan, folder, tmp_path):
    (tmp_path / "asr").mkdir()
    (tmp_path / "asr" / "model.bin").write_bytes(b"the weights of another model")
    names = {
        plan.name,
        name_of(plan, items=plan.items.with_trials(2)),
        name_of(plan, system=FolderSystem(folder, "other")),
        name_of(plan, models=dataclasses.replace(MODELS, asr=str(tmp_path / "asr"))),
        name_of(plan, models=dataclasses.replace(MODELS, scorers=())),
        name_of(plan, models=dataclasses.replace(MODELS, normaliser="seed")),
    }
    write_audio(folder / "b.wav", Audio(np.full(800, 0.1, np.float32), 800))
    names.add(name_of(plan))
    assert len(names) == 7


def test_another_way_to_decode_the_same_asr_is_another_evaluation(plan, monkeypatch):
    monkeypatch.setattr(Transcribe, "version", Transcribe.version + 1)
    assert name_of(plan) != plan.name


def test_systems_on_one_list_share_their_controls(plan, tmp_path, folder):
    other = plan_evaluation(plan.items, FolderSystem(folder, "other"), models=MODELS, decoders=plan.decoders)
    assert other.controls == plan.controls
    assert other.name != plan.name


def test_a_better_decoder_of_the_same_codes_is_another_identity(plan):
    assert decoder_revision("mini") in plan.decoders.identity
    assert decoder_revision("mini") != codec_revision("mini")


def test_controls_that_a_list_cannot_have_are_named(plan, tmp_path):
    assert impossible_controls(plan) == {}
    path = tmp_path / "bare.lst"
    path.write_text("a|Hello.|p.wav|Say this.\nb|Say that.\n", encoding="utf-8")
    bare = dataclasses.replace(plan, items=read_seed_tts_eval(path, language="en"))
    reasons = impossible_controls(bare)
    assert set(reasons) == {"ground_truth", "codec", "shuffled_speaker", "prompt_copied"}
    assert "no recordings" in reasons["ground_truth"]


def test_a_language_that_espeak_does_not_speak_has_no_row_of_it(plan, listing, tmp_path):
    finnish = dataclasses.replace(plan, items=read_seed_tts_eval(listing, language="fi"))
    assert impossible_controls(finnish) == {"espeak": "espeak-ng has no voice for fi"}
    write_espeak(finnish.items.items, tmp_path / "speech")
    assert not list(tmp_path.rglob("*.flac"))


def test_exactly_one_system_is_to_be_named(listing, folder, tmp_path):
    for wrong in ({}, {"folder": folder, "command": "peer"}):
        parameters = EvaluateParameters(data=tmp_path, protocol="seed_tts_eval", listing=listing, **wrong)
        with pytest.raises(ConfigurationError, match="--run, --folder or --command, one of them"):
            resolve(parameters, parameters.data_root, Backends())
    with pytest.raises(ConfigurationError, match="--protocol with its list, --cuts or --training-set"):
        resolve_parameters(EvaluateParameters(data=tmp_path, folder=folder))


def test_parameters_become_a_plan(listing, folder, tmp_path):
    parameters = EvaluateParameters(
        data=tmp_path, folder=folder, protocol="seed_tts_eval", listing=listing, count=1, trials=3, scorers=("dnsmos",)
    )
    resolved = resolve(parameters, parameters.data_root, Backends())
    assert resolved.plan.system.name == "peer"
    assert [item.trial for item in resolved.plan.items.items] == [0, 1, 2]
    assert len({item.utterance for item in resolved.plan.items.items}) == 1
    assert "folder" in resolved.facts["system"]


def test_planning_and_ingestion_load_nothing_that_is_slow_to_import():
    """An evaluation that is done is found again in seconds: `valle evaluate` plans before it starts a flow."""
    heavy = ("torch", "lhotse", "matplotlib", "prefect", "scipy.signal")
    imports = "import sys, flows.parameters, valle.evaluation.resolve, valle.stages.ingest"
    script = f"{imports}; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_metric_models_process_one_utterance_at_a_time_unless_the_batch_is_larger(plan):
    alone, speakers = metric_stages(plan, codes=True, one_at_a_time=True)
    assert {stage.batch_seconds for stage in (*alone, speakers)} == {0.001}
    together, _ = metric_stages(plan, codes=True, one_at_a_time=False)
    assert min(stage.batch_seconds for stage in together) > 60
    for one, many in zip(alone, together, strict=True):
        assert one.configuration == many.configuration
    assert [stage.name for stage in metric_stages(plan, codes=False, one_at_a_time=True)[0]] == [
        "quality",
        "transcribe",
    ]
    assert EvaluateParameters(run="r").batch == 1
