"""Batches that Lhotse samples are equal to ours row by row; cuts whose codes are not theirs are refused."""

import dataclasses
import pickle

import pytest
import torch
from lhotse import CutSet
from lhotse.dataset import DynamicBucketingSampler
from lhotse.serialization import deserialize_item
from torch.utils.data import DataLoader

from manifests.lhotse_codes import CodesPlace, codes_cut_line
from manifests.lhotse_lines import AudioFacts
from tests.unit.training.toy import SPEC, make_toy_set
from valle.data.codes_reader import CodesReader
from valle.data.items.load import load_items
from valle.data.lhotse_dataset import PADDING, CodesDataset
from valle.data.selection.training_set import load_training_set
from valle.model.config import preset
from valle.phonemes import PhonemeTable
from warehouse.errors import ConfigurationError
from warehouse.lake.arrow import from_table
from warehouse.model_rows import TrainingItemRow


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return load_training_set(make_toy_set(tmp_path_factory.mktemp("toy"), num_items=300))


@pytest.fixture(scope="module")
def table(toy):
    return PhonemeTable(toy.card.phoneme_symbols)


@pytest.fixture(scope="module")
def cuts(toy):
    def cut_of(item):
        facts = AudioFacts(
            path="r.wav", sample_rate=SPEC.sample_rate, num_samples=item.num_frames * SPEC.hop_length + 800,
            num_channels=1, channel=None, offset=None, size=0, start=0.5,
        )  # fmt: skip
        place = CodesPlace(
            path=str(toy.lake / item.codes_file), num_codebooks=8, frame_rate=SPEC.frame_rate, codec=SPEC.label
        )
        return deserialize_item(codes_cut_line(dataclasses.asdict(item), facts, place))

    return CutSet.from_cuts(cut_of(item) for item in from_table(TrainingItemRow, toy.split("train")))


def test_batches_of_a_sampler_of_lhotse_are_ours_row_by_row(toy, table, cuts):
    config = preset("nano", SPEC, num_symbols=len(table), languages=["en"])
    items = load_items(toy.split("train"), table.encode, config.language_id)
    number = {segment: index for index, segment in enumerate(items.ids.to_pylist())}
    reader = CodesReader(toy.lake)
    sampler = DynamicBucketingSampler(cuts, max_duration=5.0, num_buckets=4, shuffle=True, seed=0)
    seen = []
    for batch in DataLoader(CodesDataset(table.encode), sampler=sampler, batch_size=None):
        assert batch["codes"].shape[:2] == (len(batch["ids"]), int(batch["num_frames"].max()))
        for row, segment in enumerate(batch["ids"]):
            item, frames, symbols = number[segment], int(batch["num_frames"][row]), int(batch["num_symbols"][row])
            file = items.files[int(items.file[item])]
            ours = reader.read(file, int(items.row_group[item]), int(items.row[item]), num_codebooks=8)
            assert frames == items.num_frames[item]
            assert torch.equal(batch["codes"][row, :frames], torch.from_numpy(ours.T.astype("int64")))
            assert torch.equal(batch["symbols"][row, :symbols], torch.from_numpy(items.symbols_of(item)))
            # Behind the end no value is a code.
            assert (batch["codes"][row, frames:] == PADDING).all()
            assert (batch["symbols"][row, symbols:] == PADDING).all()
        seen += batch["ids"]
    assert sorted(seen) == sorted(number)


@pytest.mark.parametrize("seconds", [0.05, 0.07, 0.033])
def test_windows_share_no_frame_and_lose_none(cuts, seconds):
    cut = cuts[0]
    dataset = CodesDataset()
    windows = list(cut.cut_into_windows(seconds))
    together = torch.cat([dataset[CutSet.from_cuts([window])]["codes"][0] for window in windows])
    assert len(windows) > 2
    assert torch.equal(together, torch.from_numpy(cut.load_codes().astype("int64")))


def test_cuts_whose_codes_are_not_theirs_are_refused(cuts, table):
    first, second = cuts[0], cuts[1]
    changed = {
        "appended": first.append(second), "padded": first.pad(duration=5.0), "mixed": first.mix(second, snr=10),
        "faster": first.perturb_speed(1.1), "louder": first.perturb_volume(2.0), "resampled": first.resample(400),
    }  # fmt: skip
    for name, cut in changed.items():
        with pytest.raises(ConfigurationError, match="its codes are those of the recording as it was"):
            CodesDataset()[CutSet.from_cuts([cut.with_id(name)])]
    part = first.truncate(offset=0.05, duration=0.06)
    with pytest.raises(ConfigurationError, match="is a part of its text"):
        CodesDataset(table.encode)[CutSet.from_cuts([part])]
    assert CodesDataset()[CutSet.from_cuts([part])]["codes"].shape[1] == 3
    with pytest.raises(ConfigurationError, match="has no field `codes`"):
        CodesDataset()[CutSet.from_cuts([first.drop_features().with_custom("codes", None)])]


def test_a_dataset_reaches_worker_processes(cuts, table):
    copied = pickle.loads(pickle.dumps(CodesDataset(table.encode)))
    assert copied[cuts.subset(first=2)]["codes"].shape[0] == 2
