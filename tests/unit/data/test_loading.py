import dataclasses
import threading
from itertools import islice, takewhile

import numpy as np
import pyarrow as pa
import pytest
from lhotse import MonoCut, Recording
from lhotse.array import Array, TemporalArray
from lhotse.audio import AudioSource

from tests.unit.data.fixtures import sampler_options
from tests.unit.training.toy import SPEC, SYMBOLS, codes_for, make_toy_set
from valle.data.codes_reader import CodesReader, SpilledGroups
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.epoch_rows import sample_mask
from valle.data.flat_codes import flatten
from valle.data.items.load import load_items
from valle.data.loader import collate_batches
from valle.data.sampler import iterate_batches, plan_epoch
from valle.data.selection.training_set import load_training_set
from valle.model.config import preset
from valle.model.layout import Mode
from valle.phonemes import PhonemeTable
from valle.prefetch import Prefetcher
from valle.tasks.registry import TASKS
from warehouse.errors import LakeError, TrainingError


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return load_training_set(make_toy_set(tmp_path_factory.mktemp("toy"), num_items=300))


@pytest.fixture
def config():
    return preset("nano", SPEC, num_symbols=len(SYMBOLS), languages=["en"])


def loaded_items(toy, config):
    return load_items(toy.split("train"), PhonemeTable(toy.card.phoneme_symbols).encode, config.language_id)


def truth(toy, index):
    row = toy.items.slice(index, 1).to_pylist()[0]
    return row, codes_for(row["symbols"], int(row["speaker"].split()[1]))


def test_the_reader_finds_every_row_in_every_row_group_and_reads_only_the_codebooks_asked_for(toy):
    reader = CodesReader(toy.lake)
    for index in (0, 255, 256, 299):
        row, codes = truth(toy, index)
        where = (row["codes_file"], row["codes_row_group"], row["codes_row"])
        assert (reader.read(*where, num_codebooks=8) == codes).all()
        first = reader.read(*where, num_codebooks=1)
        assert first.shape == (1, codes.shape[1])
        assert first.dtype == np.int16
        assert (reader.read(*where, num_codebooks=3, start=2, stop=6) == codes[:3, 2:6]).all()


def test_the_reader_forgets_row_groups_beyond_its_memory(toy):
    reader = CodesReader(toy.lake, cache_bytes=1)
    for index in (0, 299, 0, 299):
        row, codes = truth(toy, index)
        where = (row["codes_file"], row["codes_row_group"], row["codes_row"])
        assert (reader.read(*where, num_codebooks=8) == codes).all()
        assert len(reader._groups) == 1


def read_all(reader, toy):
    for index in (0, 255, 256, 299, 0):
        row, codes = truth(toy, index)
        where = (row["codes_file"], row["codes_row_group"], row["codes_row"])
        assert (reader.read(*where, num_codebooks=8, start=1) == codes[:, 1:]).all()
        assert (reader.read(*where, num_codebooks=1) == codes[:1]).all()


def test_row_groups_beyond_the_memory_are_decoded_once_into_files_that_other_readers_map(toy, tmp_path):
    read_all(CodesReader(toy.lake, cache_bytes=1, spilled=SpilledGroups(tmp_path, 1 << 30)), toy)
    files = list(tmp_path.glob("*.codes"))
    assert len(files) >= 3
    whole = toy.items.slice(0, 1).to_pylist()[0]
    # A lake that does not exist: only the files can answer.
    mapped = CodesReader(tmp_path / "nowhere", cache_bytes=1, spilled=SpilledGroups(tmp_path, 1 << 30))
    codes = mapped.read(whole["codes_file"], whole["codes_row_group"], whole["codes_row"], num_codebooks=8)
    assert (codes == truth(toy, 0)[1]).all()
    for file in files:  # what a power cut may leave
        file.write_bytes(file.read_bytes()[:-2])
    read_all(CodesReader(toy.lake, cache_bytes=1, spilled=SpilledGroups(tmp_path, 1 << 30)), toy)


def test_without_room_for_files_the_codes_are_right_and_a_warning_names_the_options(toy, tmp_path, caplog):
    read_all(CodesReader(toy.lake, cache_bytes=1, spilled=SpilledGroups(tmp_path / "full", 10)), toy)
    (tmp_path / "file").write_text("no folder can be made here")
    read_all(CodesReader(toy.lake, cache_bytes=1, spilled=SpilledGroups(tmp_path / "file" / "codes", 1 << 30)), toy)
    assert [("disk_cache_gigabytes" in record.message) for record in caplog.records] == [True, True]
    assert not list(tmp_path.rglob("*.codes"))


