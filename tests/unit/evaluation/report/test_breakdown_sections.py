from dataclasses import replace

from valle.evaluation.report.breakdown_sections import length_sections, phoneme_pair_sections
from valle.evaluation.stats.bootstrap import BootstrapOptions

FAST = BootstrapOptions(replicas=200)


def test_lengths_have_a_line_per_system(make_row):
    rows = {"model": [make_row(hypothesis="one two")], "espeak": [make_row("espeak")]}
    words, sentences = length_sections(rows, FAST)
    assert words.header == ("WER %", "1-3 letters", "4-5 letters", "6-7 letters", "8+ letters")
    assert words.rows == (("`model`", "0.00", "100.00", "-", "-"), ("`espeak`", "0.00", "0.00", "-", "-"))
    assert sentences.rows[0] == ("`model`", "50.00", "-", "-", "-")


def test_pairs_of_a_model_are_those_of_the_real_phonemizer_and_controls_have_none(make_row):
    row = replace(make_row(reference="street", hypothesis="seat"), language="en", phonemizer="espeak")
    made = phoneme_pair_sections({"model": [row] * 3, "espeak": [row] * 3})
    assert [part.heading for part in made] == ["Errors by pair of phonemes: model"]
    lines = {line[0]: line[1:] for line in made[0].rows}
    assert lines["s t"] == (3, 3, "100")
    assert "4 pairs" in made[0].note


def test_an_evaluation_without_phonemes_has_no_pairs(make_row):
    assert phoneme_pair_sections({"model": [replace(make_row(), language="en")]}) == []


def test_silence_loses_every_pair(make_row):
    row = replace(make_row(reference="street", hypothesis=""), language="en", phonemizer="espeak")
    (made,) = phoneme_pair_sections({"model": [row] * 3}, phonemize=lambda texts, _: [list("stɹiːt")][: len(texts)])
    assert {line[3] for line in made.rows} == {"100"} and len(made.rows) == 4
