"""Define one frozen dataclass per table of the lake; the Arrow schemas and `docs/warehouse.md` derive from them.

Every field is `Annotated[type, "content"]`. Seconds are the only unit of time. A row of a stage is its payload and
the columns of `StageRow`, which the runner fills. A column without `| None` is null in dropped rows only.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from warehouse.lake.arrow import Float32, Int16, Int32, Micros, OneColumnEach


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A span of time inside a recording."""

    start: Annotated[float, "seconds from the start of the recording"]
    end: Annotated[float, "seconds from the start of the recording"]


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """The columns that the rows of ingestion and of all stages share."""

    table: ClassVar[str]
    key: ClassVar[str]

    corpus: Annotated[str, "name of the corpus, as given to `ingest`"]
    shard: Annotated[str, "unit of work; the same name is used in every table"]
    fingerprint: Annotated[str, "hash of the configuration and of the fingerprint of the input row"]
    drop_reason: Annotated[str | None, "null, or why there is no payload, in one word"]
    drop_detail: Annotated[str | None, "the observed values behind the reason"]


@dataclass(frozen=True, kw_only=True)
class SegmentStageRow(StageRow):
    """The columns that the rows of all stages share which read segments."""

    segment_id: Annotated[str, "the segment"]


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The columns that one stage computes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """One file (or one byte range of an archive) that a corpus reader found: the plan of ingestion."""

    table: ClassVar[str] = "sources"
    key: ClassVar[str] = "source_id"

    source_id: Annotated[str, "hash of corpus, path and byte range"]
    corpus: Annotated[str, "name of the corpus, as given to `ingest`"]
    shard: Annotated[str, "unit of work; the same name is used in every table"]
    path: Annotated[str, "file that holds it"]
    relative_path: Annotated[str, "path below the root of the corpus"]
    offset: Annotated[int, "first byte of the range inside an archive; 0 for a plain file"]
    size: Annotated[int, "bytes in the range"]
    etag: Annotated[str, "changes when the file changes: size and modification time, sidecars included"]
    found_at: Annotated[Micros, "when it was listed"]


@dataclass(frozen=True, kw_only=True)
class RecordingRow(StageRow):
    """One audio file or archive member, with the corpus metadata."""

    table: ClassVar[str] = "recordings"
    key: ClassVar[str] = "recording_id"

    recording_id: Annotated[str, "hash of corpus, relative path and archive member; stable across machines"]
    source_id: Annotated[str, "the source it was read from"]
    subset: Annotated[str, "published subset (`small`, `EN`, `train-clean-100`, ...)"]
    fingerprint: Annotated[str, "hash of reader version, audio and metadata"]
    path: Annotated[str, "file of the audio when it was read; `current_recordings` has its present path"]
    member: Annotated[str | None, "name inside the archive, null for a plain file"]
    offset: Annotated[int, "first byte of the audio inside the archive; 0 for a plain file"]
    size: Annotated[int, "bytes of encoded audio"]
    content_hash: Annotated[str, "hash of all encoded bytes; equal means duplicate"]
    sample_rate: Annotated[Int32 | None, "Hz, as stored"]
    num_channels: Annotated[Int32 | None, "channels, as stored"]
    num_samples: Annotated[int | None, "samples per channel, as decoded"]
    duration: Annotated[float | None, "seconds"]
    origin: Annotated[str, "`recorded`, `synthetic`, or `generated` by a checkpoint under evaluation"]
    speaker: Annotated[str | None, "speaker label of the corpus, prefixed with the corpus name"]
    language: Annotated[str | None, "ISO 639-1 code the corpus declares; `und` for one that is not recognised"]
    licence: Annotated[str, "SPDX identifier, or `unknown`"]
    text: Annotated[str | None, "transcript of the corpus"]
    book: Annotated[str | None, "book, video or session: what must not straddle a split"]
    genre: Annotated[str | None, "genre as the corpus folds it"]
    snr: Annotated[float | None, "decibels, as the corpus measured it"]
    dnsmos: Annotated[float | None, "DNSMOS OVRL, as the corpus measured it"]
    spans: Annotated[list[Span] | None, "speech spans the corpus declares"]
    extra: Annotated[str, "JSON object with every other key of the sidecar"]
    ingested_at: Annotated[Micros, "when it was read"]
    channel: Annotated[Int32 | None, "the channel that is read, from 0; null for the mean of all"]
    declared_samples: Annotated[int | None, "samples in the header where that is wrong, 0 for none; else null"]
    span_texts: Annotated[list[str | None] | None, "the text of each of `spans`, where the corpus has them"]