def test_a_row_with_fewer_codebooks_than_its_neighbours_is_refused_and_readable_with_its_own():
    full, half = (
        (np.arange(6, dtype=np.int16), np.array([0, 2, 6])),
        (np.arange(2, dtype=np.int16), np.array([0, 2, 2])),
    )
    both = flatten([full, half])
    assert both.row(0, num_codebooks=2).tolist() == [[0, 1], [0, 1]]
    with pytest.raises(LakeError, match="fewer than 2 codebooks"):
        both.row(1, num_codebooks=2)
    assert flatten([full]).row(1, num_codebooks=1).tolist() == [[2, 3, 4, 5]]


def test_a_missing_part_is_one_sentence_with_its_name(toy):
    with pytest.raises(LakeError, match=r"gone\.parquet"):
        CodesReader(toy.lake).read("codes/gone.parquet", 0, 0, num_codebooks=1)


def test_codes_on_a_lhotse_cut_can_be_truncated(toy):
    row, codes = truth(toy, 299)
    seconds = codes.shape[1] / SPEC.frame_rate
    samples = codes.shape[1] * SPEC.hop_length
    cut = MonoCut(
        id="cut",
        start=0,
        duration=seconds,
        channel=0,
        recording=Recording("r", [AudioSource("file", [0], "r.wav")], SPEC.sample_rate, samples, seconds),
        custom={
            "codes": TemporalArray(
                array=Array(
                    storage_type="parquet_codes",
                    storage_path=str(toy.lake / row["codes_file"]),
                    storage_key=f"{row['codes_row_group']}:{row['codes_row']}",
                    shape=[codes.shape[1], 8],
                ),
                temporal_dim=0,
                frame_shift=1 / SPEC.frame_rate,
                start=0,
            )
        },
    )
    assert (cut.load_codes() == codes.T).all()
    assert (cut.truncate(offset=0.1, duration=0.06).load_codes() == codes.T[5:8]).all()


PROMPT = (0.06, 0.12)  # 3 to 6 frames
PLAIN_TASKS = {
    "nar_len_ratio": 0.5,
    "condition_dropout": 0.1,
    "continuation_ratio": 0.2,
    "length_ratio": 0.2,
    "transcription_ratio": 0.2,
}
EVERY_TASK = PLAIN_TASKS | {
    "continuation_ratio": 0.15,
    "length_ratio": 0.15,
    "transcription_ratio": 0.1,
    "editing_ratio": 0.15,
    "phonemes_ratio": 0.05,
    "spelling_ratio": 0.05,
    "raw_text_ratio": 0.15,
}
"""Every task that needs no mixture; those are in tests/pipeline/test_mixtures.py."""
NAMES = {"tts", "tts-c", "len", "stt", "cse", "phn", "un-phn", "tts-raw"}


def batches_of_epoch(items, options):
    """Every scheduled batch of epoch 0."""
    return takewhile(lambda batch: batch.epoch == 0, iterate_batches(items, options, start=Cursor()))


@pytest.mark.parametrize("group", [1, 2])
def test_a_batch_takes_the_slots_that_were_planned_for_it(toy, config, group):
    config = config.model_copy(update={"group": group})
    items = loaded_items(toy, config)
    options = sampler_options(batch_tokens=600, prompt_seconds=PROMPT, config=config, **EVERY_TASK)
    planned = list(plan_epoch(items, options, 0))
    collator = Collator(items, CodesReader(toy.lake), config)
    for plan, scheduled in zip(planned, batches_of_epoch(items, options), strict=True):
        batch = collator(scheduled)
        assert batch.layout is scheduled.layout
        assert (batch.num_tokens, batch.num_slots) == (plan.num_tokens, plan.num_slots)
    assert {plan.layout for plan in planned} == {layout for layout in TASKS.layouts if layout.task in NAMES}


