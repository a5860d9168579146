"""A blind test of two systems: pairs of audio that evaluations have scored, and the answers as rows of the lake."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from valle.data_root import DataRoot
from valle.evaluation.stats.blind import BlindResult, summarize_answers
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import ConfigurationError
from warehouse.lake.arrow import from_table
from warehouse.listener_rows import BlindAnswerRow

STRONGEST = 3
"""Largest rating: much better."""

# The newest audio of each utterance and system; one trial, so that a pair has the same rank of seeds.
_PAIRS = """
WITH newest AS (
    SELECT system, utterance, speaker, evaluation, path, coalesce(reference_raw, reference) AS text FROM scores
    WHERE path IS NOT NULL AND system IN (?, ?)
    QUALIFY row_number() OVER (PARTITION BY system, utterance ORDER BY scored_at DESC, trial) = 1
)
SELECT a.utterance, a.speaker, a.evaluation, a.text, a.path AS path_a, b.path AS path_b,
       (SELECT count(*) FROM blind_answers x WHERE x.listener = ? AND x.utterance = a.utterance
        AND x.system_a = a.system AND x.system_b = b.system) AS num_answers
FROM newest a JOIN newest b USING (utterance)
WHERE a.system = ? AND b.system = ? AND a.text = b.text
ORDER BY num_answers, utterance
"""
_SYSTEMS = """
SELECT system FROM scores WHERE path IS NOT NULL GROUP BY system ORDER BY system
"""


@dataclass(frozen=True, slots=True)
class BlindPair:
    """Two recordings of one text in an order that chance chose; `first` and `second` are their files."""

    listener: str
    utterance: str
    speaker: str
    evaluation: str
    text: str
    systems: tuple[str, str]
    paths: tuple[str, str]
    is_a_first: bool
    root: Path

    @property
    def first(self) -> Path:
        """The file that is played first."""
        return self.root / self.paths[not self.is_a_first]

    @property
    def second(self) -> Path:
        """The file that is played second."""
        return self.root / self.paths[self.is_a_first]


def systems_with_audio(data_root: DataRoot) -> list[str]:
    """Return the names of the systems whose audio was scored."""
    with connect(data_root.lake.snapshot()) as connection:
        return [row["system"] for row in run_query(connection, _SYSTEMS).to_pylist()]


def draw_pair(data_root: DataRoot, systems: tuple[str, str], listener: str, rng: random.Random) -> BlindPair:
    """Draw a pair of which the listener has answered least often, in random order.

    Raises ConfigurationError without a listener, for one system twice, and where both systems have no text in common.
    """
    if not listener.strip():
        raise ConfigurationError("Give a name of the listener, which is stored with the answers.")
    if systems[0] == systems[1]:
        raise ConfigurationError("Choose two systems that differ.")
    first, second = sorted(systems)
    with connect(data_root.lake.snapshot()) as connection:
        rows = run_query(connection, _PAIRS, [first, second, listener.strip(), first, second]).to_pylist()
    if not rows:
        raise ConfigurationError(
            f"{first} and {second} have no audio of the same text; run `valle evaluate` with the same items for both."
        )
    # Evenly: a pair that was answered twice tells less than another one.
    row = rng.choice([row for row in rows if row["num_answers"] == rows[0]["num_answers"]])
    return BlindPair(
        listener=listener.strip(),
        utterance=row["utterance"],
        speaker=row["speaker"],
        evaluation=row["evaluation"],
        text=row["text"],
        systems=(first, second),
        paths=(row["path_a"], row["path_b"]),
        is_a_first=rng.random() < 0.5,
        root=data_root.root,
    )


def answer(data_root: DataRoot, pair: BlindPair, rating: int) -> BlindAnswerRow:
    """Commit the rating of the second recording over the first, -3 to 3, as one of system B over A.

    Raises ConfigurationError for another number.
    """
    if rating not in range(-STRONGEST, STRONGEST + 1):
        raise ConfigurationError(f"A rating is a whole number from {-STRONGEST} to {STRONGEST}, not {rating}.")
    row = BlindAnswerRow(
        answer_id=uuid4().hex,
        listener=pair.listener,
        evaluation=pair.evaluation,
        utterance=pair.utterance,
        speaker=pair.speaker,
        text=pair.text,
        system_a=pair.systems[0],
        system_b=pair.systems[1],
        path_a=pair.paths[0],
        path_b=pair.paths[1],
        is_a_first=pair.is_a_first,
        # Stored as B over A, whichever was played first.
        rating=rating if pair.is_a_first else -rating,
        answered_at=datetime.now(UTC),
    )
    data_root.lake.append(BlindAnswerRow, [row], f"blind_answer:{row.answer_id}")
    return row


def results(data_root: DataRoot) -> Sequence[BlindResult]:
    """Return preference and CMOS of every pair of systems that listeners have compared."""
    with connect(data_root.lake.snapshot()) as connection:
        return summarize_answers(list(from_table(BlindAnswerRow, run_query(connection, "SELECT * FROM blind_answers"))))
