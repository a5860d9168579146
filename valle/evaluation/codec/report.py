"""Report on codecs: each beside the recordings, at every number of codebooks, with plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from valle.codec.mini.weights_file import Figure
from valle.evaluation.codec.measure import CodecMeasurement, codebook_counts, system_name
from valle.evaluation.codec.plots import plot_cost, plot_quality, plot_use
from valle.evaluation.codec.scores import ResynthesisScores
from valle.evaluation.report.columns import format_estimate
from valle.evaluation.stats.bootstrap import Estimate, PairedDifference, compare_ratios, estimate_mean, estimate_ratio
from valle.evaluation.systems.base import GROUND_TRUTH
from valle.reporting import Report, markdown_rows, write_text
from warehouse.model_rows import ScoreRow

_COLUMNS = ("WER %", "more than recorded", "cosine", "lowest tenth", "DistillMOS", "DNSMOS", "STOI", "log-mel")


def aggregate_resynthesis(measurement: CodecMeasurement, counts: Sequence[int]) -> list[ResynthesisScores]:
    """Aggregate the recordings, then the codec from many codebooks to few; intervals are by speaker."""
    by_system: dict[str, list[ScoreRow]] = {}
    for row in measurement.rows:
        by_system.setdefault(row.system, []).append(row)
    spec = measurement.spec
    rates = {system_name(spec.name, k): spec.bits_per_second * k / spec.num_codebooks for k in counts}
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
    measurements: Sequence[CodecMeasurement],
    counts: Sequence[int],
    directory: Path,
    *,
    title: str,
    unavailable: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Write `report.md` and its plots into `directory`; `unavailable` codecs are named with what they lack."""
    directory.mkdir(parents=True, exist_ok=True)
    scores = [aggregate_resynthesis(each, codebook_counts(each.spec, counts)) for each in measurements]
    lines = [_line(scores[0][0])] + [_line(line) for table in scores for line in table[1:]]
    first = measurements[0].rows[0]
    clips = sum(row.system == GROUND_TRUTH for row in measurements[0].rows)
    speakers = len({row.speaker for row in measurements[0].rows})
    plots = (
        plot_quality(scores, directory / "rate.png"),
        plot_use(measurements, directory / "codebooks.png"),
        plot_cost(measurements, directory / "cost.png"),
    )
    blocks = [
        f"# {title}",
        f"{clips} clips of {speakers} speakers. WER under `{first.normaliser}` by {first.asr_model}, cosine by "
        f"{first.speaker_model}, quality by {first.quality_model or 'no model'}. In brackets: 95 % intervals by "
        "speaker. The texts of a corpus contain errors, so the difference to the recordings is the measure of a codec."
        + _exclusions(measurements[0]),
        markdown_rows(("system", "bits/s", *_COLUMNS), lines, numeric=[False] + [True] * (len(_COLUMNS) + 1)),
        _overview(measurements),
        *_not_measured(unavailable),
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


def _overview(measurements: Sequence[CodecMeasurement]) -> str:
    """Return a table with a row per codec: its shape, use, look-ahead and speed."""
    header = ("codec", "Hz", "frames/s", "codebooks", "kbit/s", "entries used %", "look-ahead s", "encode", "decode")
    rows = []
    for measured in measurements:
        spec, speed = measured.spec, measured.speed
        used = float(np.mean([use.num_entries for use in measured.uses])) / spec.codebook_size
        rows.append(
            [
                spec.name,
                f"{spec.sample_rate:,}",
                f"{spec.frame_rate:.1f}",
                f"{spec.num_codebooks} x {spec.codebook_size}",
                f"{spec.bits_per_second / 1000:.1f}",
                f"{100 * used:.0f}",
                f"{measured.look_ahead:.2f}",
                f"{speed.encode:.0f}",
                f"{speed.decode:.0f}",
            ]
        )
    return (
        markdown_rows(header, rows, numeric=[False] + [True] * 8)
        + "\n\nLook-ahead is the later speech that a stream needs before it emits a frame. Speeds are seconds of audio "
        "per second of processor time."
    )


def _not_measured(unavailable: Mapping[str, str]) -> list[str]:
    if not unavailable:
        return []
    return ["Not measured:\n\n" + "\n".join(f"- `{name}` lacks {lack}" for name, lack in unavailable.items())]


def _codebooks(measurement: CodecMeasurement) -> str:
    spec = measurement.spec
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
        f"Use of the codebooks over {measurement.num_frames:,} frames ({np.log2(spec.codebook_size):.0f} bits are "
        f"a uniform use of all entries):\n\n{table}"
    )
