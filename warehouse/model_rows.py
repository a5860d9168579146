"""Rows of the tables of models: items of training sets, checkpoints, scores and sentences of evaluations."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from warehouse.lake.arrow import Float32, Int32, Micros


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingItemRow:
    """One utterance of a named, immutable training set, with everything the loader needs but the codes."""

    table: ClassVar[str] = "training_items"
    key: ClassVar[str] = "segment_id"

    training_set: Annotated[str, "id of the set: its name and the hash of its content"]
    segment_id: Annotated[str, "the segment"]
    recording_id: Annotated[str, "its recording"]
    corpus: Annotated[str, "name of the corpus"]
    speaker: Annotated[str, "speaker label; no speaker is in two splits"]
    language: Annotated[str, "ISO 639-1 code"]
    licence: Annotated[str, "licence of the recording"]
    split: Annotated[str, "`train`, `dev` or `test`"]
    weight: Annotated[Float32, "sampling weight, from the SQL of the selection"]
    duration: Annotated[float, "seconds"]
    text: Annotated[str, "the transcript in use"]
    symbols: Annotated[list[str], "its phonemes"]
    num_frames: Annotated[Int32, "frames of codes"]
    codes_file: Annotated[str, "data file that holds its codes, relative to the lake"]
    codes_row_group: Annotated[Int32, "row group inside that file"]
    codes_row: Annotated[Int32, "row inside that row group"]
    similar: Annotated[list[str] | None, "segments of its speaker with the most similar embeddings, nearest first"] = (
        None
    )
    word_times: Annotated[
        list[Float32] | None, "start and end of each word in turn, seconds; null where `align` has not run"
    ] = None
    mixture_kind: Annotated[str | None, "`noise`, `reverb`, `speaker` or `voice`; null where `mix` has not run"] = None
    mixture_licence: Annotated[str | None, "licence of the noise or the second speaker"] = None
    mixture_file: Annotated[str | None, "data file that holds the mixture, relative to the lake"] = None
    mixture_row_group: Annotated[Int32 | None, "row group inside that file"] = None
    mixture_row: Annotated[Int32 | None, "row inside that row group"] = None
    codes_start: Annotated[Int32 | None, "first frame of a part of a segment; null for the whole segment"] = None


# The last checkpoint of a training is a row, so that scores find their model without its files.
@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRow:
    """One saved state of a model and its origin."""

    table: ClassVar[str] = "checkpoints"
    key: ClassVar[str] = "checkpoint_id"

    checkpoint_id: Annotated[str, "run id and step"]
    run_id: Annotated[str, "the training run"]
    training_set: Annotated[str, "id of the set it was trained on"]
    codec: Annotated[str, "codec and revision"]
    step: Annotated[int, "optimizer updates so far"]
    path: Annotated[str, "its folder"]
    config: Annotated[str, "JSON of the model and training options"]
    metrics: Annotated[str, "JSON of the last metrics"]
    saved_at: Annotated[Micros, "when it was saved"]


# One row per utterance and not per evaluation: intervals and comparisons are computed from pairs.
@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRow:
    """The scores of one utterance of one system in one evaluation."""

    table: ClassVar[str] = "scores"
    key: ClassVar[str] = "score_id"

    score_id: Annotated[str, "evaluation, system, utterance and trial"]
    evaluation: Annotated[str, "id of the evaluation run"]
    protocol: Annotated[str, "`cross_sentence`, `continuation` or the name of a published list"]
    system: Annotated[str, "`ground_truth`, `codec`, a checkpoint id, ..."]
    checkpoint_id: Annotated[str | None, "null for a control row"]
    utterance: Annotated[str, "the segment whose text was synthesized"]
    prompt: Annotated[str | None, "the segment that defined the speaker"]
    trial: Annotated[Int32, "which of the seeds"]
    speaker: Annotated[str, "speaker of the prompt; intervals are clustered by it"]
    path: Annotated[str | None, "the audio that was scored, null when there is none"]
    duration: Annotated[float | None, "seconds of audio"]
    reference: Annotated[str, "normalised text that was to be spoken"]
    hypothesis: Annotated[str, "normalised transcription"]
    normaliser: Annotated[str, "name of the text normaliser"]
    asr_model: Annotated[str, "ASR model and revision"]
    num_words: Annotated[Int32, "words in the reference"]
    word_errors: Annotated[Int32, "substitutions, deletions and insertions"]
    num_characters: Annotated[Int32, "characters in the reference"]
    character_errors: Annotated[Int32, "substitutions, deletions and insertions"]
    speaker_model: Annotated[str, "speaker encoder and revision"]
    sim_o: Annotated[Float32 | None, "cosine to the original prompt"]
    generation_seconds: Annotated[float | None, "wall time of the synthesis"]
    scored_at: Annotated[Micros, "when it was scored"]
    items_hash: Annotated[str | None, "hash of the list of texts and prompts"] = None
    language: Annotated[str | None, "ISO 639-1 code of the text"] = None
    reference_raw: Annotated[str | None, "text that was to be spoken, as given"] = None
    hypothesis_raw: Annotated[str | None, "the transcription, as the ASR wrote it"] = None
    audio_hash: Annotated[str | None, "hash of the audio that was scored"] = None
    failure: Annotated[str | None, "why there is no audio, as the system reported it"] = None
    first_audio_seconds: Annotated[float | None, "wall time until the first audio could be played"] = None
    reference_duration: Annotated[float | None, "seconds of the recording of the same text"] = None
    phonemizer: Annotated[str | None, "phonemizer and revision"] = None
    num_phonemes: Annotated[Int32 | None, "phonemes in the reference"] = None
    phoneme_errors: Annotated[Int32 | None, "substitutions, deletions and insertions"] = None
    repeated_words: Annotated[
        Int32 | None, "longest run of words that was transcribed more often than it was given"
    ] = None
    longest_silence: Annotated[Float32 | None, "seconds of the longest silence"] = None
    silence_share: Annotated[Float32 | None, "fraction of the audio that is silence"] = None
    sim_r: Annotated[Float32 | None, "cosine to the prompt as the codec resynthesises it"] = None
    quality_model: Annotated[str | None, "quality models of the scores below, with revisions"] = None
    dnsmos_ovrl: Annotated[Float32 | None, "DNSMOS P.835 overall, 1 to 5"] = None
    dnsmos_p808: Annotated[Float32 | None, "DNSMOS P.808, 1 to 5"] = None
    distillmos: Annotated[Float32 | None, "DistillMOS, 1 to 5; null where it is not installed"] = None
    stoi: Annotated[Float32 | None, "STOI to the recording, 0 to 1; of codecs only"] = None
    log_mel_distance: Annotated[Float32 | None, "mean distance of log-mels to the recording; of codecs only"] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskScoreRow:
    """One measure of one utterance in a task beside text-to-speech, of a checkpoint or of a control."""

    table: ClassVar[str] = "task_scores"
    key: ClassVar[str] = "score_id"

    score_id: Annotated[str, "evaluation, task, system, utterance and metric"]
    evaluation: Annotated[str, "hash of checkpoint, training set, split, tasks and options"]
    task: Annotated[str, "`ns`, `cse`, `stt`, ..."]
    system: Annotated[str, "`checkpoint`, `input` (what was given, returned), `other`, `truth` (the answer) or `asr`"]
    checkpoint_id: Annotated[str, "the checkpoint under evaluation"]
    training_set: Annotated[str, "id of the set that the utterance is held out of"]
    utterance: Annotated[str, "the segment"]
    speaker: Annotated[str, "its speaker; intervals are clustered by it"]
    metric: Annotated[str, "`si_sdr`, `wer`, `span_words`, `words_left`, `sim_target_minus_other`, ..."]
    value: Annotated[float, "the measure"]
    scored_at: Annotated[Micros, "when it was scored"]


# Registered before anything is synthesized, so that a training set made meanwhile already leaves it out.
@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationItemRow:
    """A sentence or a prompt of an evaluated list; no selection may train on its audio."""

    table: ClassVar[str] = "evaluation_items"
    key: ClassVar[str] = "item_id"

    item_id: Annotated[str, "hash of list, role and utterance"]
    items_hash: Annotated[str, "hash of the list"]
    protocol: Annotated[str, "protocol of the list"]
    source: Annotated[str, "origin of the list"]
    role: Annotated[str, "`utterance` (its text is synthesized) or `prompt` (it defines the speaker)"]
    utterance: Annotated[str, "segment of the lake, or the name in a published list"]
    speaker: Annotated[str, "speaker label"]
    text: Annotated[str, "its text, as given"]
    language: Annotated[str, "ISO 639-1 code"]
    content_hash: Annotated[str | None, "of its recording, as in `recordings`; null without a recording"]
    start: Annotated[float | None, "seconds into the recording"]
    duration: Annotated[float | None, "seconds"]
    registered_at: Annotated[Micros, "when the list was first used"]
