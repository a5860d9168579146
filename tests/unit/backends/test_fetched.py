"""Weights by name: fetched once, named by their hash, verified, and refused in one sentence."""

import hashlib
from pathlib import Path

import pytest

from valle.backends.fetched import FETCHED, fetch_weights, fetched_file, find_weights, is_intact, weights_revision
from valle.cli import main
from valle.codec import codec_names, codec_revision, codec_sample_rate
from warehouse.errors import ConfigurationError, DependencyError


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_copy_is_stored_under_its_hash(models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "downloaded.safetensors"
    copy.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    stored = fetch_weights("dac_44khz", source=copy)
    assert stored == models / f"dac_44khz-{digest[:8]}.safetensors"
    assert stored.read_bytes() == b"weights"
    assert fetch_weights("dac_44khz") == find_weights("dac_44khz") == stored
    assert codec_revision("dac_44khz") == f"dac_44khz@{digest[:8]}"
    assert [path.name for path in models.iterdir()] == [stored.name]


def test_a_copy_with_another_hash_than_the_published_one_is_refused(models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "encodec.th"
    copy.write_bytes(b"something else")
    with pytest.raises(DependencyError, match="not the published d7cc33bc"):
        fetch_weights("encodec_24khz", source=copy)
    assert list(models.iterdir()) == []


def test_damage_shows(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(b"weights" * 100)
    assert main(["models", "fetch", "mimi", "--source", str(copy)]) == 0
    assert main(["models", "verify"]) == 0
    stored = find_weights("mimi")
    assert stored is not None
    assert is_intact(stored)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    assert not is_intact(stored)
    assert main(["models", "verify", "mimi"]) == 1
    assert "run `valle models fetch mimi`" in capsys.readouterr().err


def test_without_weights_the_revision_is_the_published_one_or_a_sentence(models: Path) -> None:
    assert weights_revision("encodec_48khz") == "7e698e3e"
    with pytest.raises(DependencyError, match="run `valle models fetch dac_16khz`"):
        weights_revision("dac_16khz")


def test_an_unreadable_copy_is_a_sentence(models: Path, tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="cannot be read"):
        fetch_weights("mimi", source=tmp_path / "missing")


def test_unknown_weights_are_refused_with_the_names(models: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose one of encodec_24khz"):
        fetched_file("opus")


def test_every_codec_has_its_rate_without_being_opened(models: Path) -> None:
    rates = {name: codec_sample_rate(name) for name in codec_names()}
    assert rates["dac_44khz"] == rates["nvidia_44khz"] == 44_100
    assert rates["encodec_48khz_24kbps"] == 48_000
    assert rates["mini"] == rates["encodec_24khz_1.5kbps+vocos"] == 24_000


def test_the_list_names_every_file_with_its_licence(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(file.name in printed and file.licence in printed for file in FETCHED)
