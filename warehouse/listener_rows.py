"""Rows that listeners make: reviews of segments, answers of blind tests, voices with their consent."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from warehouse.lake.arrow import Int32, Micros


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRow:
    """The verdict of a listener on a segment; the newest one of a segment counts."""

    table: ClassVar[str] = "reviews"
    key: ClassVar[str] = "review_id"

    review_id: Annotated[str, "random, one per verdict"]
    segment_id: Annotated[str, "the segment"]
    verdict: Annotated[str, "`bad`: selections leave it out; `good`: an earlier `bad` no longer counts"]
    note: Annotated[str, "reason, in the words of the listener"]
    reviewed_at: Annotated[Micros, "when it was given"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlindAnswerRow:
    """The answer of a listener to one pair of a blind test; system names are in order of the alphabet."""

    table: ClassVar[str] = "blind_answers"
    key: ClassVar[str] = "answer_id"

    answer_id: Annotated[str, "random, one per answer"]
    listener: Annotated[str, "name that the listener gave"]
    evaluation: Annotated[str, "evaluation that has the audio of system A"]
    utterance: Annotated[str, "the segment whose text both systems spoke"]
    speaker: Annotated[str, "speaker of the prompt; intervals are clustered by it"]
    text: Annotated[str, "the text"]
    system_a: Annotated[str, "first of the two systems by name"]
    system_b: Annotated[str, "the other system"]
    path_a: Annotated[str, "audio of system A that was played"]
    path_b: Annotated[str, "audio of system B that was played"]
    is_a_first: Annotated[bool, "true when the listener met A as the first of the two"]
    rating: Annotated[Int32, "-3 (A is much better) to 3 (B is much better); 0 is no preference"]
    answered_at: Annotated[Micros, "when it was given"]


# The recording is a file that can be deleted; the statement of consent outlives it.
@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceRow:
    """One change of the bank of voices: a voice was added with a statement of consent, or deleted."""

    table: ClassVar[str] = "voices"
    key: ClassVar[str] = "voice_row_id"

    voice_row_id: Annotated[str, "random, one per change"]
    name: Annotated[str, "name of the voice"]
    change: Annotated[str, "`added` or `deleted`"]
    consent: Annotated[str, "statement of who agreed to its synthesis"]
    sha256: Annotated[str, "SHA-256 of the recording as it was given"]
    segment_id: Annotated[str | None, "segment of the lake that is the recording; null for an upload"]
    seconds: Annotated[float, "duration of the prompt"]
    changed_at: Annotated[Micros, "when it was changed"]
