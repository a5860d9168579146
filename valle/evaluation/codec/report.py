"""Report on codecs: each beside the recordings, at every number of codebooks, with plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from valle.codec.mini.weights_file import Figure
from valle.evaluation.codec.measure import CodecMeasurement, system_name
from valle.evaluation.report.columns import format_estimate
from valle.evaluation.stats.bootstrap import Estimate, PairedDifference, compare_ratios, estimate_mean, estimate_ratio
from valle.evaluation.systems.base import GROUND_TRUTH
from valle.reporting import Plot, Report, markdown_rows, write_text
from valle.statistics.style import colour, label_axes, legend_below, new_figure, save_figure
from warehouse.model_rows import ScoreRow

_COLUMNS = ("WER %", "more than recorded", "cosine", "lowest tenth", "DistillMOS", "DNSMOS", "STOI", "log-mel")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResynthesisScores:
    """Scores of a codec at one number of codebooks, or of the recordings; rates are fractions, None is not measured."""

    system: str
    bits_per_second: float | None
    wer: Estimate
    added_wer: PairedDifference | None
    cosine: Estimate | None
    lowest_tenth_cosine: float | None
    distillmos: Estimate | None
    dnsmos: Estimate | None
    stoi: Estimate | None
    log_mel_distance: Estimate | None


def aggregate_resynthesis(measurement: CodecMeasurement, codebook_counts: Sequence[int]) -> list[ResynthesisScores]:
    """Aggregate the recordings, then the codec from many codebooks to few; intervals are by speaker."""
    by_system: dict[str, list[ScoreRow]] = {}
    for row in measurement.rows:
        by_system.setdefault(row.system, []).append(row)
    spec = measurement.spec
    rates = {system_name(spec.name, k): spec.bits_per_second * k / spec.num_codebooks for k in codebook_counts}
    systems = [GROUND_TRUTH, *sorted(rates, key=lambda name: -rates[name])]
    return [_scores(system, rates.get(system), by_system[system], by_system[GROUND_TRUTH]) for system in systems]


def _scores(
    system: str, bits_per_second: float | None, rows: Sequence[ScoreRow], originals: Sequence[ScoreRow]
) -> ResynthesisScores:
    speakers = [row.speaker for row in rows]
    words = [row.num_words for row in rows]
    cosines = [row.sim_o for row in rows if row.sim_o is not None]

    def mean(values: Sequence[float | None]) -> Estimate | None:
        measured = [(value, speaker) for value, speaker in zip(values, speakers, strict=True) if value is not None]
        return estimate_mean([v for v, _ in measured], clusters=[s for _, s in measured]) if measured else None

    return ResynthesisScores(
        system=system,
        bits_per_second=bits_per_second,
        wer=estimate_ratio([row.word_errors for row in rows], words, clusters=speakers),
        added_wer=None
        if system == GROUND_TRUTH
        else compare_ratios(
            [row.word_errors for row in rows], [row.word_errors for row in originals], words, clusters=speakers
        ),
        cosine=mean([row.sim_o for row in rows]),
        lowest_tenth_cosine=float(np.percentile(cosines, 10)) if cosines else None,
        distillmos=mean([row.distillmos for row in rows]),
        dnsmos=mean([row.dnsmos_ovrl for row in rows]),
        stoi=mean([row.stoi for row in rows]),
        log_mel_distance=mean([row.log_mel_distance for row in rows]),
    )


def quality_figures(measurement: CodecMeasurement, num_codebooks: int) -> dict[str, Figure]:
    """Return the scores for the header of a codec's weights at a number of codebooks; rates are fractions."""
    recorded, coded = aggregate_resynthesis(measurement, [num_codebooks])
    rows = [row for row in measurement.rows if row.system == GROUND_TRUTH]
    means = {
        "speaker_cosine": coded.cosine,
        "distillmos": coded.distillmos,
        "dnsmos": coded.dnsmos,
        "stoi": coded.stoi,
        "log_mel_distance": coded.log_mel_distance,
    }
    figures: dict[str, Figure] = {
        "codebooks": num_codebooks,
        "clips": len(rows),
        "speakers": len({row.speaker for row in rows}),
        "words": sum(row.num_words for row in rows),
        "asr": rows[0].asr_model,
        "speaker_encoder": rows[0].speaker_model,
        "wer": round(coded.wer.value, 4),
        "wer_of_recordings": round(recorded.wer.value, 4),
    }
    return figures | {name: round(estimate.value, 4) for name, estimate in means.items() if estimate is not None}


def _with_interval(estimate: Estimate | PairedDifference | None, *, scale: float = 1.0, decimals: int = 2) -> str:
    if estimate is None:
        return "-"
    if isinstance(estimate, PairedDifference):
        estimate = Estimate(estimate.difference, estimate.low, estimate.high)
    return format_estimate(estimate, scale, decimals)


def _line(scores: ResynthesisScores) -> list[str]:
    lowest = scores.lowest_tenth_cosine
    return [
        scores.system,
        "-" if scores.bits_per_second is None else f"{scores.bits_per_second:,.0f}",
        _with_interval(scores.wer, scale=100),
        _with_interval(scores.added_wer, scale=100),
        _with_interval(scores.cosine, decimals=3),
        "-" if lowest is None else f"{lowest:.3f}",
        _with_interval(scores.distillmos),
        _with_interval(scores.dnsmos),
        _with_interval(scores.stoi, decimals=3),
        _with_interval(scores.log_mel_distance, decimals=3),
    ]


