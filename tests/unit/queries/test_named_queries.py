import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.queries.conftest import lake_of, score
from valle.evaluation.stats.aggregate import aggregate
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.systems.base import control_of
from warehouse.catalogue.views import named_queries

NAMES = sorted(named_queries())


def only(table, **wanted):
    """The one row of a table whose columns have the wanted values."""
    rows = [row for row in table.to_pylist() if all(row[name] == value for name, value in wanted.items())]
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_query_states_its_question_and_answers_on_the_small_lake(name, ask):
    assert named_queries()[name].question.endswith(("?", "0."))
    assert ask(name).num_rows > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_query_runs_on_an_empty_lake_and_keeps_its_columns(name, ask, ask_empty):
    empty = ask_empty(name)
    assert empty.num_rows == 0
    assert empty.schema.names == ask(name).schema.names


def test_the_readme_counts_the_named_queries():
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert f"{len(NAMES)} named queries" in readme


@pytest.mark.parametrize("name", NAMES)
def test_every_query_orders_its_rows(name):
    assert "ORDER BY" in named_queries()[name].sql


def test_hours_by_corpus_counts_recorded_and_usable_speech(ask):
    alpha = only(ask("hours_by_corpus"), corpus="alpha")
    assert alpha["recorded_hours"] == pytest.approx(40 / 3600, abs=1e-4)
    assert alpha["utterances"] == 3
    assert alpha["speakers"] == 2
    assert alpha["usable_share"] == pytest.approx(34 / 40, abs=1e-4)


def test_speech_of_an_evaluation_is_no_corpus(ask):
    assert set(ask("hours_by_corpus")["corpus"].to_pylist()) == {"alpha", "beta"}


def test_hours_by_language_counts_utterances_only(ask):
    german = only(ask("hours_by_language"), language="de")
    assert german["utterances"] == 2
    assert german["hours"] == pytest.approx(10 / 3600, abs=1e-4)


def test_hours_by_split_weighs_with_the_sampling_weight(ask):
    train = only(ask("hours_by_split"), training_set="set-1", split="train")
    assert train["hours"] == pytest.approx(30 / 3600, abs=1e-4)
    assert train["weighted_hours"] == pytest.approx(50 / 3600, abs=1e-4)


def test_durations_put_every_utterance_in_one_bin(ask):
    table = ask("durations")
    assert sum(table["utterances"].to_pylist()) == 5
    assert only(table, corpus="beta", bin_start=2.0)["bin_end"] == 3.0


def test_duration_quantiles_interpolate(ask):
    alpha = only(ask("duration_quantiles"), corpus="alpha")
    assert (alpha["shortest"], alpha["median"], alpha["longest"]) == (4.0, 10.0, 20.0)
    assert alpha["q25"] == pytest.approx(7.0)


def test_drops_show_reason_hours_and_an_example(ask):
    table = ask("drops_by_reason")
    transcribed = only(table, stage="transcribe")
    assert (transcribed["drop_reason"], transcribed["rows_dropped"]) == ("no_speech", 1)
    assert (transcribed["example_id"], transcribed["example_detail"]) == ("a4:0", "0.9 above 0.6")
    assert only(table, stage="ingest")["drop_reason"] == "undecodable"


def test_speakers_are_ordered_by_minutes(ask):
    table = ask("speakers")
    assert table["speaker"].to_pylist() == ["alpha/ann", "beta/cleo", "alpha/bob"]
    assert only(table, speaker="alpha/ann")["minutes"] == pytest.approx(0.5)


def test_code_usage_measures_entropy_and_entries(ask):
    table = ask("code_usage")
    assert table["codebook"].to_pylist() == list(range(8))
    even = only(table, codebook=0)
    assert (even["entries_used"], even["entropy_bits"], even["perplexity"]) == (4, 2.0, 4.0)
    constant = only(table, codebook=1)
    assert (constant["entries_used"], constant["entropy_bits"], constant["commonest_entry"]) == (1, 0.0, 7)


def test_code_counts_add_up_to_the_frames_of_code_usage(ask):
    counts, usage = ask("code_counts"), ask("code_usage")
    for row in usage.to_pylist():
        frames = sum(r["frames"] for r in counts.to_pylist() if r["codebook"] == row["codebook"])
        assert frames == row["frames"] > 0


