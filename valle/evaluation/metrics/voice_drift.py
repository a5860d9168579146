"""Does the voice wander off in long speech? SIM-o by quarter of the duration, measured on the files when reporting.

Only speech over twenty seconds is cut: quarters of short utterances hold too little voice to compare.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from valle.audio import AudioLocation, Samples, UnreadableAudio, read_audio
from valle.backends.speaker import open_speaker_encoder, speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE, SpeakerEncoder
from valle.evaluation.metrics.drift import LONG_SECONDS, NUM_QUARTERS
from valle.evaluation.metrics.score import cosine
from valle.evaluation.report.columns import format_estimate
from valle.evaluation.report.sections import Cell, Section, section
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_mean
from valle.evaluation.systems.controls import PROMPT_COPIED, SHUFFLED_SPEAKER, system_rank
from warehouse.errors import ConfigurationError, DependencyError
from warehouse.rows import ScoreRow


@dataclass(frozen=True, slots=True)
class VoiceDrift:
    """Mean SIM-o of each quarter of the long speech of a system."""

    system: str
    quarters: tuple[Estimate, ...]
    num_scores: int


def split_quarters(samples: Samples) -> list[Samples]:
    """Samples [N] as four consecutive parts, as equal as can be."""
    return list(np.array_split(samples, NUM_QUARTERS))


def measure_voice_drift(
    rows: Sequence[ScoreRow], encoder: SpeakerEncoder, *, options: BootstrapOptions | None = None
) -> list[VoiceDrift]:
    """The drift of every system with long speech, against the prompts as `prompt_copied` gave them back.

    Speech that cannot be read any more, or whose prompt cannot, is left out.
    """
    prompts = {row.prompt: row for row in rows if row.system == PROMPT_COPIED}
    voices: dict[str | None, np.ndarray | None] = {}
    found: dict[str, list[tuple[list[float], str]]] = {}
    for row in long_rows(rows):
        if row.prompt not in voices:
            given = _samples(prompts.get(row.prompt))
            voices[row.prompt] = None if given is None else encoder.embed([given])[0]
        voice, samples = voices[row.prompt], _samples(row)
        if voice is None or samples is None:
            continue
        # A quarter without any sound has no voice, which is as far from the prompt as missing speech.
        cosines = [
            cosine(quarter, voice) if np.isfinite(quarter).all() else 0.0
            for quarter in encoder.embed(split_quarters(samples))
        ]
        found.setdefault(row.system, []).append((cosines, row.speaker))
    drifts = []
    for system in sorted(found, key=system_rank):
        speakers = [speaker for _, speaker in found[system]]
        columns = np.array([cosines for cosines, _ in found[system]]).T
        quarters = tuple(estimate_mean(column, clusters=speakers, options=options) for column in columns)
        drifts.append(VoiceDrift(system, quarters, len(speakers)))
    return drifts


def long_rows(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Rows with long speech; the controls that are no speech of a text of their own are left out."""
    silent = (SHUFFLED_SPEAKER, PROMPT_COPIED)
    return [row for row in rows if row.path and (row.duration or 0) > LONG_SECONDS and row.system not in silent]


def _samples(row: ScoreRow | None) -> Samples | None:
    if row is None or row.path is None:
        return None
    try:
        return read_audio(AudioLocation(row.path), SAMPLE_RATE).samples
    except UnreadableAudio:
        return None


def voice_drift_sections(
    rows: Sequence[ScoreRow],
    *,
    open_encoder: Callable[[str], SpeakerEncoder] = open_speaker_encoder,
    options: BootstrapOptions | None = None,
) -> list[Section]:
    """The section of a report, if there is long speech; with the encoder of the scores, or not at all."""
    if not long_rows(rows):
        return []
    heading, model = "Drift of the voice", rows[0].speaker_model
    try:
        name = model.partition("@")[0]
        revision = speaker_encoder_revision(name)
        if revision != model:
            return [section(heading, intro=f"Not measured: the scores are of `{model}`, installed is `{revision}`.")]
        drifts = measure_voice_drift(rows, open_encoder(name), options=options)
    except (ConfigurationError, DependencyError) as error:
        return [section(heading, intro=f"Not measured: {error}")]
    table: list[list[Cell]] = []
    for drift in drifts:
        change = drift.quarters[-1].value - drift.quarters[0].value
        cells = [format_estimate(quarter, 1, 3) for quarter in drift.quarters]
        table.append([f"`{drift.system}`", *cells, f"{change:+.3f}", drift.num_scores])
    header = ["SIM-o", "first quarter", "second", "third", "last quarter", "last - first", "lines"]
    intro = f"Speaker similarity by quarter of the duration, of speech over {LONG_SECONDS:.0f} s."
    return [section(heading, header, table, intro=intro)]