def write_codec_report(
    measurements: Sequence[CodecMeasurement], codebook_counts: Sequence[int], directory: Path, *, title: str
) -> Report:
    """Write `report.md` and its plots into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    scores = [aggregate_resynthesis(measurement, codebook_counts) for measurement in measurements]
    lines = [_line(scores[0][0])] + [_line(line) for table in scores for line in table[1:]]
    first = measurements[0].rows[0]
    clips = sum(row.system == GROUND_TRUTH for row in measurements[0].rows)
    speakers = len({row.speaker for row in measurements[0].rows})
    plots = (
        _plot_rates(scores, directory / "rate.png"),
        _plot_use(measurements, directory / "codebooks.png"),
    )
    blocks = [
        f"# {title}",
        f"{clips} clips of {speakers} speakers. WER under `{first.normaliser}` by {first.asr_model}, cosine by "
        f"{first.speaker_model}, quality by {first.quality_model or 'no model'}. In brackets: 95 % intervals by "
        "speaker. The texts of a corpus contain errors, so the difference to the recordings is the measure of a codec."
        + _exclusions(measurements[0]),
        markdown_rows(("system", "bits/s", *_COLUMNS), lines, numeric=[False] + [True] * (len(_COLUMNS) + 1)),
        *(f"![{plot.caption}]({plot.path.name})\n\n{plot.caption}" for plot in plots),
        *(_codebooks(measurement) for measurement in measurements),
    ]
    markdown = directory / "report.md"
    write_text(markdown, "\n\n".join(blocks) + "\n")
    return Report(markdown, plots)


def _exclusions(measurement: CodecMeasurement) -> str:
    if not measurement.excluded:
        return ""
    return f" Excluded, because no word of their text is left: {', '.join(measurement.excluded)}."


def _codebooks(measurement: CodecMeasurement) -> str:
    spec, speed = measurement.spec, measurement.speed
    table = markdown_rows(
        ("codebook", "entries in use", "share %", "bits"),
        [
            [index, use.num_entries, 100 * use.num_entries / spec.codebook_size, use.entropy]
            for index, use in enumerate(measurement.uses)
        ],
        numeric=[True] * 4,
    )
    return (
        f"## {spec.label}\n\n"
        f"{spec.frame_rate:g} frames a second, {spec.num_codebooks} codebooks of {spec.codebook_size} entries, "
        f"{spec.bits_per_second:,.0f} bits a second. In processor time, seconds of audio a second: encode "
        f"{speed.encode:.0f}, decode {speed.decode:.0f}, both {speed.both:.0f}. A stream needs "
        f"{measurement.look_ahead:.2f} s of later speech before it emits a frame.\n\n"
        f"Use of the codebooks over {measurement.num_frames:,} frames ({np.log2(spec.codebook_size):.0f} bits are "
        f"a uniform use of all entries):\n\n{table}"
    )


def _plot_rates(scores: Sequence[Sequence[ResynthesisScores]], path: Path) -> Plot:
    figure = new_figure(height=4.2)
    left, right = figure.subplots(1, 2)
    for index, table in enumerate(scores):
        coded = [line for line in table if line.bits_per_second is not None]
        rates = [(line.bits_per_second or 0) / 1000 for line in coded]
        name = coded[0].system.rpartition("_")[0].removeprefix("codec_")
        left.plot(rates, [100 * line.wer.value for line in coded], "o-", color=colour(index), label=name)
        similar = [(rate, line.cosine.value) for rate, line in zip(rates, coded, strict=True) if line.cosine]
        right.plot([rate for rate, _ in similar], [value for _, value in similar], "o-", color=colour(index))
    left.axhline(100 * scores[0][0].wer.value, color="black", linestyle="--", linewidth=1, label="recordings")
    left.set_ylim(bottom=0)
    label_axes(left, title="Word errors", x="kbit/s", y="WER (%)")
    label_axes(right, title="Speaker similarity", x="kbit/s", y="cosine to the recording")
    legend_below(figure, left)
    return Plot(save_figure(figure, path), "Word errors and speaker similarity by bit rate: more codebooks, more bits.")


def _plot_use(measurements: Sequence[CodecMeasurement], path: Path) -> Plot:
    figure = new_figure(height=3.6)
    axes = figure.subplots()
    width = 0.8 / len(measurements)
    for index, measurement in enumerate(measurements):
        positions = np.arange(len(measurement.uses)) + (index - (len(measurements) - 1) / 2) * width
        entropies = [use.entropy for use in measurement.uses]
        axes.bar(positions, entropies, width, color=colour(index), label=measurement.spec.name)
    axes.axhline(np.log2(measurements[0].spec.codebook_size), color="black", linestyle="--", linewidth=1)
    label_axes(axes, title="Use of the codebooks", x="codebook", y="entropy (bits)")
    legend_below(figure, axes)
    return Plot(save_figure(figure, path), "Entropy of the codes by codebook; the dashed line is uniform use.")