def test_asr_confidence_is_a_probability(ask):
    beta = only(ask("asr_confidence"), corpus="beta")
    assert beta["median"] == pytest.approx((math.exp(-0.25) + math.exp(-0.75)) / 2, abs=1e-4)
    assert only(ask("asr_confidence"), corpus="alpha")["no_speech_share"] == 0.25


def test_speaking_rate_counts_words_and_the_pauses_between_them(ask):
    beta = only(ask("speaking_rate"), corpus="beta")
    assert (beta["utterances"], beta["words"]) == (2, 8)
    assert (beta["words_per_second"], beta["words_per_spoken_second"]) == (1.74, 2.0)
    assert (beta["median_pause"], beta["longest_pause"], beta["pauses_per_minute"]) == (0.3, 0.3, 26.1)


def test_mixtures_name_the_licences_of_both_sides(ask):
    (row,) = ask("mixtures").to_pylist()
    assert (row["corpus"], row["kind"], row["speech_licence"], row["interferer_licence"]) == (
        *("alpha", "noise", "CC-BY-4.0", "CC0-1.0"),
    )
    assert (row["mixtures"], row["mean_snr"], row["interferers"]) == (1, 7.5, 1)


def test_task_scores_lie_beside_their_controls(ask):
    (row,) = ask("task_scores").to_pylist()
    assert (row["task"], row["metric"], row["checkpoint"], row["input"], row["truth"]) == ("ns", "si_sdr", 8, 2, 100)
    assert row["asr"] is None and row["utterances"] == 1


def test_words_are_counted_without_case_and_punctuation(ask):
    rows = ask("word_frequencies").to_pylist()
    assert (rows[0]["spoken"], rows[0]["times"], rows[0]["mean_seconds"]) == ("text", 10, 0.5)
    assert {row["spoken"] for row in rows} >= {"of", "a1", "b2"}


def test_given_text_disagreement_names_the_worst_segment(ask):
    beta = only(ask("given_text_disagreement"), corpus="beta")
    assert (beta["worst_segment"], beta["above_half_share"], beta["mean"]) == ("b2:0", 0.5, 0.5)


def test_throughput_tells_the_speed_of_a_worker_from_the_speed_of_the_run(ask):
    segment = only(ask("throughput"), stage="segment")
    assert (segment["shards"], segment["rows_dropped"]) == (2, 2)
    assert segment["speed_per_worker"] == 30.0
    assert segment["speed_overall"] == 40.0


def test_licences_list_their_corpora(ask):
    assert only(ask("licences"), licence="CC0-1.0")["corpora"] == ["beta"]


def test_quality_leaves_out_measures_that_nobody_took(ask):
    table = ask("quality")
    assert "distillmos" not in table["measure"].to_pylist()
    assert only(table, corpus="beta", measure="snr")["median"] == 10.0


def test_quality_histogram_bins_hold_their_scores(ask):
    snr = [row for row in ask("quality_histogram").to_pylist() if row["measure"] == "snr"]
    assert sum(row["segments"] for row in snr) == 6
    assert all(row["bin_end"] - row["bin_start"] == pytest.approx(2.0) for row in snr)


def test_phoneme_shares_add_up_to_one_per_language(ask):
    table = ask("phoneme_frequencies")
    assert only(table, language="en", symbol="a")["share"] == 0.5
    assert sum(row["share"] for row in table.to_pylist() if row["language"] == "de") == pytest.approx(1.0)


def test_longest_and_shortest_are_both_named(ask):
    table = ask("longest_and_shortest")
    assert only(table, corpus="alpha", extreme="longest", place=1)["segment_id"] == "a2:0"
    assert only(table, corpus="alpha", extreme="shortest", place=1)["segment_id"] == "a3:0"


def test_training_sets_know_their_checkpoints(ask):
    row = only(ask("training_sets"), training_set="set-1")
    assert (row["checkpoints"], row["largest_step"]) == (1, 100)
    assert row["licences"] == ["CC-BY-4.0", "CC0-1.0"]


def test_scores_count_missing_speech_as_similarity_zero(ask):
    model = only(ask("scores_by_system"), system="model")
    assert (model["wer_micro"], model["wer_macro"]) == (pytest.approx(500 / 12, abs=1e-3), 37.5)
    assert (model["missing"], model["sim_o"], model["real_time_factor"]) == (1, 0.25, 0.5)


def scores_of(evaluation, system, errors, **changes):
    """Two scores of a system, with `errors` wrong words of eight."""
    made = [score(system, name, "alpha/bob", count) for name, count in (("a3:0", errors), ("b2:0", 0))]
    return [replace(row, evaluation=evaluation, score_id=f"{evaluation}/{row.score_id}", **changes) for row in made]


