import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from valle.statistics.plots import plot_bars, plot_code_usage, plot_durations, plot_quality, plot_quantiles


def is_drawn(path):
    """The picture is 800 pixels wide and holds more than white."""
    pixels = imread(path)
    assert pixels.shape[1] == 800
    return (pixels[:, :, :3].min(axis=2) < 0.8).mean() > 0.01


def bars(path, count):
    table = pa.table({"corpus": [f"corpus number {i}" for i in range(count)], "hours": [1.0 + i for i in range(count)]})
    return plot_bars(table, path, labels=("corpus",), values="hours", title="Hours", x="duration (h)")


def test_bars_are_drawn_for_one_row_and_for_many(tmp_path):
    one, many = bars(tmp_path / "one.png", 1), bars(tmp_path / "many.png", 200)
    assert is_drawn(one) and is_drawn(many)
    # 24 bars and one of all others: 24 times 30 pixels higher than a single bar.
    assert imread(many).shape[0] - imread(one).shape[0] == 24 * 30


def test_durations_are_drawn_stacked_by_corpus_with_the_smallest_folded(tmp_path):
    table = pa.table(
        {
            "corpus": [f"corpus-{c}" for c in range(9) for _ in range(15)],
            "bin_start": [float(b) for _ in range(9) for b in range(15)],
            "bin_end": [float(b + 1) for _ in range(9) for b in range(15)],
            "utterances": [int(100 * np.exp(-((b - 5) ** 2) / 20)) + c for c in range(9) for b in range(15)],
        }
    )
    assert is_drawn(plot_durations(table, tmp_path / "durations.png"))


def quality_table(generator):
    rows = []
    for corpus, mos, snr in (("demo-clips", 3.2, 30), ("librilight", 2.8, 18), ("emilia", 3.0, 22)):
        for measure, centre, width, spread in (("dnsmos_ovrl", mos, 0.1, 0.3), ("snr", snr, 2.0, 6.0)):
            bins, counts = np.unique(np.floor(generator.normal(centre, spread, 500) / width), return_counts=True)
            for place, count in zip(bins, counts, strict=True):
                rows.append(
                    {
                        "measure": measure,
                        "corpus": corpus,
                        "bin_start": round(place * width, 4),
                        "bin_end": round((place + 1) * width, 4),
                        "segments": int(count),
                    }
                )
    return pa.Table.from_pylist(rows)


def test_quality_is_drawn_for_both_measures(tmp_path):
    assert is_drawn(plot_quality(quality_table(np.random.default_rng(0)), tmp_path / "quality.png"))


def test_a_measure_of_quality_that_was_not_taken_has_no_panel(tmp_path, monkeypatch):
    drawn, save = [], Figure.savefig

    def keep(figure, *where, **how):
        drawn.append(figure)
        save(figure, *where, **how)

    monkeypatch.setattr(Figure, "savefig", keep)
    table = quality_table(np.random.default_rng(0))
    only_snr = pa.Table.from_pylist([row for row in table.to_pylist() if row["measure"] == "snr"])
    assert is_drawn(plot_quality(only_snr, tmp_path / "quality.png"))
    assert [axes.get_title(loc="left") or axes.get_title() for axes in drawn[0].axes] == ["signal-to-noise ratio"]


def test_quantiles_are_drawn(tmp_path):
    table = pa.table(
        {
            "corpus": ["demo-clips", "librilight", "emilia", "emilia"],
            "language": ["en", "en", "de", "zh"],
            "q05": [0.4, 0.3, 0.2, 0.1],
            "q25": [0.6, 0.5, 0.5, 0.3],
            "median": [0.8, 0.7, 0.7, 0.5],
            "q75": [0.9, 0.8, 0.8, 0.7],
            "q95": [0.97, 0.95, 0.95, 0.9],
        }
    )
    path = plot_quantiles(
        table, tmp_path / "q.png", labels=("corpus", "language"), title="ASR confidence", x="mean token probability"
    )
    assert is_drawn(path)


@pytest.mark.parametrize("size", [1024, 100])
def test_code_usage_is_drawn_for_any_size_of_codebook(size, tmp_path):
    generator = np.random.default_rng(0)
    counts, usage = [], []
    for codebook in range(8):
        used = generator.permutation(size)[: size // (1 + codebook % 3)]
        frames = generator.gamma(0.5, 100, len(used)).astype(int) + 1
        shares = frames / frames.sum()
        counts += [
            {"codec": "mini", "codebook": codebook, "code": int(c), "frames": int(f)}
            for c, f in zip(used, frames, strict=True)
        ]
        usage.append(
            {
                "codec": "mini",
                "codebook": codebook,
                "entries_used": len(used),
                "entropy_bits": float(-(shares * np.log2(shares)).sum()),
            }
        )
    path = plot_code_usage(
        pa.Table.from_pylist(usage),
        pa.Table.from_pylist(counts),
        tmp_path / "codes.png",
        codec="mini",
        codebook_size=size,
    )
    assert is_drawn(path)
