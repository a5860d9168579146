"""Splits without leakage: no speaker and no source recording (book, video, session) is in two of them.

Speakers and recordings that share utterances form one group (a connected component); groups are assigned to dev and
test in a seeded order until each has its fraction, and all others are train.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from warehouse.fingerprints import short_hash


class SplitPolicy(BaseModel):
    """Division of a selection; splits are always disjoint by speaker and by source recording."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dev: float = Field(default=0.05, ge=0, lt=0.5)
    """Fraction of the audio for dev."""
    test: float = Field(default=0.05, ge=0, lt=0.5)
    """Fraction of the audio for test, in addition to `test_where`."""
    test_where: str = "false"
    """SQL condition on utterances; a speaker or recording with any such utterance is test as a whole."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the assignment of speakers to dev and test."""


def connected_groups(speakers: Sequence[str], sources: Sequence[str]) -> NDArray[np.int64]:
    """Assign a group number to each row [N]; rows that share a speaker or a source, also indirectly, share a group."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    pairs = set(zip(speakers, sources, strict=True))
    for speaker, source in sorted(pairs):
        parent[root(("source", source))] = root(("speaker", speaker))
    numbers: dict[tuple[str, str], int] = {}
    of_speaker = {
        speaker: numbers.setdefault(root(("speaker", speaker)), len(numbers)) for speaker in sorted(set(speakers))
    }
    return np.array([of_speaker[speaker] for speaker in speakers], dtype=np.int64)


def assign_splits(
    speakers: Sequence[str],
    sources: Sequence[str],
    durations: Sequence[float],
    in_test: Sequence[bool],
    policy: SplitPolicy,
) -> list[str]:
    """Assign a split to each row.

    A group that would fill a split beyond twice its fraction stays in train, so a corpus of one speaker is all train.
    """
    groups = connected_groups(speakers, sources)
    seconds = np.bincount(groups, weights=np.asarray(durations, dtype=np.float64))
    split = np.full(len(seconds), "train", dtype=object)
    split[np.unique(groups[np.asarray(in_test, dtype=bool)])] = "test"
    first_speaker: dict[int, str] = {}
    for group, speaker in sorted(zip(groups.tolist(), speakers, strict=True)):
        first_speaker.setdefault(group, speaker)
    order = sorted(first_speaker, key=lambda group: short_hash(f"{policy.seed}:{first_speaker[group]}"))
    # The order depends on the seed and on names of speakers only, so adding a corpus moves few speakers.
    for name, fraction in (("dev", policy.dev), ("test", policy.test)):
        target, assigned = fraction * seconds.sum(), 0.0
        for group in order:
            if assigned >= target:
                break
            if split[group] == "train" and assigned + seconds[group] <= max(2 * target, target + 1):
                split[group] = name
                assigned += float(seconds[group])
    return [str(name) for name in split[groups]]
