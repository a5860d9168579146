"""Read what the pipeline made of the speech of an evaluation: transcriptions, embeddings and quality scores.

The speech is a corpus, which the same stages process as any other. A model is therefore evaluated by the code that
prepared its data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.evaluation.metrics.defects import Silence, find_silence
from valle.evaluation.metrics.score import Embedding, Output, QualityScores
from valle.evaluation.systems.audio_files import SystemSpeech, continuation_path, similarity_directory
from warehouse.catalogue.views import connect, run_query

if TYPE_CHECKING:
    from valle.evaluation.plan import EvaluationPlan
    from warehouse.lake.tables import Lake

_PIPELINE_ROWS = """
SELECT
    r.path, r.content_hash, s.duration, t.asr_text, v.embedding,
    q.model AS quality_model, q.dnsmos_ovrl, q.dnsmos_p808, q.distillmos,
    -- The reason why there is nothing to score; a transcript that was dropped for its content is still a transcript.
    CASE
        WHEN k.recording_id IS NULL THEN coalesce(r.drop_reason, 'not_processed')
        WHEN t.asr_text IS NULL THEN coalesce(s.drop_reason, t.drop_reason, 'not_transcribed')
    END AS failure,
    CASE
        WHEN k.recording_id IS NULL THEN r.drop_detail
        WHEN t.asr_text IS NULL THEN coalesce(s.drop_detail, t.drop_detail)
    END AS failure_detail
FROM recordings r
-- Equal bytes are processed once: an utterance may also be the prompt of another.
LEFT JOIN current_recordings k
    ON k.corpus = r.corpus AND k.content_hash = r.content_hash AND k.drop_reason IS NULL
LEFT JOIN current_segments s ON s.recording_id = k.recording_id
LEFT JOIN current_transcripts t ON t.segment_id = s.segment_id
LEFT JOIN current_speakers v ON v.segment_id = s.segment_id
LEFT JOIN current_quality q ON q.segment_id = s.segment_id
WHERE list_contains(?, r.corpus)
QUALIFY row_number() OVER (PARTITION BY r.path ORDER BY r.ingested_at DESC) = 1
"""

PipelineRows = Mapping[str, Mapping[str, Any]]
"""Rows of the query by the path of the speech."""


def read_pipeline_rows(plan: EvaluationPlan, lake: Lake) -> PipelineRows:
    """Return what the lake has of all speech of an evaluation."""
    folders = [Path(name) for name in (plan.name, plan.controls)]
    corpora = [folder.name for directory in folders for folder in (directory, similarity_directory(directory))]
    with connect(lake.snapshot()) as connection:
        table: pa.Table = run_query(connection, _PIPELINE_ROWS, [corpora])
    return {row["path"]: row for row in table.to_pylist()}


def outputs_of(files: Sequence[SystemSpeech], rows: PipelineRows) -> list[Output]:
    """Return the output of every file that was transcribed; the others are missing speech, see `failures_of`."""
    outputs = []
    for file in files:
        row = rows.get(str(file.path))
        if row is None or row["failure"]:
            continue
        outputs.append(
            Output(
                utterance=file.utterance,
                trial=file.trial,
                path=str(file.path),
                duration=row["duration"],
                transcription=row["asr_text"],
                # Similarity is measured on what follows the prompt, where the speech begins with it.
                embedding=_embedding(rows.get(str(continuation_path(file.path)), row)),
                generation_seconds=file.seconds,
                first_audio_seconds=file.first_audio_seconds,
                audio_hash=row["content_hash"],
                silence=_silence(file),
                quality=QualityScores(
                    model=row["quality_model"],
                    dnsmos_ovrl=row["dnsmos_ovrl"],
                    dnsmos_p808=row["dnsmos_p808"],
                    distillmos=row["distillmos"],
                ),
            )
        )
    return outputs


def embeddings_of(files: Sequence[SystemSpeech], rows: PipelineRows) -> dict[str, Embedding]:
    """Return the speaker embeddings by utterance, also of files that were not transcribed."""
    embeddings = ((file.utterance, _embedding(rows.get(str(file.path), {}))) for file in files)
    return {utterance: embedding for utterance, embedding in embeddings if embedding is not None}


def _embedding(row: Mapping[str, Any]) -> Embedding | None:
    values = row.get("embedding")
    return None if values is None else np.asarray(values, dtype=np.float32)


def _silence(file: SystemSpeech) -> Silence | None:
    try:
        return find_silence(read_audio(AudioLocation(str(file.path))))
    except UnreadableAudio:
        return None


def failures_of(files: Sequence[SystemSpeech], rows: PipelineRows) -> dict[tuple[str, int], str]:
    """Return the reason of every utterance without output: from the system, or from the stage that dropped its file."""
    failures = {}
    for file in files:
        row = rows.get(str(file.path))
        if file.failure is not None:
            reason = file.failure
        elif row is None:
            reason = "its file was not processed"
        elif row["failure"]:
            reason = f"{row['failure']}: {row['failure_detail']}" if row["failure_detail"] else row["failure"]
        else:
            continue
        failures[file.utterance, file.trial] = reason
    return failures
