"""Files of speech: continuations, hardware notes, and names of systems."""

import pytest

from tests.unit.evaluation.systems.conftest import tone
from valle.audio import AudioLocation, read_audio, write_audio
from valle.evaluation.systems.audio_files import (
    continuation_path,
    read_hardware_notes,
    speech_path,
    write_continuations,
    write_hardware_note,
)
from valle.evaluation.systems.base import check_system_name
from warehouse.errors import ConfigurationError


def test_the_similarity_of_a_continuation_is_measured_after_the_prompt(make_item, tmp_path):
    directory = tmp_path / "speech"
    items = [make_item("a", protocol="librispeech_continuation"), make_item("b", protocol="librispeech_continuation")]
    for item, seconds in zip(items, (2.5, 0.9), strict=True):
        write_audio(speech_path(directory, "model", item), tone(seconds))
    write_continuations(items, ("model",), directory)
    long, short = (continuation_path(speech_path(directory, "model", item)) for item in items)
    assert read_audio(AudioLocation(str(long))).duration == pytest.approx(1.5)
    assert not short.exists()
    assert directory not in long.parents


def test_the_hardware_of_a_synthesis_is_noted_once(tmp_path):
    write_hardware_note(tmp_path, "cpu", 2)
    write_hardware_note(tmp_path, "cpu", 2)
    (note,) = read_hardware_notes(tmp_path)
    assert "device cpu, 2 threads" in note


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_the_name_of_a_system_can_be_the_name_of_a_folder(name):
    with pytest.raises(ConfigurationError, match="name of a system"):
        check_system_name(name)
