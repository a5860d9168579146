import dataclasses

from valle.evaluation.report.lake_sections import lake_key, leaderboard_section
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow


def stored(lake, rows, evaluation, **changes):
    changed = [
        dataclasses.replace(row, evaluation=evaluation, score_id=f"{evaluation}/{row.score_id}", **changes)
        for row in rows
    ]
    lake.append(ScoreRow, changed, f"scores:{evaluation}")
    return changed


def test_a_report_shows_only_systems_that_were_scored_under_its_own_terms(make_evaluation, tmp_path):
    lake = Lake(tmp_path)
    good, bad = make_evaluation({"good": (0.05, 0.6)}), make_evaluation({"bad": (0.5, 0.2), "codec": (0.1, 0.7)})
    first = stored(lake, bad, "e1")
    better = stored(lake, good, "e2")
    stored(lake, make_evaluation({"other": (0.01, 0.9)}), "e3", asr_model="large")
    worse = stored(lake, good, "e4", word_errors=good[0].num_words)
    key = lake_key(lake)
    with connect(lake.snapshot()) as connection:
        section, *others = [leaderboard_section(scores, connection) for scores in (first, better, worse)]
    assert lake_key(lake) == key
    stored(lake, bad, "e5")
    assert lake_key(lake) != key
    assert [(row[0], row[1], row[-1]) for row in section.rows] == [(1, "`good`", "`e2`"), (2, "`bad`", "`e1`")]
    rate = 100 * sum(row.word_errors for row in good) / sum(row.num_words for row in good)
    assert section.rows[0][4] == f"{rate:.2f}"
    assert others == [section, section], "an evaluation that is not its system's best has the same terms"
