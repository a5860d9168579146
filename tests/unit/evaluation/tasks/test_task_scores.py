"""Scores of tasks: known ratios, controls beside the checkpoint, rows in the lake, refusals in a sentence."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.synthesis.toy import FRAMES_PER_SYMBOL, ToyBackends, untrained_synthesizer
from tests.unit.training.toy import codes_for, make_toy_set
from valle.data.selection.training_set import load_training_set
from valle.evaluation.tasks.cases import read_cases
from valle.evaluation.tasks.evaluate import TaskEvaluation, evaluate_tasks, summarize
from valle.evaluation.tasks.measures import TaskMeasures, si_sdr
from valle.evaluation.tasks.runs import TaskRunner
from valle.synthesis.options import MaskedOptions, SamplingOptions
from warehouse.catalogue.views import connect, named_query
from warehouse.errors import CheckpointError, ConfigurationError
from warehouse.lake.tables import Lake

MASKED = SamplingOptions(decoding="nar-len", masked=MaskedOptions(steps=2))
LEARNT = {
    "editing_ratio": 0.2,
    "suppression_ratio": 0.2,
    "transcription_ratio": 0.1,
    "phonemes_ratio": 0.1,
    "spelling_ratio": 0.1,
    "raw_text_ratio": 0.1,
}


class QuietBackends(ToyBackends):
    """The toy models, and a quality that is the mean level."""

    def quality_scorer(self, name):
        class Scorer:
            def score(self, waveforms):
                return [{"dnsmos_ovrl": float(np.abs(wave).mean())} for wave in waveforms]

        return Scorer()


@pytest.fixture(scope="module")
def synthesizer():
    plain = untrained_synthesizer(stop=2.0)
    return replace(plain, card=replace(plain.card, options=LEARNT), backends=QuietBackends())


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return load_training_set(make_toy_set(tmp_path_factory.mktemp("scores"), num_items=8, dev_items=4))


def test_the_ratio_of_a_known_distortion_is_known():
    rng = np.random.default_rng(0)
    signal, noise = rng.standard_normal(4000), rng.standard_normal(4000)
    noise -= (noise @ signal) / (signal @ signal) * signal
    noise *= np.linalg.norm(signal) / np.linalg.norm(noise) / 10
    assert si_sdr(3 * (signal + noise), signal) == pytest.approx(20, abs=1e-3)
    assert si_sdr(signal, signal) == 100 and si_sdr(np.zeros(10), signal) == si_sdr(signal, np.zeros(10)) == -100
    assert si_sdr(signal[:3000], signal) == 100


def test_cases_have_what_the_set_has(toy):
    cases = list(read_cases(toy, split="dev", count=3))
    assert len(cases) == 3
    for case in cases:
        assert case.mixture is None and case.mixture_kind is None
        assert case.borders[0] == 0 and case.borders[-1] == case.speech.shape[1]
        assert len(case.borders) == len(case.text) + 1


def test_a_mixture_is_scored_beside_its_return_and_the_truth(toy, synthesizer):
    case = next(read_cases(toy, split="train"))
    noisy = replace(
        case, mixture_kind="noise", mixture=(case.speech + 3) % 32, interference=case.speech[:, ::-1].copy()
    )
    runner = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED)
    values = runner.runs["ns"](noisy)
    assert {system for system, _ in values} == {"checkpoint", "input", "truth"}
    assert values["truth", "si_sdr"] == 100 > values["input", "si_sdr"]
    assert values["truth", "wer"] == 0
    assert values["truth", "log_mel"] == 0 < values["input", "log_mel"]
    assert runner.runs["tse"](noisy) is None and runner.runs["ns"](case) is None


def _spoken(text, speaker):
    """Codes that the toy ASR transcribes as `text`; code 0 is a space."""
    codes = codes_for(list(text.replace(" ", "a")), speaker)
    codes[0, np.repeat([letter == " " for letter in text], FRAMES_PER_SYMBOL)] = 0
    return codes


def _sentence(case, text="ab cd ef"):
    """A case of three words of two letters, with borders before their spaces."""
    borders = tuple(border * FRAMES_PER_SYMBOL for border in (0, 2, 5, 8))
    return replace(case, text=text, symbols=tuple(text.replace(" ", "")), speech=_spoken(text, 0), borders=borders)


def test_the_words_of_an_edit_are_counted_at_their_place(toy, synthesizer):
    case = _sentence(next(read_cases(toy, split="train")))
    values = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED).runs["cse"](case)
    # Without the middle word one of three is missing in the text, and all of the edit.
    assert values["input", "wer"] == pytest.approx(1 / 3) and values["input", "span_words"] == 0
    assert values["truth", "wer"] == 0 and values["truth", "span_words"] == 1
    assert values["checkpoint", "span_words"] == 0
    changed = replace(case, text="ab cdef")
    values = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED).runs["cse"](changed)
    assert values["truth", "span_words"] is None


def test_the_words_that_a_removal_leaves_are_counted(toy, synthesizer):
    case = _sentence(next(read_cases(toy, split="train")))
    noise = np.where(np.arange(case.speech.shape[1]) < 5 * FRAMES_PER_SYMBOL, 0, case.speech)
    noisy = replace(case, mixture_kind="noise", mixture=case.speech, interference=noise)
    values = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED).runs["sr"](noisy)
    assert values["input", "words_left"] == 1 and values["truth", "words_left"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("task", "kind", "other"), [("vc", "voice", "source"), ("tse", "speaker", "interferer")])
def test_one_number_shows_whether_the_voice_moved(toy, synthesizer, task, kind, other):
    case = _sentence(next(read_cases(toy, split="train")))
    foreign = _spoken(case.text, 3)[:, ::-1].copy()
    foreign[0] //= 2
    mixed = replace(case, mixture_kind=kind, mixture=foreign, interference=foreign, prompt=case.speech)
    values = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED).runs[task](mixed)
    for system in ("checkpoint", "input", "truth"):
        own, away = values[system, "sim_target"], values[system, f"sim_{other}"]
        assert values[system, "sim_target_minus_other"] == own - away
    assert values["truth", "sim_target"] == pytest.approx(1) == pytest.approx(values["input", f"sim_{other}"])
    assert values["truth", "sim_target_minus_other"] > 0 > values["input", "sim_target_minus_other"]


def test_the_control_of_a_transcription_is_another_utterance(toy, synthesizer):
    case = replace(next(read_cases(toy, split="train")), symbols=("a", "b", "c", "d"), other_symbols=("a", "b"))
    values = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED).runs["stt"](case)
    assert values["other", "per"] == 0.5
    alone = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), MASKED).runs["stt"](
        replace(case, other_symbols=None)
    )
    assert alone["other", "per"] is None and alone["checkpoint", "per"] == values["checkpoint", "per"]


def test_the_control_of_raw_text_is_the_prompt(toy, synthesizer):
    case = _sentence(next(read_cases(toy, split="train")))
    runner = TaskRunner(synthesizer, TaskMeasures(synthesizer.backends, 800), SamplingOptions(max_seconds=0.5))
    values = runner.runs["tts-raw"](replace(case, prompt=_spoken("ab cd aa", 0)))
    assert values["input", "wer"] == pytest.approx(1 / 3) and values["truth", "wer"] == 0
    assert values["input", "sim_target"] == pytest.approx(1)
    assert values["checkpoint", "wer"] > 0
    assert runner.runs["tts-raw"](replace(case, prompt=None)) is None


def test_rows_are_in_the_lake_once_and_an_edit_keeps_every_other_code(tmp_path, toy, synthesizer):
    lake, options = Lake(tmp_path / "lake"), TaskEvaluation(split="dev", tasks=("cse", "stt", "phn", "un-phn", "len"))
    rows = evaluate_tasks(synthesizer, toy, options, MASKED, lake)
    assert evaluate_tasks(synthesizer, toy, options, MASKED, lake)
    kept = [row.value for row in rows if row.metric == "codes_kept"]
    assert kept == [1.0] * 4
    with connect(lake.snapshot()) as connection:
        stored = connection.execute("SELECT count(*), count(DISTINCT score_id) FROM task_scores").fetchone()
        assert stored == (len(rows), len(rows))
        answer = connection.execute(named_query("task_scores").sql).to_arrow_table().to_pylist()
    assert {(row["task"], row["metric"]) for row in answer} >= {
        ("cse", "wer"),
        ("phn", "per"),
        ("len", "duration_error"),
    }
    table = {(row["task"], row["metric"], row["system"]): row for row in summarize(rows).to_pylist()}
    assert table["cse", "wer", "truth"]["mean"] == 0 and table["cse", "wer", "truth"]["utterances"] == 4
    assert table["phn", "per", "checkpoint"]["low"] is not None
    for task, metric, control in (("phn", "per", "input"), ("un-phn", "cer", "input"), ("cse", "wer", "input")):
        model, simple = (table[task, metric, system]["mean"] for system in ("checkpoint", control))
        gain = table[task, metric, f"checkpoint - {control}"]
        assert gain["mean"] == pytest.approx(model - simple, abs=2e-4) and gain["utterances"] == 4


def test_tasks_that_cannot_be_scored_are_named(tmp_path, toy, synthesizer):
    lake = Lake(tmp_path / "lake")
    with pytest.raises(CheckpointError, match="no score in vc; it has learnt ns, cse, stt, phn, un-phn, tts-raw, len"):
        evaluate_tasks(synthesizer, toy, TaskEvaluation(tasks=("vc",)), MASKED, lake)
    with pytest.raises(ConfigurationError, match="No utterance of dev of toy-1 has what ns need"):
        evaluate_tasks(synthesizer, toy, TaskEvaluation(split="dev", tasks=("ns",)), MASKED, lake)
