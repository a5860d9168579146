"""A checkpoint gets its name once every file and folder of it is on the disk."""

import os
from pathlib import Path

from valle.checkpoints.saving import new_checkpoint


def test_a_checkpoint_is_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    flushed: list[tuple[int, int]] = []  # file systems and numbers of files, which a rename keeps
    names_at: list[list[str]] = []
    flush = os.fsync

    def record(descriptor: int) -> None:
        found = os.fstat(descriptor)
        flushed.append((found.st_dev, found.st_ino))
        names_at.append(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))
        flush(descriptor)

    folder = tmp_path / "checkpoints"
    monkeypatch.setattr(os, "fsync", record)
    with new_checkpoint(folder / "step-00000001") as temporary:
        (temporary / "state").mkdir()
        for name in ("model.safetensors", "state/trainer.safetensors", "checkpoint.json"):
            (temporary / name).write_bytes(b"content")
    checkpoint = folder / "step-00000001"
    whole = [checkpoint, *checkpoint.rglob("*")]
    assert len(whole) == 5
    before = [place for place, names in zip(flushed, names_at, strict=True) if names == []]
    assert {_place(path) for path in whole} <= set(before)
    # The folder with the new name, after it.
    assert flushed[-1] == _place(folder)
    assert names_at[-1] == ["step-00000001"]


def _place(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
