"""List every table of the lake."""

from warehouse.lake.arrow import TableRow
from warehouse.listener_rows import BlindAnswerRow, ReviewRow, VoiceRow
from warehouse.model_rows import CheckpointRow, EvaluationItemRow, ScoreRow, TaskScoreRow, TrainingItemRow
from warehouse.rows import (
    AlignmentRow,
    CodesRow,
    ConfigurationRow,
    MixtureRow,
    PhonemeRow,
    QualityRow,
    RecordingRow,
    SegmentRow,
    ShardRunRow,
    SourceRow,
    SpeakerRow,
    TranscriptRow,
)

# Apart from the row classes: a module that needs one row loads only the classes of its own kind.
TABLES: tuple[type[TableRow], ...] = (
    SourceRow,
    RecordingRow,
    SegmentRow,
    TranscriptRow,
    AlignmentRow,
    PhonemeRow,
    QualityRow,
    SpeakerRow,
    CodesRow,
    MixtureRow,
    TrainingItemRow,
    CheckpointRow,
    ScoreRow,
    TaskScoreRow,
    EvaluationItemRow,
    ReviewRow,
    BlindAnswerRow,
    VoiceRow,
    ConfigurationRow,
    ShardRunRow,
)
"""Every table, in the order of the pipeline."""
