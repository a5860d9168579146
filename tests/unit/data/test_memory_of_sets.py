"""Memory of selecting and of loading: a lake of millions of utterances must not be millions of Python objects."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.memory import peak_of
from valle.data.items.load import read_items
from valle.data.options import RowOptions
from valle.data.sampler import SamplerOptions, plan_epoch
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.training_set import TrainingSet, load_training_set
from valle.data_root import DataRoot
from valle.model.config import preset
from valle.phonemes import phoneme_table

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SIZES = (2_000, 6_000)
_AT_ONCE = 500


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[DataRoot]:
    """Lakes of both sizes, by the generator of the benchmark."""
    sys.path.insert(0, str(BENCHMARKS))
    from synthetic_lake import fill

    sys.path.remove(str(BENCHMARKS))
    made = [DataRoot(tmp_path_factory.mktemp(f"lake-{size}")) for size in SIZES]
    for root, size in zip(made, SIZES, strict=True):
        fill(root.lake, size, size // 1000)
    return made


def make_set(root: DataRoot, name: str) -> TrainingSet:
    from synthetic_lake import CODEC

    selection = Selection(name=name, where="dnsmos_ovrl > 2", weight="0.5 + dnsmos_ovrl / 5")
    return select(selection, root, codec=CODEC, phoneme_symbols=phoneme_table().symbols)


@pytest.fixture(scope="module")
def sets(roots: list[DataRoot]) -> list[TrainingSet]:
    return [make_set(root, "all") for root in roots]


def bytes_per_row(peaks: list[int]) -> float:
    return (peaks[1] - peaks[0]) / (SIZES[1] - SIZES[0])


@pytest.mark.long
def test_a_selection_has_few_bytes_of_python_for_each_utterance(roots: list[DataRoot]) -> None:
    # Objects of one cut are 10 KB, and two thousand are there at once.
    peaks = [peak_of(partial(make_set, root, "set"), repeats=1) for root in roots]
    assert bytes_per_row(peaks) < 500


def test_a_training_has_few_bytes_for_each_item_and_plans_an_epoch_in_windows(
    sets: list[TrainingSet], tmp_path: Path
) -> None:
    def first_batch(chosen: TrainingSet) -> None:
        config = preset("nano", chosen.card.codec, num_symbols=len(phoneme_table()), languages=["de", "en"])

        def read(columns: Sequence[str]) -> Iterator[pa.Table]:
            for table in chosen.tables("train", columns=columns):
                yield from (table.slice(first, _AT_ONCE) for first in range(0, table.num_rows, _AT_ONCE))

        items = read_items(read, phoneme_table().encode, config.language_id, folder=tmp_path)
        assert len(items) == chosen.card.utterances["train"]
        options = SamplerOptions(rows=RowOptions(), batch_tokens=1024, config=config, window_rows=1024)
        assert next(plan_epoch(items, options, 0)).num_slots <= 1024

    assert bytes_per_row([peak_of(partial(first_batch, one)) for one in sets]) < 250
    assert list(tmp_path.iterdir()) == []


def test_items_are_in_row_groups_and_a_split_is_read_one_at_a_time(sets: list[TrainingSet]) -> None:
    assert pq.read_metadata(sets[1].items_file).num_rows == sum(sets[1].card.utterances.values())
    assert [table.column_names for table in sets[1].tables("dev", columns=("text", "nothing"))] == [["text"]]
    assert sum(table.num_rows for table in sets[1].tables("dev")) == sets[1].card.utterances["dev"]
    assert load_training_set(sets[1].directory) == sets[1]
