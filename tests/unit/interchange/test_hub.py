"""A checkpoint as a folder for transformers, there and back, with the same logits."""

import json

import numpy as np
import pytest
import torch

from tests.unit.interchange.vall_e_files import symbol_map
from valle.checkpoints.checkpoint import load_model, read_card
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.cli import main
from valle.interchange.hub.folder import read_hf_folder
from valle.interchange.hub.tokenizer import tokenizer_of
from valle.phonemes import phoneme_table
from valle.phonemes.pieces import piece_table

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("hub")
    address = f"file://{home / 'repository'}"
    assert main(["hub", "push", address, "--run", EMBEDDED, "--data", str(home / "data")]) == 0
    return home / "repository"


def test_transformers_computes_our_logits(folder, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    theirs = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True).float().eval()
    ours, card = load_model(newest_checkpoint(tmp_path, EMBEDDED))
    assert type(theirs).__name__ == "ValleForSpeech"
    prompt, target = (torch.from_numpy(RNG.integers(0, 1000, (card.model.num_codebooks, n))) for n in (20, 9))
    ids = torch.tensor(phoneme_table().encode(["h", "ə", "l"]))
    again = type(theirs)(theirs.config)
    again.model = ours
    for codebook, masked in ((0, None), (0, torch.ones(9)), (3, None)):
        given = target[: codebook or 1]
        with torch.no_grad():
            expected = again(ids, given, prompt, "en", codebook, masked)
            assert torch.equal(theirs(ids, given, prompt, "en", codebook, masked), expected)
    codes = theirs.generate_codes([ids], [prompt], sampling={"temperature": 0, "max_seconds": 0.2})
    assert codes[0].shape == (card.model.num_codebooks, 15)


def test_the_pulled_run_has_the_same_weights_and_card(folder, tmp_path):
    assert main(["hub", "pull", f"file://{folder}", "--name", "mine", "--data", str(tmp_path)]) == 0
    pulled = newest_checkpoint(tmp_path / "runs", "mine")
    card, weights = read_hf_folder(folder)
    model, its_card = load_model(pulled)
    assert (its_card.model, its_card.codec, its_card.phoneme_symbols) == (card.model, card.codec, card.phoneme_symbols)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name].float()), name
    assert main(["hub", "pull", f"file://{folder}", "--name", "mine", "--data", str(tmp_path)]) == 1


def test_the_card_names_data_and_how_to_speak(folder):
    text = (folder / "README.md").read_text()
    assert "pipeline_tag: text-to-speech" in text
    assert f"Training set: {read_card(newest_checkpoint(folder, EMBEDDED)).training_set}" in text
    assert "valle speak" in text


@pytest.mark.parametrize("table", [phoneme_table(), piece_table(symbol_map())], ids=["symbols", "pieces"])
def test_the_tokenizer_gives_our_integers(table):
    texts = [["ɑ̃", "b", "ˈ", "eː", " ", "a", "b", "c", "."], ["a", "bc", "#"]]
    for symbols in texts:
        assert tokenizer_of(table).encode("".join(symbols)).ids == table.encode(
            symbols if table is not phoneme_table() else _split(symbols)
        )


def _split(symbols):
    from valle.phonemes.symbols import split_symbols

    return split_symbols("".join(symbols))


def test_a_folder_of_others_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert main(["hub", "pull", f"file://{tmp_path}", "--name", "mine", "--data", str(tmp_path / "data")]) == 1
    assert "no checkpoint of this project" in capsys.readouterr().err
