from pathlib import Path

from valle.statistics.corpus_report import corpus_report


def test_a_corpus_report_shows_every_picture_it_draws(ask, tmp_path):
    report = corpus_report(ask, tmp_path)
    text = report.markdown_path.read_text(encoding="utf-8")
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert drawn == {plot.path.name for plot in report.plots}
    assert {"hours_by_corpus.png", "durations.png", "quality_histogram.png", "code_usage_0.png"} <= drawn
    for plot in report.plots:
        assert f"]({Path('plots') / plot.path.name})" in text
    assert "| alpha/ann | alpha |" in text


def test_a_corpus_report_of_an_empty_lake_says_so(ask_empty, tmp_path):
    report = corpus_report(ask_empty, tmp_path)
    text = report.markdown_path.read_text(encoding="utf-8")
    assert report.plots == ()
    assert text.count("No rows yet.") == text.count("## ")
