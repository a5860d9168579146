from dataclasses import replace

import numpy as np

from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.drift import estimate_speaker_drift, estimate_word_drift

FAST = BootstrapOptions(replicas=200)
EIGHT = "one two three four five six seven eight"


class ByLevel:
    """An encoder for which a voice is its mean level: loud and quiet voices are at right angles."""

    def embed(self, waveforms):
        vectors = {0.5: [1.0, 0.0], 0.1: [0.0, 1.0], 0.0: [np.nan, np.nan]}
        return [np.array(vectors[round(float(np.abs(w).mean()), 1)], dtype=np.float32) for w in waveforms]


def test_speech_that_falls_apart_drifts_and_even_speech_does_not(make_row):
    fading = [make_row("m", str(i), f"s{i}", reference=EIGHT, hypothesis="won two three four uh") for i in range(4)]
    drift = estimate_word_drift(fading, options=FAST)
    assert [quarter.value for quarter in drift.quarters] == [0.5, 0.0, 1.0, 1.0]
    assert drift.ratio == 2.0
    even = [make_row("m", str(i), f"s{i}", reference=EIGHT, hypothesis="") for i in range(4)]
    assert estimate_word_drift(even, options=FAST).ratio == 1.0
    assert estimate_word_drift(even, options=FAST).quarters[0].low == 1.0


def test_a_quarter_without_words_and_a_first_quarter_without_errors_have_no_rate(make_row):
    drift = estimate_word_drift([make_row(reference="one two", hypothesis="one")], options=FAST)
    assert (drift.quarters[0].value, drift.quarters[1], drift.quarters[2].value) == (0.0, None, 1.0)
    assert drift.ratio is None


def test_a_changing_speaker_is_visible_in_the_quarters(spoken):
    rows = [
        spoken("prompt_copied", [0.5], 3),
        spoken("model", [0.5, 0.5, 0.5, 0.1], 6),
        spoken("model", [0.5, 0.5, 0.1, 0.0], 6, utterance="u1", speaker="bob"),
        spoken("ground_truth", [0.5, 0.5, 0.5, 0.5], 6),
    ]
    truth, model = estimate_speaker_drift(rows, ByLevel(), options=FAST)
    assert [quarter.value for quarter in truth.quarters] == [1.0, 1.0, 1.0, 1.0]
    assert [quarter.value for quarter in model.quarters] == [1.0, 1.0, 0.5, 0.0]
    assert (truth.system, model.system, model.num_scores) == ("ground_truth", "model", 2)


def test_speech_whose_file_or_prompt_is_gone_is_left_out(spoken):
    kept, gone = spoken("model", [0.5], 24), spoken("model", [0.5], 24, utterance="u1")
    gone = replace(gone, path=gone.path + ".gone")
    (drift,) = estimate_speaker_drift([spoken("prompt_copied", [0.5], 3), kept, gone], ByLevel(), options=FAST)
    assert drift.num_scores == 1
    assert estimate_speaker_drift([kept], ByLevel(), options=FAST) == []
