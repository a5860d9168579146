"""The configuration of a stage is part of every fingerprint: when it changes, all of its rows are made again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from valle.backends.registry import Backends
from valle.stages.align import Align
from valle.stages.base import NO_AUDIO, AudioNeed, Outcome, Stage, WorkItem
from valle.stages.phonemize import Phonemize
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from warehouse.catalogue.planning import InputView
from warehouse.fingerprints import configuration_of
from warehouse.rows import PhonemeRow, StageRow

# Of these revisions of the models; a change on purpose changes the version of the stage and its hash here.
HASHES = [
    (Segment(), "silero@4c1bc3a9", "63be7a65bfa0ed5e5a065edb59f1a1df"),
    (Segment(max_duration=15.0), "silero@4c1bc3a9", "93eb90a081f2e6b3d909699ef7b35711"),
    (Transcribe(), "tiny.en@761f8d69", "4eb246c24d7851ad5797752496107d6e"),
    (Transcribe(check_given=False), "tiny.en@761f8d69", "8f07abf19892e19bc279771b9311c860"),
    (Align(), "tiny.en@761f8d69", "67ed8ca2e4ce108451309fdf4d708d4d"),
    (Phonemize(), "espeak@3.4.0", "ba85c6e2cbeff081a56f941bcdda81c2"),
    (Quality(), "dnsmos@ada9806a", "5edac63b489bb724a8573deee736d8e9"),
    (Quality(scorers=()), "", "7e3a69728a6404eb5d074ef67b5e84be"),
    (Speakers(), "resemblyzer@eff2558e", "244d5c6114003e7f04c50ce00f0dcc72"),
    (Quantize(), "mini@f874d1c0", "9ee818153e662a4ef121ab782bddbc12"),
    (Quantize(silence_level=-50.0), "mini@f874d1c0", "97d9c31cfab9b1b57c5605d02c4f0324"),
]


@pytest.mark.parametrize(("stage", "revision", "expected"), HASHES, ids=lambda value: getattr(value, "name", None))
def test_the_hash_of_every_stage_is_what_lakes_have(stage: Stage, revision: str, expected: str) -> None:
    assert configuration_of(stage.name, stage.version, stage.effective_options, revision) == expected


@pytest.mark.parametrize("stage", [entry[0] for entry in HASHES], ids=lambda stage: stage.name)
def test_the_configuration_covers_name_version_options_and_revision(stage: Stage) -> None:
    assert stage.configuration == configuration_of(stage.name, stage.version, stage.effective_options, stage.revision)


@dataclass(frozen=True, kw_only=True)
class Toy(Stage):
    name: ClassVar[str] = "toy"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "transcripts"
    writes: ClassVar[type[StageRow]] = PhonemeRow

    option: int = 1
    batch_seconds: float = field(default=1.0, metadata={"neutral": True})

    @property
    def audio(self) -> AudioNeed:
        return NO_AUDIO

    @property
    def revision(self) -> str:
        return "model@1"

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[Outcome]:
        return []


def test_a_neutral_option_is_not_part_of_the_configuration() -> None:
    assert Toy(batch_seconds=9.0).configuration == Toy().configuration != Toy(option=2).configuration
    assert json.dumps(Toy(batch_seconds=9.0).effective_options) == '{"option": 1}'
