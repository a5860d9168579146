"""What an evaluation shares with the training of the model it measures: audio, texts, speakers, voices.

Counts by hash, label and text come from the kept query `contamination`; voices are compared here, because a speaker
who stands in two corpora under two labels shows only in the sound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from valle.evaluation.report.sections import Cell, Section
from warehouse.catalogue.views import named_query, run_query
from warehouse.rows import ScoreRow

SAME_VOICE = 0.9
"""Cosine of the mean voices of two speakers from which on they are taken for one. With Resemblyzer the two halves of
a reader's clips reach 0.95 with four clips and more; no two of 251 readers reach 0.9 (docs/decisions/0009)."""

_CLIPS_PER_SPEAKER = 20
_MOST_PAIRS = 5

_OVERLAPS: dict[str, str] = {
    "utterances_trained_on": "the sentence itself was trained on",
    "prompts_trained_on": "the prompt was trained on",
    "items_with_trained_audio": "audio of the sentence was trained on, in any corpus",
    "prompts_with_trained_audio": "audio of the prompt was trained on, in any corpus",
    "items_from_trained_recording": "the recording was trained on elsewhere",
    "items_from_trained_book": "the book, video or session was trained on",
    "items_with_trained_speaker": "the speaker was trained on",
    "items_with_trained_text": "the same text was trained on",
    "items_with_near_text": "half of the text, by runs of eight words, was trained on",
}

_FATAL = tuple(_OVERLAPS)[:4]
"""Overlaps after which the scores are not of unseen speech."""

_EVALUATED_VOICES = """
-- Sentences and prompts as the lake has them, and as the control rows gave them back (a published list is not in it).
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

_TRAINED_VOICES = """
SELECT t.speaker, v.model, v.embedding
FROM training_items t JOIN current_speakers v USING (segment_id)
WHERE t.split = 'train' AND v.embedding IS NOT NULL
    AND t.training_set IN (SELECT training_set FROM checkpoints WHERE checkpoint_id = $1)
QUALIFY row_number() OVER (PARTITION BY t.speaker, v.model ORDER BY md5(segment_id)) <= $2
"""


@dataclass(frozen=True, slots=True)
class VoiceMatch:
    """The voice of an evaluation's speaker and the one in training that sounds most like it."""

    speaker: str
    trained_speaker: str
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """What one model of one evaluation shares with its training; `counts` are items of `num_items`, by column name.

    `voices` has the closest match of every speaker whose voice was measured.
    """

    system: str
    checkpoint_id: str
    num_items: int
    counts: Mapping[str, int]
    voices: tuple[VoiceMatch, ...]

    @property
    def same_voices(self) -> tuple[VoiceMatch, ...]:
        """Speakers who are taken for one of the training's, the most alike first."""
        return tuple(match for match in self.voices if match.cosine >= SAME_VOICE)

    @property
    def has_heard_it(self) -> bool:
        """Whether the model was trained on audio of the evaluation."""
        return any(self.counts[name] for name in _FATAL)


def find_contamination(evaluation: str, connection: duckdb.DuckDBPyConnection) -> list[Contamination]:
    """What each model of an evaluation, whose scores the catalogue has, shares with its training.

    Systems without a checkpoint of ours are not here: nobody knows what they were trained on.
    """
    sql = f"SELECT * FROM ({named_query('contamination').sql.rstrip().rstrip(';')}) WHERE evaluation = ?"
    return [
        Contamination(
            system=row["system"],
            checkpoint_id=row["checkpoint_id"],
            num_items=row["items"],
            counts={name: row[name] for name in _OVERLAPS},
            voices=_closest_voices(connection, evaluation, row["checkpoint_id"]),
        )
        for row in run_query(connection, sql, [evaluation]).to_pylist()
    ]


def _closest_voices(connection: duckdb.DuckDBPyConnection, evaluation: str, checkpoint: str) -> tuple[VoiceMatch, ...]:
    theirs = _mean_voices(run_query(connection, _EVALUATED_VOICES, [checkpoint, evaluation, _CLIPS_PER_SPEAKER]))
    ours = _mean_voices(run_query(connection, _TRAINED_VOICES, [checkpoint, _CLIPS_PER_SPEAKER]))
    matches = []
    for model, (speakers, voices) in theirs.items():
        if model not in ours:
            continue  # Vectors of two encoders have nothing to do with one another.
        names, trained_voices = ours[model]
        cosines = voices @ trained_voices.T
        for place, speaker in enumerate(speakers):
            best = int(np.argmax(cosines[place]))
            matches.append(VoiceMatch(speaker, names[best], float(cosines[place, best])))
    return tuple(sorted(matches, key=lambda match: (-match.cosine, match.speaker)))


def _mean_voices(table: pa.Table) -> dict[str, tuple[list[str], NDArray[np.float32]]]:
    """Per encoder the speakers and their mean vectors, unit length [speakers, D]."""
    grouped: dict[str, dict[str, list[Any]]] = {}
    for row in table.to_pylist():
        grouped.setdefault(row["model"], {}).setdefault(row["speaker"], []).append(row["embedding"])
    voices = {}
    for model, by_speaker in grouped.items():
        means = np.stack([np.mean(vectors, axis=0) for vectors in by_speaker.values()]).astype(np.float32)
        voices[model] = (list(by_speaker), means / np.linalg.norm(means, axis=1, keepdims=True))
    return voices


def contamination_section(scores: Sequence[ScoreRow], connection: duckdb.DuckDBPyConnection) -> Section:
    """The section of a report on stored `scores` of one evaluation."""
    found = find_contamination(scores[0].evaluation, connection)
    if not found:
        return Section(
            heading="Contamination",
            intro="Unknown: none of the systems is a checkpoint of this lake, and nobody can say what the others were "
            "trained on.",
        )
    rows: list[tuple[Cell, ...]] = [
        (meaning, *(f"{each.counts[name]} of {each.num_items}" for each in found))
        for name, meaning in _OVERLAPS.items()
    ]
    rows.append(
        (
            f"speakers whose voice was trained on under any label (cosine from {SAME_VOICE})",
            *(f"{len(each.same_voices)} of {len(each.voices)}" if each.voices else "not measured" for each in found),
        )
    )
    return Section(
        heading="Contamination",
        intro=" ".join(_verdict(each) for each in found),
        header=("items of which", *(f"`{each.system}`" for each in found)),
        rows=tuple(rows),
        numeric=(False, *(True for _ in found)),
        note=" ".join(_closest(each) for each in found if each.voices),
    )


def _verdict(found: Contamination) -> str:
    if found.has_heard_it:
        return f"`{found.system}` was trained on audio of this evaluation: its scores are not of unseen speech."
    if found.counts["items_with_trained_speaker"] or found.same_voices:
        return f"`{found.system}` was trained on speakers of this evaluation: its voices are not zero-shot."
    if any(found.counts.values()):
        return f"`{found.system}` was trained on none of the audio or speakers, but on some of the texts or books."
    return f"`{found.system}` was trained on nothing of this evaluation."


def _closest(found: Contamination) -> str:
    pairs = ", ".join(
        f"`{match.speaker}` and `{match.trained_speaker}` ({match.cosine:.2f})" for match in found.voices[:_MOST_PAIRS]
    )
    return f"Voices most alike, evaluated and trained by `{found.system}`: {pairs}."
