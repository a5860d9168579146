"""The golden fixtures, which the original program wrote; skipped where they are not."""

import shutil

import numpy as np
import pytest

from tests.unit.interchange.finetuning import finetune
from tests.unit.interchange.vall_e_files import FIXTURES
from valle.cli import main
from valle.codec import codec_spec
from valle.codec.base import CodecSpec
from valle.interchange.verify.fixtures import verify_fixtures
from valle.interchange.weights.description import Era
from valle.interchange.weights.importing import convert, open_weights, save_import

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


@needs_fixtures
def test_the_command_prints_every_figure_and_exits_1_for_a_missed_tolerance(tmp_path, capsys):
    file, decoded = FIXTURES / "tiny.sft", tmp_path / "decode.npz"
    for name in ("logits.npz", "logits_2412.npz"):
        shutil.copy(FIXTURES / name, tmp_path / name)
    with np.load(FIXTURES / "decode.npz") as traces:
        np.savez(decoded, **{name: traces[name] for name in ("ar.row1.1", "len.row0.0")})
    shutil.copytree(FIXTURES / "data" / "nemo", tmp_path / "data" / "nemo")
    assert main(["import", "verify", str(file), "--fixtures", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for words in ("Logits, since-2025-03", "Logits, until-2025-03", "nar7", "stt", "narlen_null"):
        assert words in printed
    assert "Greedy traces: 2 of 2 equal" in printed
    assert "Containers read: 6" in printed
    assert "HDF5 items read: 0" in printed
    np.savez(decoded, **{"ar.row1.1": np.zeros(40, dtype=np.int64)})
    assert main(["import", "verify", str(file), "--fixtures", str(tmp_path)]) == 1
    assert "ar.row1.1: different" in capsys.readouterr().out


@needs_fixtures
def test_a_finetune_of_the_weights_lowers_their_loss(tmp_path):
    codec = CodecSpec("mini", "1", 24_000, 320, 8, 1024)
    model = convert(open_weights(FIXTURES / "tiny.sft"), codec, Era.UNTIL_2025_03)
    checkpoint = save_import(model, codec, tmp_path / "runs" / "theirs", "theirs")
    finetune(checkpoint, codec, tmp_path)