@dataclass(frozen=True, kw_only=True)
class SegmentPayload(Payload):
    """A span of speech."""

    segment_id: Annotated[str, "recording id, first sample and last sample"]
    start: Annotated[float, "seconds into the recording"]
    duration: Annotated[float, "seconds"]
    start_sample: Annotated[int, "first sample, at the recording's own rate"]
    num_samples: Annotated[int, "samples, at the recording's own rate"]
    cut: Annotated[str, "how its ends were chosen: `given`, `pause` or `forced`"]
    given_text: Annotated[str | None, "the text of the corpus for this span alone"]


@dataclass(frozen=True, kw_only=True)
class SegmentRow(SegmentPayload, StageRow):
    """A speech span of a recording, or one row with a reason for a recording without speech."""

    table: ClassVar[str] = "segments"
    key: ClassVar[str] = "segment_id"

    recording_id: Annotated[str, "the recording that holds it"]


@dataclass(frozen=True, kw_only=True)
class TranscriptPayload(Payload):
    """The texts of a segment, and the confidences of the ASR."""

    model: Annotated[str, "ASR model and revision, or `given`"]
    text: Annotated[str | None, "the text in use: the given one where there is one, else the transcription"]
    asr_text: Annotated[str | None, "the transcription"]
    given_text: Annotated[str | None, "the text of the corpus"]
    disagreement: Annotated[
        Float32 | None,
        "word error rate of the transcription against the given text; 0 where both are read alike, the phoneme error "
        "rate where only the phonemes agree",
    ]
    language: Annotated[str | None, "ISO 639-1 code"]
    language_probability: Annotated[Float32 | None, "0 to 1"]
    average_logprob: Annotated[Float32 | None, "mean log-probability of the ASR's tokens"]
    no_speech_probability: Annotated[Float32 | None, "0 to 1"]
    compression_ratio: Annotated[Float32 | None, "of the transcription; above 2.4 it is repetitive"]
    characters_per_second: Annotated[Float32 | None, "of the text in use; 5 to 28 is normal for English"]


@dataclass(frozen=True, kw_only=True)
class TranscriptRow(TranscriptPayload, SegmentStageRow):
    """The text of a segment: the text in use, the given one, the transcription, and the confidences of the ASR."""

    table: ClassVar[str] = "transcripts"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A word of a transcript and its time."""

    word: Annotated[str, "the word with its punctuation, as the text in use has it"]
    start: Annotated[float, "seconds from the start of the segment"]
    end: Annotated[float, "seconds from the start of the segment"]
    confidence: Annotated[Float32, "mean probability of its tokens, 0 to 1"]


@dataclass(frozen=True, kw_only=True)
class AlignmentPayload(Payload):
    """The words of a transcript in time."""

    model: Annotated[str, "ASR model and revision that located the words"]
    words: Annotated[list[Word], "every word of the text in use, in order"]
    num_words: Annotated[Int32, "length of `words`"]
    confidence: Annotated[Float32, "mean confidence of the words, 0 to 1"]


@dataclass(frozen=True, kw_only=True)
class AlignmentRow(AlignmentPayload, SegmentStageRow):
    """The words of a transcript in time; the view `words` has a row for each word."""

    table: ClassVar[str] = "alignments"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True)
class PhonemePayload(Payload):
    """The phonemes of a transcript."""

    model: Annotated[str, "phonemizer, its version and the language"]
    language: Annotated[str | None, "ISO 639-1 code"]
    symbols: Annotated[list[str], "IPA symbols, spaces and punctuation, in order"]
    num_symbols: Annotated[Int32, "length of `symbols`"]
    num_unknown: Annotated[Int32, "symbols that the phoneme table lacks"]
    unknown: Annotated[list[str], "those symbols, each once"]


@dataclass(frozen=True, kw_only=True)
class PhonemeRow(PhonemePayload, SegmentStageRow):
    """The phonemes of a transcript, in the symbols of the phoneme table."""

    table: ClassVar[str] = "phonemes"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True)
class QualityPayload(Payload):
    """Quality scores and signal measures."""

    model: Annotated[str, "the quality models and their revisions"]
    dnsmos_ovrl: Annotated[Float32 | None, "DNSMOS P.835 overall, 1 to 5"]
    dnsmos_sig: Annotated[Float32 | None, "DNSMOS P.835 speech, 1 to 5"]
    dnsmos_bak: Annotated[Float32 | None, "DNSMOS P.835 background, 1 to 5"]
    dnsmos_p808: Annotated[Float32 | None, "DNSMOS P.808, 1 to 5"]
    distillmos: Annotated[Float32 | None, "DistillMOS, 1 to 5; null where it is not installed"]
    snr: Annotated[Float32 | None, "decibels, speech against pauses"]
    bandwidth: Annotated[Float32 | None, "upper edge in Hz of 99.9 % of the energy above the noise floor"]
    loudness: Annotated[Float32 | None, "decibels relative to full scale, RMS"]
    clipping: Annotated[Float32 | None, "fraction of samples at full scale"]


@dataclass(frozen=True, kw_only=True)
class QualityRow(QualityPayload, SegmentStageRow):
    """Quality scores and signal measures of a segment."""

    table: ClassVar[str] = "quality"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True)
class SpeakerPayload(Payload):
    """A speaker embedding."""

    model: Annotated[str, "speaker encoder and revision; cosines of different models are never comparable"]
    embedding: Annotated[list[Float32], "unit length"]


@dataclass(frozen=True, kw_only=True)
class SpeakerRow(SpeakerPayload, SegmentStageRow):
    """The speaker of a segment as a unit vector."""

    table: ClassVar[str] = "speakers"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True)
class CodesPayload(Payload):
    """The codes of a segment."""

    codec: Annotated[str, "codec and revision of its weights"]
    num_frames: Annotated[Int32, "codes per codebook"]
    num_codebooks: Annotated[Int32, "codebooks of the codec"]
    codes: Annotated[
        list[list[Int16]],
        OneColumnEach("q", count="num_codebooks", minimum=8),
        "column k has codebook k, null from `num_codebooks` on; the AR model predicts `q0`",
    ]


@dataclass(frozen=True, kw_only=True)
class CodesRow(CodesPayload, SegmentStageRow):
    """The codec's codes of a segment, one column per codebook, as many as the largest codec in the lake has."""

    table: ClassVar[str] = "codes"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True)
