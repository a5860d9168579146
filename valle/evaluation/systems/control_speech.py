"""Write the speech of the controls of a list: recordings, codec, copied prompts, espeak-ng.

A control has one trial. Its speech depends on the list and on the codec, not on the system under evaluation, so all
evaluations on one list share it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valle.audio import Audio, AudioLocation
from valle.backends.fetched import weights_revision
from valle.backends.registry import Backends
from valle.backends.weights import file_revision, package_file
from valle.codec import codec_names, codec_revision
from valle.codec.base import Codec
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import (
    pending,
    read_item_audio,
    similarity_directory,
    speech_path,
    write_speech,
)
from valle.evaluation.systems.base import CODEC, ESPEAK, GROUND_TRUTH, PROMPT_COPIED
from valle.evaluation.systems.espeak import EspeakVoice, espeak_languages, espeak_voice_revision
from warehouse.errors import DependencyError

PROMPT_CODEC = "prompt_codec"
"""The prompts through the codec, the reference of SIM-r. It is no row of the report."""

_MINI_WEIGHTS = "codec/mini/weights/mini.safetensors"
_VOCOS = "+vocos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoders:
    """The codec of an evaluation and other decoders of the same codes, by the system that each makes."""

    codec: str
    by_system: dict[str, str]
    unavailable: dict[str, str]

    @property
    def identity(self) -> str:
        """A string that changes whenever the speech of the controls may change."""
        revisions = [f"{system}={decoder_revision(name)}" for system, name in self.by_system.items()]
        return "+".join((*revisions, espeak_voice_revision()))


def decoder_revision(codec: str) -> str:
    """Return `name@hash` over all weights of a codec; `codec_revision` covers only those that make the codes."""
    if codec == "mini":
        return f"mini@{file_revision(package_file('valle', _MINI_WEIGHTS, command='pip install --force-reinstall .'))}"
    if codec == "mini_44khz":
        return f"{codec}@{weights_revision(codec)}"
    return f"{codec}@{codec_revision(codec)}"


def find_decoders(codec: str, backends: Backends) -> Decoders:
    """Return the decoders of a codec's codes, and why those without weights are unavailable."""
    by_system, unavailable = {CODEC: codec}, {}
    # EnCodec and Vocos decode the same codes, and differ in naturalness: both are rows.
    other = codec.removesuffix(_VOCOS) if codec.endswith(_VOCOS) else codec + _VOCOS
    for name in (other,) if other in codec_names() else ():
        system = f"{CODEC}_{'vocos' if name.endswith(_VOCOS) else 'encodec'}"
        try:
            backends.codec(name)
            by_system[system] = name
        except DependencyError as error:
            unavailable[system] = str(error)
    return Decoders(codec=codec, by_system=by_system, unavailable=unavailable)


def control_items(items: ItemList) -> tuple[EvaluationItem, ...]:
    """Return the items of the controls: every text once."""
    # Controls are deterministic, so that further trials would only narrow their intervals.
    return tuple(item for item in items.items if item.trial == 0)


def control_systems(decoders: Decoders) -> tuple[str, ...]:
    """Return the systems that `write_controls` writes."""
    return (GROUND_TRUTH, *decoders.by_system, PROMPT_COPIED, ESPEAK)


def write_controls(items: Sequence[EvaluationItem], decoders: Decoders, backends: Backends, directory: Path) -> None:
    """Write missing speech of the controls. Raise ConfigurationError when a recording cannot be read."""
    for system, name in decoders.by_system.items():
        for item in pending(items, system, directory):
            if item.location is not None:
                audio = _resynthesize(item.location, backends.codec(name))
                write_speech(speech_path(directory, system, item), audio, item)
    prompts = similarity_directory(directory)
    for item in pending(items, PROMPT_CODEC, prompts):
        if item.prompt_location is not None:
            audio = _resynthesize(item.prompt_location, backends.codec(decoders.codec))
            write_speech(speech_path(prompts, PROMPT_CODEC, item), audio, item)
    for item in pending(items, GROUND_TRUTH, directory):
        if item.location is not None:
            write_speech(speech_path(directory, GROUND_TRUTH, item), read_item_audio(item.location), item)
    for item in pending(items, PROMPT_COPIED, directory):
        if item.prompt_location is not None:
            write_speech(speech_path(directory, PROMPT_COPIED, item), read_item_audio(item.prompt_location), item)
    write_espeak(items, directory)


def _resynthesize(location: AudioLocation, codec: Codec) -> Audio:
    rate = codec.spec.sample_rate
    (decoded,) = codec.decode(codec.encode([read_item_audio(location, rate).samples]))
    return Audio(decoded, rate)


def write_espeak(items: Sequence[EvaluationItem], directory: Path) -> None:
    """Write the texts as espeak-ng synthesizes them; a text without output gets no file."""
    missing = [item for item in pending(items, ESPEAK, directory) if item.language in espeak_languages()]
    if not missing:
        return
    voice = EspeakVoice()
    for item in missing:
        audio = voice.speak(item.text, item.language)
        if len(audio.samples):
            write_speech(speech_path(directory, ESPEAK, item), audio, item)