def rank(rows):
    return lake_of(rows).execute(named_queries()["leaderboard"].sql).to_arrow_table()


def test_the_leaderboard_ranks_systems_by_their_best_evaluation():
    rows = [*scores_of("e1", "run/100", 3), *scores_of("e2", "run/100", 1), *scores_of("e3", "run/200", 2)]
    table = rank(rows + scores_of("e2", "ground_truth", 0, checkpoint_id=None, sim_o=0.8))
    assert table["system"].to_pylist() == ["run/100", "run/200"]
    best = only(table, system="run/100")
    assert (best["place"], best["evaluation"], best["evaluations"]) == (1, "e2", ["e1", "e2"])
    assert (best["wer_micro"], best["items"], best["scores"]) == (12.5, 2, 2)
    assert (best["ground_truth_wer"], best["sim_o_of_ground_truth"]) == (0.0, 0.625)
    assert only(table, place=2)["evaluation"] == "e3"


@pytest.mark.parametrize("field", ["asr_model", "speaker_model", "normaliser", "protocol", "items_hash", "prompt"])
def test_the_leaderboard_never_mixes_judges_normalisers_protocols_or_lists(field):
    table = rank([*scores_of("e1", "run/100", 1), *scores_of("e2", "run/200", 2, **{field: "other"})])
    assert table["place"].to_pylist() == [1, 1]


def test_controls_have_no_place_on_the_leaderboard():
    controls = ("ground_truth", "codec", "codec_vocos", "shuffled_speaker", "prompt_copied", "espeak")
    rows = [row for name in (*controls, "codecs-are-fun") for row in scores_of("e1", name, 1, checkpoint_id=None)]
    assert rank(rows)["system"].to_pylist() == ["codecs-are-fun"]
    assert all(control_of(name) for name in controls) and control_of("codecs-are-fun") is None


def test_lineage_leads_from_a_score_to_the_licences_it_was_trained_on(ask):
    row = only(ask("lineage"), system="model")
    assert (row["checkpoint_id"], row["training_set"], row["codec"]) == ("run/100", "set-1", "mini")
    assert (row["corpus"], row["licence"], row["utterances"]) == ("alpha", "CC-BY-4.0", 2)


def test_contamination_finds_prompts_that_were_trained_on(ask):
    row = only(ask("contamination"), system="model")
    assert row["items"] == 2
    assert row["prompts_trained_on"] == 2
    assert (row["utterances_trained_on"], row["items_with_trained_speaker"], row["items_with_trained_text"]) == (
        0,
        0,
        0,
    )


def test_stage_coverage_counts_what_passed_and_what_was_dropped(ask):
    row = only(ask("stage_coverage"), corpus="alpha", stage="transcribe")
    assert (row["segments"], row["passed"], row["dropped"], row["share_done"]) == (4, 3, 1, 1.0)
    assert only(ask("stage_coverage"), corpus="alpha", stage="phonemize")["share_done"] == 0.75


def test_duplicates_are_found_across_corpora(ask):
    row = only(ask("duplicates"), copies=2)
    assert row["recording_ids"] == ["a3", "b1"]
    assert row["corpora"] == ["alpha", "beta"]


def test_sql_and_python_aggregate_scores_alike(ask, small_scores):
    table = ask("scores_by_system")
    for scores in aggregate(small_scores, options=BootstrapOptions(replicas=10)):
        row = only(table, system=scores.system)
        assert row["wer_micro"] == pytest.approx(100 * scores.wer.value, abs=1e-3)
        assert row["wer_macro"] == pytest.approx(100 * scores.wer_macro.value, abs=1e-3)
        assert row["cer_micro"] == pytest.approx(100 * scores.cer.value, abs=1e-3)
        assert row["cer_macro"] == pytest.approx(100 * scores.cer_macro.value, abs=1e-3)
        assert row["sentence_error"] == pytest.approx(100 * scores.sentence_error.value, abs=1e-3)
        assert row["catastrophic"] == pytest.approx(100 * scores.catastrophic.value, abs=1e-3)
        assert row["sim_o"] == pytest.approx(scores.sim_o.value, abs=1e-4)
        assert (row["missing"], row["words"]) == (scores.num_missing, scores.num_words)
        assert row["real_time_factor"] == pytest.approx(scores.real_time_factor, abs=1e-3)