class MixturePayload(Payload):
    """The codes of a segment with noise, in a room, with a second speaker or in another voice."""

    kind: Annotated[str, "`noise`, `reverb`, `speaker` or `voice`"]
    interferer: Annotated[str | None, "recording of the noise or room, segment of the second speaker; null for `voice`"]
    interferer_licence: Annotated[str | None, "its licence; a model trained on the mixture needs both"]
    interferer_start: Annotated[float | None, "seconds into the recording of the noise"]
    snr: Annotated[Float32 | None, "decibels of the speech against the noise or the second speaker"]
    factor: Annotated[Float32 | None, "pitch and formants of `voice` relative to the segment"]
    codec: Annotated[str, "codec and revision of its weights"]
    num_frames: Annotated[Int32, "codes per codebook, as many as the segment alone has"]
    num_codebooks: Annotated[Int32, "codebooks of the codec; twice as many with the interference alone"]
    codes: Annotated[
        list[list[Int16]],
        OneColumnEach("q", count="num_codebooks", minimum=8),
        "the codebooks of the mixture, then those of what was added to the speech",
    ]


@dataclass(frozen=True, kw_only=True)
class MixtureRow(MixturePayload, SegmentStageRow):
    """A mixture of a segment, and the codes of the mixture and of what was added, one column per codebook."""

    table: ClassVar[str] = "mixtures"
    key: ClassVar[str] = "segment_id"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigurationRow:
    """The options of a stage for a corpus; the newest row per corpus and stage is the active configuration."""

    table: ClassVar[str] = "configurations"
    key: ClassVar[str] = "configuration_id"

    configuration_id: Annotated[str, "hash of corpus, stage, configuration and time"]
    corpus: Annotated[str, "name of the corpus"]
    stage: Annotated[str, "name of the stage"]
    configuration: Annotated[str, "hash of name, version, options and model revision"]
    options: Annotated[str, "the same as readable JSON"]
    activated_at: Annotated[Micros, "when it became the active configuration"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRunRow:
    """The report of one stage on one shard, or of one training or evaluation run."""

    table: ClassVar[str] = "shard_runs"
    key: ClassVar[str] = "shard_run_id"

    shard_run_id: Annotated[str, "hash of run, stage, shard and start"]
    run_id: Annotated[str, "the flow run"]
    stage: Annotated[str, "`ingest`, a stage, `train` or `evaluate`"]
    corpus: Annotated[str, "name of the corpus, or of the training set"]
    shard: Annotated[str, "unit of work"]
    started_at: Annotated[Micros, "start"]
    wall_seconds: Annotated[float, "seconds of wall time"]
    audio_seconds: Annotated[float, "seconds of audio of the input rows"]
    rows_in: Annotated[Int32, "input rows"]
    rows_out: Annotated[Int32, "output rows with a payload"]
    rows_dropped: Annotated[Int32, "output rows with a reason"]
    host: Annotated[str, "machine and process"]
    options: Annotated[str, "JSON of the options"]
    code_revision: Annotated[str, "version of this project"]
