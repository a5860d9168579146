"""The golden fixtures, which the original program wrote; skipped where they are not."""

import shutil

import numpy as np
import pytest

from tests.unit.interchange.vall_e_files import FIXTURES
from valle.codec import codec_spec
from valle.interchange.verify.fixtures import verify_fixtures
from valle.interchange.weights.description import Era

needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the fixtures are not on this machine")


@needs_fixtures
def test_logits_traces_symbols_and_codes_equal_those_of_the_original():
    report = verify_fixtures(FIXTURES / "tiny.sft", FIXTURES, codec_spec("encodec_24khz"))
    assert report.is_within_tolerance
    compared = {name: {mode.mode for mode in modes if mode.compared} for name, modes in report.modes.items()}
    levels = {f"nar{level}" for level in range(1, 8)}
    every = levels | {"ar", "ar_noprompt", "narlen", "narlen_null", "len", "stt"}
    assert compared[Era.SINCE_2025_03] == every
    assert compared[Era.UNTIL_2025_03] == {"nar2", "nar3", "nar7", "stt"}
    assert (
        compared["with lora.sft"] == compared["with lora_parametrized.sft"] == {"ar", "nar1", "nar7", "narlen", "len"}
    )
    assert sum(bool(trace.is_equal) for trace in report.traces) == len(report.traces) - 1
    assert (report.sentences, report.other_sentences) == (60, [])
    assert len(report.other_texts) <= 3
    assert (report.containers, report.hdf5_items) == (20, 13)


@needs_fixtures
def test_changed_logits_miss_the_tolerance(tmp_path):
    with np.load(FIXTURES / "logits.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["nar3.single.0"] = arrays["nar3.single.0"] + 2e-4
    np.savez(tmp_path / "logits.npz", **arrays)
    shutil.copy(FIXTURES / "tiny.sft", tmp_path / "tiny.sft")
    report = verify_fixtures(tmp_path / "tiny.sft", tmp_path, codec_spec("encodec_24khz"))
    assert not report.is_within_tolerance
    missed = [mode.mode for mode in report.modes[Era.SINCE_2025_03] if not mode.is_equal]
    assert missed == ["nar3"]
