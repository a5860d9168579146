"""The data of a run: the columns of a small set are in memory, those of a large one in files without a name."""

import numpy as np

from valle.data.selection.training_set import load_training_set
from valle.training import data
from valle.training.initialization import model_config


def test_columns_of_a_large_set_are_mapped_and_those_of_a_small_one_write_nothing(options, monkeypatch):
    training_set = load_training_set(options.training_set)
    config = model_config(training_set, options)
    small = data.open_data(training_set, config, options).train
    assert not (options.training_set / "decoded").exists()
    monkeypatch.setattr(data, "_MAPPED_ITEMS", 1)
    large = data.open_data(training_set, config, options).train
    assert isinstance(large.symbol_ids.base, np.memmap)
    assert not isinstance(small.symbol_ids.base, np.memmap)
    assert large.symbol_ids.tolist() == small.symbol_ids.tolist()
    assert large.ids.to_pylist() == small.ids.to_pylist()
    assert list((options.training_set / "decoded").iterdir()) == []
