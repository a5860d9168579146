"""Count the overlap of an evaluation with the training data of the model: audio, texts, speakers, embeddings.

Counts by hash, label and text come from the named query `contamination`. Speaker embeddings are compared here, because
a speaker who occurs in two corpora under two labels can only be found by the audio.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.catalogue.views import named_query, run_query

SAME_SPEAKER = 0.9
"""Cosine of mean embeddings from which on two speakers count as one. With Resemblyzer the two halves of a speaker's
clips reach 0.95 with four clips and more; no two of 251 speakers reach 0.9 (docs/decisions/0009)."""

_CLIPS_PER_SPEAKER = 20

OVERLAPS: dict[str, str] = {
    "utterances_trained_on": "the utterance itself was in the training data",
    "prompts_trained_on": "the prompt was in the training data",
    "items_with_trained_audio": "audio of the utterance was in the training data, in any corpus",
    "prompts_with_trained_audio": "audio of the prompt was in the training data, in any corpus",
    "items_from_trained_recording": "another span of the recording was in the training data",
    "items_from_trained_book": "the book, video or session was in the training data",
    "items_with_trained_speaker": "the speaker was in the training data",
    "items_with_trained_text": "the same text was in the training data",
    "items_with_near_text": "half of the text, by runs of eight words, was in the training data",
}
"""Columns of the named query with their meaning, the most serious first."""

# Overlaps with which scores no longer measure unseen speech.
_AUDIO_OVERLAPS = tuple(OVERLAPS)[:4]

_EVALUATED_EMBEDDINGS = """
-- Utterances and prompts of the lake, and those of published lists through the speech of the control rows.
WITH clips AS (
    SELECT speaker, unnest([utterance, prompt]) AS segment_id FROM scores
    WHERE evaluation = $2 AND checkpoint_id = $1
    UNION
    SELECT s.speaker, g.segment_id
    FROM scores s
    JOIN recordings r ON r.path = s.path
    JOIN current_recordings k ON k.corpus = r.corpus AND k.content_hash = r.content_hash AND k.drop_reason IS NULL
    JOIN current_segments g ON g.recording_id = k.recording_id
    WHERE s.evaluation = $2 AND s.system IN ('ground_truth', 'prompt_copied')
)
SELECT clips.speaker, v.model, v.embedding
FROM clips JOIN current_speakers v USING (segment_id)
WHERE v.embedding IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY clips.speaker, v.model ORDER BY md5(segment_id)) <= $3
"""

_TRAINED_EMBEDDINGS = """
SELECT t.speaker, v.model, v.embedding
FROM training_items t JOIN current_speakers v USING (segment_id)
WHERE t.split = 'train' AND v.embedding IS NOT NULL
    AND t.training_set IN (SELECT training_set FROM checkpoints WHERE checkpoint_id = $1)
QUALIFY row_number() OVER (PARTITION BY t.speaker, v.model ORDER BY md5(segment_id)) <= $2
"""


@dataclass(frozen=True, slots=True)
class SpeakerMatch:
    """A speaker of the evaluation and the training speaker with the closest mean embedding."""

    speaker: str
    trained_speaker: str
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """Overlap of one evaluation with the training data of one model.

    `counts` are items out of `num_items`, by column of the named query. `matches` has the closest training speaker of
    every speaker with an embedding, closest first.
    """

    system: str
    checkpoint_id: str
    num_items: int
    counts: Mapping[str, int]
    matches: tuple[SpeakerMatch, ...]

    @property
    def same_speakers(self) -> tuple[SpeakerMatch, ...]:
        """Speakers who count as a speaker of the training data, closest first."""
        return tuple(match for match in self.matches if match.cosine >= SAME_SPEAKER)

    @property
    def has_trained_audio(self) -> bool:
        """True if the model was trained on audio of the evaluation."""
        return any(self.counts[name] for name in _AUDIO_OVERLAPS)


def find_contamination(evaluation: str, connection: duckdb.DuckDBPyConnection) -> list[Contamination]:
    """Return the overlap of an evaluation, whose scores are in the catalogue, with the training of each of its models.

    Systems without a checkpoint of the lake are skipped, because their training data is unknown.
    """
    # The named query has all evaluations, so that `valle sql` can run it without parameters.
    sql = f"SELECT * FROM ({named_query('contamination').sql.rstrip().rstrip(';')}) WHERE evaluation = ?"
    return [
        Contamination(
            system=row["system"],
            checkpoint_id=row["checkpoint_id"],
            num_items=row["items"],
            counts={name: row[name] for name in OVERLAPS},
            matches=_closest_speakers(connection, evaluation, row["checkpoint_id"]),
        )
        for row in run_query(connection, sql, [evaluation]).to_pylist()
    ]


def _closest_speakers(
    connection: duckdb.DuckDBPyConnection, evaluation: str, checkpoint: str
) -> tuple[SpeakerMatch, ...]:
    evaluated = run_query(connection, _EVALUATED_EMBEDDINGS, [checkpoint, evaluation, _CLIPS_PER_SPEAKER])
    trained = _mean_embeddings(run_query(connection, _TRAINED_EMBEDDINGS, [checkpoint, _CLIPS_PER_SPEAKER]))
    matches = []
    for model, (speakers, embeddings) in _mean_embeddings(evaluated).items():
        if model not in trained:
            continue  # Embeddings of two encoders are not comparable.
        trained_speakers, trained_embeddings = trained[model]
        cosines = embeddings @ trained_embeddings.T
        for index, speaker in enumerate(speakers):
            best = int(np.argmax(cosines[index]))
            matches.append(SpeakerMatch(speaker, trained_speakers[best], float(cosines[index, best])))
    return tuple(sorted(matches, key=lambda match: (-match.cosine, match.speaker)))


def _mean_embeddings(table: pa.Table) -> dict[str, tuple[list[str], NDArray[np.float32]]]:
    """Return per encoder the speakers and their mean embeddings, of unit length [speakers, D]."""
    by_model: dict[str, dict[str, list[Any]]] = {}
    for row in table.to_pylist():
        by_model.setdefault(row["model"], {}).setdefault(row["speaker"], []).append(row["embedding"])
    means_by_model = {}
    for model, by_speaker in by_model.items():
        # The mean over clips varies less with text and microphone than a single embedding.
        means = np.stack([np.mean(vectors, axis=0) for vectors in by_speaker.values()]).astype(np.float32)
        means_by_model[model] = (list(by_speaker), means / np.linalg.norm(means, axis=1, keepdims=True))
    return means_by_model
