"""The self-test of judges, with the real offline models."""

import json
from importlib.resources import files

import pytest

from valle.backends.registry import Backends
from valle.cli import main
from valle.evaluation.metrics.known_answers import ask_judges, known_answers, require_sound_judges
from valle.evaluation.plan import Judges
from warehouse.errors import DependencyError

JUDGES = Judges(scorers=("dnsmos",))


@pytest.fixture(scope="module")
def backends():
    return Backends()


@pytest.fixture(scope="module")
def verdicts(backends):
    return ask_judges(JUDGES, backends)


def test_the_embedded_judges_give_their_stored_answers(verdicts):
    assert [verdict.judge for verdict in verdicts] == ["ASR", "speaker encoder", "naturalness"]
    assert all(verdict.is_sound and verdict.has_fixture for verdict in verdicts)


@pytest.mark.parametrize(
    ("judge", "key", "wrong", "expected"),
    [
        ("ASR", "bm_fable_s118", "Something else entirely.", "where 'Something else entirely.' is stored"),
        ("speaker encoder", "same", 0.9, "the cosine of the same voice is"),
        ("naturalness", "dnsmos_ovrl", 1.5, "dnsmos_ovrl is"),
    ],
)
def test_another_answer_than_the_stored_one_refuses_the_judge(backends, verdicts, judge, key, wrong, expected):
    known = known_answers()
    revision = next(verdict.revision for verdict in verdicts if verdict.judge == judge)
    known[revision] = known[revision] | {key: wrong}
    found = {verdict.judge: verdict for verdict in ask_judges(JUDGES, backends, known=known)}
    assert not found[judge].is_sound
    assert expected in found[judge].detail
    assert all(verdict.is_sound for name, verdict in found.items() if name != judge)


def test_a_revision_without_stored_answers_is_only_checked_for_sense(backends):
    for verdict in ask_judges(JUDGES, backends, known={}):
        assert verdict.is_sound
        assert not verdict.has_fixture
        assert "no stored fixture" in verdict.detail


class _Deaf(Backends):
    def transcriber(self, name):
        class Transcriber:
            is_multilingual = False

            def transcribe(self, waveforms, language=None, *, careful=False):
                from valle.backends.asr import Transcription

                return [Transcription("Thank you for watching.", "en", None, 0.0, 0.0, 1.0) for _ in waveforms]

        return Transcriber()


def test_an_asr_that_hears_something_else_is_refused_in_one_sentence():
    with pytest.raises(DependencyError, match=r"fails its self-test .*Thank you for watching.*install its weights"):
        require_sound_judges(JUDGES, _Deaf())


def test_the_doctor_prints_a_line_per_judge(capsys):
    assert main(["evaluate", "doctor", "--scorers", "dnsmos"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("ok") for line in lines)


def test_the_stored_answers_name_a_hash_for_each_model():
    stored = json.loads(files("valle.evaluation.metrics").joinpath("known_answers.json").read_text(encoding="utf-8"))
    assert all("@" in revision for revision in stored)
