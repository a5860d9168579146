"""The end of an evaluation: from what the road heard to scores and a report.

The speech is a corpus of its own: it is ingested, segmented, transcribed, judged and embedded by the same stages as
any other, and the scores are made from those rows. What evaluates a model is therefore what prepared its data.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.backends.registry import Backends
from valle.data_root import DataRoot
from valle.evaluation.items.item_list import write_list
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.defects import Silence, find_silence
from valle.evaluation.metrics.score import Embedding, Opinions, Output, Phonemize, ScoringRun, Voices, score
from valle.evaluation.plan import EvaluationPlan
from valle.evaluation.report.lake_sections import lake_key, lake_sections
from valle.evaluation.report.report import write_report
from valle.evaluation.systems.audio_files import Spoken, continued_path, find_speech, voices_directory
from valle.evaluation.systems.control_speech import PROMPT_CODEC, control_items, control_systems
from valle.evaluation.systems.controls import ESPEAK, GROUND_TRUTH, PROMPT_COPIED, SHUFFLED_SPEAKER
from valle.evaluation.systems.espeak import espeak_languages
from valle.phonemes import LANGUAGES, SPACE
from valle.phonemes.symbols import PUNCTUATION
from valle.reporting import Report
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import CommitConflict, ConfigurationError, LakeError
from warehouse.lake.arrow import from_table
from warehouse.lake.tables import Lake
from warehouse.rows import ScoreRow

_HEARD = """
SELECT
    r.path, r.content_hash, s.duration, t.asr_text, v.embedding,
    q.model AS quality_model, q.dnsmos_ovrl, q.dnsmos_p808, q.distillmos
