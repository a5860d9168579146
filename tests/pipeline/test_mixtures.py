"""Mixtures in the pipeline: deterministic, incremental, with full lineage, and in the training set and its batches."""

from pathlib import Path

import numpy as np
import pytest

from manifests import open_corpus
from manifests.synthesis.noises import make_noises
from tests.pipeline.prepared import QUICK, by_stage, folder_corpus, rows_of, run_pipeline, write_folder
from valle.backends.registry import Backends
from valle.data.codes_reader import CodesReader
from valle.data.collate import Collator
from valle.data.items.load import load_items
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy
from valle.data_root import DataRoot
from valle.model.config import preset
from valle.phonemes import phoneme_table
from valle.stages.mix import Mix
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.tasks.base import Sound
from warehouse.catalogue.views import connect, named_query
from warehouse.errors import ConfigurationError
from warehouse.lake.tables import Lake

STAGE = Mix(noises=("hiss",))
SHORT = (Segment(), STAGE)


def _road(root: Path, clips: Path, stages=SHORT) -> Lake:
    lake = DataRoot(root).lake
    make_noises(root / "noises", count=1, seconds=4.0, sample_rate=16_000, seed=0)
    run_pipeline(open_corpus("noise", root / "noises", name="hiss"), lake, [])
    run_pipeline(folder_corpus(clips), lake, stages)
    return lake


def test_mixtures_are_the_same_bytes_on_a_second_machine_and_only_new_clips_are_mixed(tmp_path: Path) -> None:
    clips = write_folder(tmp_path / "clips", 5, per_voice=2)
    here = _road(tmp_path / "here", clips)
    found = rows_of(here, "mixtures")
    assert len(found) == 5 and {row["drop_reason"] for row in found} == {None}
    assert rows_of(_road(tmp_path / "there", clips), "mixtures") == found
    assert run_pipeline(folder_corpus(clips), here, [STAGE]) == []
    write_folder(clips, 6, per_voice=2)
    assert by_stage(run_pipeline(folder_corpus(clips), here, [Segment(), STAGE]))["mix"] == 1
    kept = {row["segment_id"]: row for row in rows_of(here, "mixtures")}
    assert all(kept[row["segment_id"]] == row for row in found)
    with connect(here.snapshot()) as connection:
        answer = connection.execute(named_query("mixtures").sql).to_arrow_table().to_pylist()
    assert sum(row["mixtures"] for row in answer) == 6
    assert {row["speech_licence"] for row in answer} == {"Apache-2.0"}


def test_a_noise_corpus_that_was_not_ingested_is_named(tmp_path: Path) -> None:
    clips = write_folder(tmp_path / "clips", 1)
    with pytest.raises(ConfigurationError, match="no recording of the corpus 'absent'"):
        run_pipeline(folder_corpus(clips), DataRoot(tmp_path).lake, [Segment(), Mix(noises=("absent",))])


def test_a_training_set_reads_mixture_and_interference_of_each_item(tmp_path: Path) -> None:
    clips = write_folder(tmp_path / "clips", 3)
    stage = Mix(noises=("hiss",), noise_ratio=1.0, reverb_ratio=0.0, speaker_ratio=0.0, voice_ratio=0.0)
    lake = _road(tmp_path, clips, (*QUICK, stage))
    codec = Backends().codec("mini").spec
    chosen = select(
        Selection(name="noisy", split_policy=SplitPolicy(dev=0, test=0)),
        DataRoot(tmp_path),
        codec=codec,
        phoneme_symbols=phoneme_table().symbols,
    )
    assert chosen.items["mixture_kind"].to_pylist() == ["noise"] * 3
    items = load_items(chosen.items, phoneme_table().encode, lambda language: 0)
    config = preset("nano", codec, num_symbols=len(phoneme_table()), languages=["en"])
    collator = Collator(items, CodesReader(lake.root), config)
    stored = {row["segment_id"]: row for row in rows_of(lake, "mixtures")}
    for index, segment in enumerate(chosen.items["segment_id"].to_pylist()):
        for sound, first in ((Sound.MIXTURE, 0), (Sound.INTERFERENCE, 8)):
            codes = collator._read_codes(index, None, sound)
            assert np.array_equal(codes, [stored[segment][f"q{first + k}"] for k in range(8)])
    assert not np.array_equal(collator._read_codes(0, None), collator._read_codes(0, None, Sound.MIXTURE))


def test_no_training_item_has_a_mixture_with_a_speaker_of_the_test_split(tmp_path: Path) -> None:
    clips = write_folder(tmp_path / "clips", 12, per_voice=3)
    stage = Mix(noises=("hiss",), noise_ratio=0.0, reverb_ratio=0.0, speaker_ratio=1.0, voice_ratio=0.0)
    lake = _road(tmp_path, clips, (*QUICK, stage))
    speaker_of = {row["segment_id"]: row["speaker"] for row in rows_of(lake, "utterances")}
    mixed = [row for row in rows_of(lake, "mixtures") if row["interferer"] is not None]
    second = {row["segment_id"]: speaker_of[row["interferer"]] for row in mixed}
    held = next(voice for segment, voice in second.items() if voice != speaker_of[segment])
    chosen = select(
        Selection(name="held", split_policy=SplitPolicy(dev=0, test=0, test_where=f"speaker = '{held}'")),
        DataRoot(tmp_path),
        codec=Backends().codec("mini").spec,
        phoneme_symbols=phoneme_table().symbols,
    )
    found = {
        row["segment_id"]: row["mixture_kind"] is not None for row in chosen.items.to_pylist() if row["split"] != "test"
    }
    assert found == {segment: second.get(segment, held) != held for segment in found}
    assert set(found.values()) == {True, False}


def test_codes_of_the_speech_are_not_those_of_the_mixture(tmp_path: Path) -> None:
    clips = write_folder(tmp_path / "clips", 1)
    lake = _road(tmp_path, clips, (Segment(), Quantize(), STAGE))
    (mixture,), (plain,) = rows_of(lake, "mixtures"), rows_of(lake, "codes")
    assert mixture["num_frames"] == plain["num_frames"] and mixture["q0"] != plain["q0"]
