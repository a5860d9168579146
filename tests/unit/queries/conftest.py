"""A lake small enough to count by hand: two corpora, three speakers, seven recordings, all stages, one evaluation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from importlib.resources import files

import duckdb
import pytest

from warehouse.catalogue.definitions import codebooks_macro
from warehouse.lake.arrow import schema_of, to_table
from warehouse.model_rows import CheckpointRow, ScoreRow, TaskScoreRow, TrainingItemRow
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
    SpeakerRow,
    TranscriptRow,
    Word,
)
from warehouse.tables import TABLES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAGES = ("segment", "transcribe", "align", "phonemize", "quality", "speakers", "quantize", "mix")

# name, corpus, speaker, language, licence, seconds, drop_reason of the recording, drop_reason of its transcript
RECORDINGS = (
    ("a1", "alpha", "alpha/ann", "en", "CC-BY-4.0", 10.0, None, None),
    ("a2", "alpha", "alpha/ann", "en", "CC-BY-4.0", 20.0, None, None),
    ("a3", "alpha", "alpha/bob", "en", "CC-BY-4.0", 4.0, None, None),
    ("a4", "alpha", "alpha/bob", "en", "CC-BY-4.0", 6.0, None, "no_speech"),
    ("b1", "beta", "beta/cleo", "de", "CC0-1.0", 2.5, None, None),
    ("b2", "beta", "beta/cleo", "de", "CC0-1.0", 7.5, None, None),
    ("b3", "beta", "beta/cleo", "de", "CC0-1.0", 9.0, "undecodable", None),
)


def chained(stage: str, fingerprint: str) -> str:
    return md5(f"{stage}-v1:{fingerprint}".encode()).hexdigest()


def recording(name, corpus, speaker, language, licence, seconds, reason, _):
    return RecordingRow(
        recording_id=name,
        source_id=f"source-{name}",
        corpus=corpus,
        subset="small",
        shard="0000",
        fingerprint=f"read-{name}",
        path=f"{name}.flac",
        member=None,
        offset=0,
        size=1000,
        content_hash="same" if name in ("b1", "a3") else name,
        sample_rate=24000,
        num_channels=1,
        num_samples=int(seconds * 24000),
        duration=seconds,
        origin="recorded",
        speaker=speaker,
        language=language,
        licence=licence,
        text=f"text of {name}",
        book=None,
        genre=None,
        snr=None,
        dnsmos=None,
        spans=None,
        channel=None,
        declared_samples=None,
        span_texts=None,
        extra="{}",
        ingested_at=NOW,
        drop_reason=reason,
        drop_detail="bad header" if reason else None,
    )


def stage_rows(name, corpus, language, seconds, transcript_reason):
    """The rows of every stage for one recording that is one segment."""
    segment = chained("segment", f"read-{name}")
    transcript = chained("transcribe", segment)
    frames = int(seconds * 2)
    common = {"segment_id": f"{name}:0", "corpus": corpus, "shard": "0000"}
    kept = {"drop_reason": None, "drop_detail": None}
    yield SegmentRow(
        **common,
        **kept,
        recording_id=name,
        fingerprint=segment,
        start=0.0,
        duration=seconds,
        start_sample=0,
        num_samples=int(seconds * 24000),
        cut="given",
        given_text=None,
    )
    yield TranscriptRow(
        **common,
        fingerprint=transcript,
        model="tiny",
        text=None if transcript_reason else f"text of {name}",
        asr_text=f"text of {name}",
        given_text=f"text of {name}",
        disagreement=1.0 if name == "b2" else 0.0,
        language=language,
        language_probability=1.0,
        average_logprob=-0.1 * seconds,
        no_speech_probability=0.9 if transcript_reason else 0.1,
        compression_ratio=1.0,
        characters_per_second=10.0,
        drop_reason=transcript_reason,
        drop_detail=transcript_reason and "0.9 above 0.6",
    )
    if transcript_reason is None:
        # Four words of half a second each, with a pause of 0.3 s before the third.
        yield AlignmentRow(
            **common,
            **kept,
            fingerprint=chained("align", transcript),
            model="tiny",
            words=[
                Word(word=word, start=start, end=start + 0.5, confidence=0.5 + start / 8)
                for word, start in (("Text", 0.0), ("of", 0.5), (f"{name},", 1.3), ("text", 1.8))
            ],
            num_words=4,
            confidence=0.5,
        )
        yield PhonemeRow(
            **common,
            **kept,
            fingerprint=chained("phonemize", transcript),
            model="espeak",
            language=language,
            symbols=["a", "b", "a", " "],
            num_symbols=4,
            num_unknown=0,
            unknown=[],
        )
    yield QualityRow(
        **common,
        **kept,
        fingerprint=chained("quality", segment),
        model="dnsmos",
        dnsmos_ovrl=3.0 + seconds / 20,
        dnsmos_sig=3.0,
        dnsmos_bak=3.0,
        dnsmos_p808=3.0,
        distillmos=None,
        snr=2 * seconds,
        bandwidth=8000.0,
        loudness=-20.0,
        clipping=0.0,
    )
    yield SpeakerRow(
        **common, **kept, fingerprint=chained("speakers", segment), model="resemblyzer", embedding=[1.0, 0.0]
    )
    if name == "a1":
        yield MixtureRow(
            **common,
            **kept,
            fingerprint=chained("mix", segment),
            kind="noise",
            interferer="n1",
            interferer_licence="CC0-1.0",
            interferer_start=0.5,
            snr=7.5,
            factor=None,
            codec="mini",
            num_frames=1,
            num_codebooks=2,
            codes=[[1], [2]],
        )
    # Codebook 0 is used evenly over four entries, codebook 1 always with the same one, the others with two.
    yield CodesRow(
        **common,
        **kept,
        fingerprint=chained("quantize", segment),
        codec="mini",
        num_frames=frames,
        num_codebooks=8,
        codes=[[0, 1, 2, 3] * (frames // 4), [7] * frames, *([[0, 1] * (frames // 2)] * 6)],
    )


def score(system, utterance, speaker, errors, *, words=4, missing=False, sim=0.5, checkpoint="run/100"):
    return ScoreRow(
        score_id=f"e1/{system}/{utterance}",
        evaluation="e1",
        protocol="cross_sentence",
        system=system,
        checkpoint_id=checkpoint,
        utterance=utterance,
        prompt="a1:0",
        trial=0,
        speaker=speaker,
        path=None if missing else f"{utterance}.wav",
        duration=None if missing else 2.0,
        reference="one two three four",
        hypothesis="one two three four",
        normaliser="valle-en/1",
        asr_model="tiny",
        num_words=words,
        word_errors=errors,
        num_characters=18,
        character_errors=errors,
        speaker_model="resemblyzer",
        sim_o=0.0 if missing else sim,
        generation_seconds=None if missing else 1.0,
        scored_at=NOW,
    )


def small_rows():
    for entry in RECORDINGS:
        yield recording(*entry)
        if entry[6] is None:
            yield from stage_rows(entry[0], entry[1], entry[3], entry[5], entry[7])
    spoken = recording("g1", "evaluation-e1", "alpha/bob", "en", "unknown", 2.0, None, None)
    yield replace(spoken, origin="generated")
    for corpus in ("alpha", "beta"):
        for stage in STAGES:
            yield ConfigurationRow(
                configuration_id=f"{corpus}-{stage}",
                corpus=corpus,
                stage=stage,
                configuration=f"{stage}-v1",
                options="{}",
                activated_at=NOW,
            )
    for shard in range(2):
        yield ShardRunRow(
            shard_run_id=f"r{shard}",
            run_id="flow",
            stage="segment",
            corpus="alpha",
            shard=str(shard),
            started_at=NOW + timedelta(seconds=5 * shard),
            wall_seconds=10.0,
            audio_seconds=300.0,
            rows_in=3,
            rows_out=2,
            rows_dropped=1,
            host="h",
            options="{}",
            code_revision="0",
        )
    for name, corpus, speaker, language, licence, seconds, _, _ in RECORDINGS:
        if name in ("a1", "a2", "b1"):
            yield TrainingItemRow(
                training_set="set-1",
                segment_id=f"{name}:0",
                recording_id=name,
                corpus=corpus,
                speaker=speaker,
                language=language,
                licence=licence,
                split="dev" if name == "b1" else "train",
                weight=2.0 if name == "a2" else 1.0,
                duration=seconds,
                text=f"text of {name}",
                symbols=["a"],
                num_frames=10,
                codes_file="part",
                codes_row_group=0,
                codes_row=0,
                similar=None,
            )
    yield CheckpointRow(
        checkpoint_id="run/100",
        run_id="run",
        training_set="set-1",
        codec="mini",
        step=100,
        path="run/100",
        config="{}",
        metrics="{}",
        saved_at=NOW,
    )
    for system, value in (("checkpoint", 8.0), ("input", 2.0), ("truth", 100.0)):
        yield TaskScoreRow(
            score_id=f"t1/ns/{system}/a3:0/si_sdr",
            evaluation="t1",
            task="ns",
            system=system,
            checkpoint_id="run/100",
            training_set="set-1",
            utterance="a3:0",
            speaker="alpha/bob",
            metric="si_sdr",
            value=value,
            scored_at=NOW,
        )
    yield score("model", "a3:0", "alpha/bob", 1)
    yield score("model", "b2:0", "beta/cleo", 4, words=8, missing=True)
    yield score("ground_truth", "a3:0", "alpha/bob", 0, sim=0.9, checkpoint=None)


def lake_of(rows) -> duckdb.DuckDBPyConnection:
    """An in-memory database with a table per row class and the views of the catalogue over them."""
    connection = duckdb.connect()
    rows = list(rows)
    for row_class in TABLES:
        own = [row for row in rows if isinstance(row, row_class)]
        empty = schema_of(row_class, 8 if row_class is CodesRow else 0).empty_table()
        arrow_table = to_table(row_class, own) if own else empty
        connection.register("arrow_table", arrow_table)
        connection.execute(f"CREATE TABLE {row_class.table} AS SELECT * FROM arrow_table")
        connection.unregister("arrow_table")
    for resource in sorted(files("warehouse.schema").iterdir(), key=lambda entry: entry.name):
        if resource.name.endswith(".sql"):
            connection.execute(resource.read_text(encoding="utf-8"))
    connection.execute(codebooks_macro(8))
    return connection


@pytest.fixture(scope="package")
def ask():
    """Runs a named query on the small lake."""
    connection = lake_of(small_rows())
    return lambda name: connection.execute(_sql(name)).to_arrow_table()


@pytest.fixture
def small_scores():
    """The score rows of the small lake."""
    return [row for row in small_rows() if isinstance(row, ScoreRow)]


@pytest.fixture(scope="package")
def ask_empty():
    """Runs a named query on a lake without a row."""
    connection = lake_of(())
    return lambda name: connection.execute(_sql(name)).to_arrow_table()


def _sql(name: str) -> str:
    return files("warehouse.queries").joinpath(f"{name}.sql").read_text(encoding="utf-8")