FROM recordings r
-- Equal bytes are heard once: an utterance may also be the prompt of another.
JOIN current_recordings k ON k.corpus = r.corpus AND k.content_hash = r.content_hash AND k.drop_reason IS NULL
JOIN current_segments s ON s.recording_id = k.recording_id
LEFT JOIN current_transcripts t ON t.segment_id = s.segment_id
LEFT JOIN current_speakers v ON v.segment_id = s.segment_id
LEFT JOIN current_quality q ON q.segment_id = s.segment_id
WHERE list_contains(?, r.corpus)
QUALIFY row_number() OVER (PARTITION BY r.path ORDER BY r.ingested_at DESC) = 1
"""
_STRESS = frozenset("ˈˌ")


def score_evaluation(plan: EvaluationPlan, data_root: DataRoot, backends: Backends) -> list[ScoreRow]:
    """Make the scores of a plan from what the road heard of its speech, and commit them, once."""
    heard = _heard(plan, data_root.lake)
    of_system, of_controls = plan.speech(data_root)
    spoken = {plan.system.name: find_speech(plan.items.items, plan.system.name, of_system)}
    for control in control_systems(plan.decoders):
        spoken[control] = find_speech(control_items(plan.items), control, of_controls)
    spoken[PROMPT_CODEC] = find_speech(control_items(plan.items), PROMPT_CODEC, voices_directory(of_controls))
    outputs = {system: _outputs(files, heard) for system, files in spoken.items()}
    prompt_of = {item.utterance: item.prompt for item in plan.items.items}
    voices = Voices(
        recorded=_voices(outputs[PROMPT_COPIED], prompt_of), resynthesised=_voices(outputs[PROMPT_CODEC], prompt_of)
    )
    _require_voices(plan.items.items, voices.recorded)
    durations = {output.utterance: output.duration for output in outputs[GROUND_TRUTH]}
    rows: list[ScoreRow] = []
    for system, items, made in _rows_to_score(plan, outputs):
        rows += score(
            items,
            made,
            voices=voices,
            run=_run(plan, system),
            phonemize=_phonemize(backends, plan.judges.phonemizer) if _can_phonemize(items) else None,
            failures=_failures(spoken.get(system, ()), heard),
            recorded_durations=durations,
        )
    try:
        data_root.lake.append(ScoreRow, rows, f"scores:{plan.name}")
    except CommitConflict:
        return stored_scores(plan.name, data_root.lake)
    return rows


def _failures(files: Sequence[Spoken], heard: Mapping[str, dict[str, Any]]) -> dict[tuple[str, int], str]:
    """Why an item has no speech: the system said so, or the road found none in the file."""
    return {
        (file.utterance, file.trial): file.failure or "no speech was found in its audio"
        for file in files
        if str(file.path) not in heard
    }


def _rows_to_score(
    plan: EvaluationPlan, outputs: Mapping[str, Sequence[Output]]
) -> list[tuple[str, Sequence[EvaluationItem], Sequence[Output]]]:
    """Every row of the report: a control that the list makes impossible is not one of them."""
    controls = control_items(plan.items)
    rows: list[tuple[str, Sequence[EvaluationItem], Sequence[Output]]] = [
        (plan.system.name, plan.items.items, outputs[plan.system.name])
    ]
    for name in control_systems(plan.decoders):
        if name not in impossible_controls(plan):
            rows.append((name, controls, outputs[name]))
    shuffled = _shuffled(controls)
    if SHUFFLED_SPEAKER not in impossible_controls(plan):
        chosen = {item.utterance for item in shuffled}
        rows.append((SHUFFLED_SPEAKER, shuffled, [one for one in outputs[GROUND_TRUTH] if one.utterance in chosen]))
    return rows


def impossible_controls(plan: EvaluationPlan) -> dict[str, str]:
    """The control rows that a list cannot have, and why."""
    items, reasons = plan.items, dict(plan.decoders.unavailable)
    if not items.has_recordings:
        why = "the list holds no recordings of its sentences"
        reasons |= dict.fromkeys((GROUND_TRUTH, *plan.decoders.by_system, SHUFFLED_SPEAKER), why)
    if not items.has_prompts:
        reasons |= dict.fromkeys((PROMPT_COPIED, SHUFFLED_SPEAKER), "the list has sentences without a prompt")
    unspoken = sorted({item.language for item in items.items} - espeak_languages())
    if unspoken:
        reasons[ESPEAK] = f"espeak-ng has no voice here for {', '.join(unspoken)}"
    if len({item.speaker for item in items.items}) < 2:
        reasons[SHUFFLED_SPEAKER] = "the list has one speaker only"
    return reasons


def _run(plan: EvaluationPlan, system: str) -> ScoringRun:
    revisions = plan.judges.revisions
    return ScoringRun(
        evaluation=plan.name,
        system=system,
        checkpoint_id=plan.system.checkpoint_id if system == plan.system.name else None,
        asr_model=revisions["ASR"],
        speaker_model=revisions["speaker encoder"],
        scored_at=datetime.now(UTC),
        normaliser=plan.judges.normaliser,
        items_hash=plan.items.hash,
        phonemizer=revisions["phonemizer"],
    )


def _can_phonemize(items: Sequence[EvaluationItem]) -> bool:
    return all(item.language in LANGUAGES for item in items)


def _phonemize(backends: Backends, name: str) -> Phonemize:
    ignored = {SPACE, *PUNCTUATION, *_STRESS}

    def phonemize(text: str, language: str) -> list[str]:
        (symbols,) = backends.phonemizer(name).phonemize([text], language)
        return [symbol for symbol in symbols if symbol not in ignored]

    return phonemize


def stored_scores(evaluation: str, lake: Lake) -> list[ScoreRow]:
    """The scores of an evaluation that was made before; empty when there are none.

    Raises LakeError when a part of the table cannot be read.
    """
    stored = lake.open_table(ScoreRow.table)
    if stored is None:
        return []
    try:
        # Of this table alone: to define the views of all takes longer than the rest of an evaluation that is done.
        table = stored.to_pyarrow_table(filters=[("evaluation", "=", evaluation)])
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"Table {ScoreRow.table} cannot be read ({error}); run `valle lake fsck`.") from error
    return list(from_table(ScoreRow, table.sort_by("score_id")))


def report_evaluation(
    plan: EvaluationPlan, rows: Sequence[ScoreRow], data_root: DataRoot, facts: Mapping[str, str]
) -> Report:
    """Write the report of an evaluation, and its list of items beside it; `facts` are what is known of the system."""
    directory = data_root.reports / plan.name
    write_list(plan.items, directory / "items.json")
    items = plan.items
    provenance = {
        "evaluation": plan.name,
        **facts,
        "items": f"{len(items.items)} of {items.source}",
        "items hash": items.hash,
        "codec": plan.decoders.identity,
        **plan.judges.revisions,
    }
    return write_report(
        rows,
        directory,
        title=f"Evaluation of {plan.system.name}",
        provenance=provenance,
        sections=lambda: lake_sections(rows, data_root.lake),
        sections_key=lake_key(data_root.lake),
        impossible=impossible_controls(plan),
    )


def _heard(plan: EvaluationPlan, lake: Lake) -> dict[str, dict[str, Any]]:
    folders = [Path(name) for name in (plan.name, plan.controls)]
    corpora = [folder.name for directory in folders for folder in (directory, voices_directory(directory))]
    with connect(lake.snapshot()) as connection:
        table: pa.Table = run_query(connection, _HEARD, [corpora])
    return {row["path"]: row for row in table.to_pylist()}


def _outputs(files: Sequence[Spoken], heard: Mapping[str, dict[str, Any]]) -> list[Output]:
    outputs = []
    for file in files:
        row = heard.get(str(file.path))
        if row is None:
            continue  # What failed, or what the road dropped (silence, say), is missing, and scored as such.
        # Similarity is measured on what follows the prompt, where the speech goes on from it.
        embedding = heard.get(str(continued_path(file.path)), row)["embedding"]
        outputs.append(
            Output(
                utterance=file.utterance,
                trial=file.trial,
                path=str(file.path),
                duration=row["duration"],
                heard=row["asr_text"] or "",
                embedding=None if embedding is None else np.asarray(embedding, dtype=np.float32),
                generation_seconds=file.seconds,
                first_audio_seconds=file.first_audio_seconds,
                audio_hash=row["content_hash"],
                silence=_silence(file),
                opinions=Opinions(
                    model=row["quality_model"],
                    dnsmos_ovrl=row["dnsmos_ovrl"],
                    dnsmos_p808=row["dnsmos_p808"],
                    distillmos=row["distillmos"],
                ),
            )
        )
    return outputs


def _silence(file: Spoken) -> Silence | None:
    try:
        return find_silence(read_audio(AudioLocation(str(file.path))))
    except UnreadableAudio:
        return None


def _voices(outputs: Sequence[Output], prompt_of: Mapping[str, str]) -> dict[str, Embedding]:
    return {prompt_of[output.utterance]: output.embedding for output in outputs if output.embedding is not None}


def _require_voices(items: Sequence[EvaluationItem], voices: Mapping[str, Embedding]) -> None:
    """Raise ConfigurationError for a prompt without a voice: nothing could be said of the similarity to it."""
    mute = sorted({item.prompt for item in items if item.prompt_location is not None and item.prompt not in voices})
    if mute:
        raise ConfigurationError(
            f"{len(mute)} prompts of the list have no voice to compare with, such as {mute[0]}: the road dropped them "
            "(silent or too short, see `valle sql --query drops_by_reason`); leave them out of the list."
        )


def _shuffled(items: Sequence[EvaluationItem]) -> list[EvaluationItem]:
    """Every item with the prompt of another speaker; without another speaker the item is left out."""
    shuffled = []
    for index, item in enumerate(items):
        others = [other for other in (*items[index + 1 :], *items[:index]) if other.speaker != item.speaker]
        if others:
            shuffled.append(dataclasses.replace(item, prompt=others[0].prompt))
    return shuffled
