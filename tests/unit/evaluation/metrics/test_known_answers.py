"""The check of metric models against known answers, with the real offline models."""

import json
from importlib.resources import files

import pytest

from valle.backends.registry import Backends
from valle.cli import main
from valle.evaluation.metrics.known_answers import check_models, known_answers, require_valid_models
from valle.evaluation.metrics.models import MetricModels
from warehouse.errors import DependencyError

MODELS = MetricModels(scorers=("dnsmos",))


@pytest.fixture(scope="module")
def backends():
    return Backends()


@pytest.fixture(scope="module")
def checks(backends):
    return check_models(MODELS, backends)


def test_the_embedded_models_give_their_stored_answers(checks):
    assert [check.metric for check in checks] == ["ASR", "speaker encoder", "naturalness"]
    assert all(check.is_valid and check.has_known_answer for check in checks)


@pytest.mark.parametrize(
    ("metric", "key", "wrong", "expected"),
    [
        ("ASR", "bm_fable_s118", "Something else entirely.", "where 'Something else entirely.' is stored"),
        ("speaker encoder", "same", 0.9, "the cosine of the same speaker is"),
        ("naturalness", "dnsmos_ovrl", 1.5, "dnsmos_ovrl is"),
    ],
)
def test_another_answer_than_the_stored_one_refuses_the_model(backends, checks, metric, key, wrong, expected):
    known = known_answers()
    revision = next(check.revision for check in checks if check.metric == metric)
    known[revision] = known[revision] | {key: wrong}
    found = {check.metric: check for check in check_models(MODELS, backends, known=known)}
    assert not found[metric].is_valid
    assert expected in found[metric].detail
    assert all(check.is_valid for name, check in found.items() if name != metric)


def test_a_revision_without_stored_answers_is_only_checked_for_plausibility(backends):
    for check in check_models(MODELS, backends, known={}):
        assert check.is_valid
        assert not check.has_known_answer
        assert "no stored output" in check.detail


class _WrongTranscriber(Backends):
    def transcriber(self, name):
        class Transcriber:
            is_multilingual = False

            def transcribe(self, waveforms, language=None, *, careful=False, numbers_in_words=False):
                from valle.backends.transcription import Transcription

                return [Transcription("Thank you for watching.", "en", None, 0.0, 0.0, 1.0) for _ in waveforms]

        return Transcriber()


def test_an_asr_with_other_transcriptions_is_refused_in_one_sentence():
    with pytest.raises(DependencyError, match=r"fails its check .*Thank you for watching.*install its weights"):
        require_valid_models(MODELS, _WrongTranscriber())


def test_the_doctor_prints_a_line_per_model(capsys):
    assert main(["evaluate", "doctor", "--scorers", "dnsmos"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("ok") for line in lines)


def test_the_stored_answers_name_a_hash_for_each_model():
    stored = json.loads(files("valle.evaluation.metrics").joinpath("known_answers.json").read_text(encoding="utf-8"))
    assert all("@" in revision for revision in stored)