def expected_of(toy, batch, index):
    """Return the expected fields and labels of a row from the codes and symbols of its utterance."""
    rows, layout = batch.rows, batch.layout
    codebook, row, codes = int(rows.codebook[index]), *truth(toy, int(rows.item[index]) + 4)  # the first four are dev
    symbols = [SYMBOLS.index(symbol) for symbol in row["symbols"]]
    columns = codebook if layout.mode is Mode.NAR else 1
    prompt = codes[:, :0].T
    if rows.prompt_frames[index]:
        prompt_codes = truth(toy, int(rows.prompt_item[index]) + 4)[1]
        start = int(rows.prompt_start[index])
        prompt = prompt_codes[:, start : start + int(rows.prompt_frames[index])].T
    target = codes[:, int(rows.target_start[index]) :]
    fields = {"text": [1, *symbols, 2] if rows.has_text[index] else [], "prompt": prompt.tolist()}
    if layout.task == "stt":
        return {"speech": codes.T.tolist(), "text": symbols}, [*symbols, 2]
    if layout.task == "len":
        width = 5 if layout.mode is Mode.NAR_LEN else 0
        digits = [int(digit) for digit in f"{codes.shape[1]:0{width}d}"]
        return fields | {"digits": [11] * 5 if width else digits}, digits + ([] if width else [10])
    if layout.mode is Mode.NAR_LEN:
        masked = sample_mask(rows, index, target.shape[1], seed=batch.seed, epoch=batch.epoch)
        filled = np.where(masked, SPEC.codebook_size + 1, target[0])
        return fields | {"target": filled[:, None].tolist()}, np.where(masked, target[0], -100).tolist()
    labels = [*target[codebook].tolist(), *([SPEC.codebook_size] if layout.mode is Mode.AR else [])]
    return fields | {"target": target[:columns].T.tolist()}, labels


def test_a_batch_holds_exactly_the_sampled_symbols_codes_and_prompts(toy, config):
    items = loaded_items(toy, config)
    options = sampler_options(batch_tokens=600, prompt_seconds=PROMPT, config=config, **PLAIN_TASKS)
    collator = Collator(items, CodesReader(toy.lake), config)
    for scheduled in batches_of_epoch(items, options):
        batch = collator(scheduled)
        rows = [expected_of(toy, scheduled, index) for index in range(len(scheduled.rows))]
        assert batch.labels.tolist() == [label for _, labels in rows for label in labels]
        for name in rows[0][0]:
            elements = [element for fields, _ in rows for element in fields[name]]
            columns = batch.elements[name].shape[1] if batch.elements[name].dim() == 2 else 0
            padded = [[*one, *[0] * (columns - len(one))] for one in elements] if columns else elements
            assert batch.elements[name].tolist() == padded, (scheduled.layout.name, name)


def test_items_are_encoded_as_the_phoneme_table_encodes_them(toy, config):
    table = PhonemeTable(toy.card.phoneme_symbols)
    rows = toy.items.to_pylist()
    rows[1]["symbols"], rows[2]["symbols"] = [], ["a", "unheard of", "b"]
    items = load_items(pa.Table.from_pylist(rows, toy.items.schema), table.encode, config.language_id)
    for index, row in enumerate(rows):
        assert items.symbols_of(index).tolist() == table.encode(row["symbols"])
    assert (items.language_ids == config.language_id("en")).all()


def test_codes_that_contradict_the_set_are_refused(toy, config):
    items = loaded_items(toy, config)
    first = next(iterate_batches(items, sampler_options(prompt_seconds=PROMPT, config=config), start=Cursor()))
    longer = dataclasses.replace(items, num_frames=items.num_frames + 1)
    with pytest.raises(TrainingError, match=r"s00\d+ has \d+ frames"):
        Collator(longer, CodesReader(toy.lake), config)(first)
    narrow = config.model_copy(update={"codebook_size": 8})
    with pytest.raises(TrainingError, match="outside 0 to 7"):
        Collator(items, CodesReader(toy.lake), narrow)(first)


def test_prefetched_batches_are_the_same_as_those_made_on_the_spot(toy, config):
    items = loaded_items(toy, config)
    options = sampler_options(batch_tokens=600, prompt_seconds=PROMPT, config=config)
    collator = Collator(items, CodesReader(toy.lake), config)

    def fresh():
        return collate_batches(iterate_batches(items, options, start=Cursor()), collator)

    others = set(threading.enumerate())  # of tests before
    ahead = Prefetcher(fresh(), depth=3)
    for plain, prefetched in zip(islice(fresh(), 30), ahead, strict=False):
        assert plain[1] == prefetched[1]
        assert plain[0].labels.tolist() == prefetched[0].labels.tolist()
    ahead.close()
    assert not any(thread.name == "prefetch" for thread in set(threading.enumerate()) - others)


def test_an_error_in_the_prefetching_thread_reaches_the_consumer():
    def broken():
        raise LakeError("the disk is gone")
        yield

    with pytest.raises(LakeError, match="the disk is gone"):
        next(Prefetcher(broken(), depth=1))
