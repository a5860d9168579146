"""The speech of the control rows of a list: recordings, codec, copied prompts, espeak-ng.

A control has one trial. Its speech depends on the list and on the codec, not on the system that is measured, so every
system on one list shares it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valle.audio import Audio
from valle.backends.registry import Backends
from valle.backends.weights import file_revision, package_file
from valle.codec import codec_revision
from valle.codec.base import Codec
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import keep_speech, pending, read_item_audio, speech_path, voices_directory
from valle.evaluation.systems.controls import CODEC, ESPEAK, GROUND_TRUTH, PROMPT_COPIED
from valle.evaluation.systems.espeak import EspeakVoice, espeak_languages, espeak_voice_revision
from warehouse.errors import ConfigurationError, DependencyError

PROMPT_CODEC = "prompt_codec"
"""The prompts through the codec and back: what SIM-r compares with. It is no row of the report, only a voice."""

_MINI_WEIGHTS = "codec/mini/weights/mini.safetensors"
_DECODERS = {"encodec_24khz": ("encodec_24khz+vocos",), "encodec_24khz+vocos": ("encodec_24khz",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoders:
    """The codec of an evaluation and other decoders of the same codes, by the system that each makes."""

    codec: str
    by_system: dict[str, str]
    unavailable: dict[str, str]

    @property
    def identity(self) -> str:
        """Changes whenever the speech of the controls may change."""
        revisions = [f"{system}={decoder_revision(name)}" for system, name in self.by_system.items()]
        return "+".join((*revisions, espeak_voice_revision()))


def decoder_revision(codec: str) -> str:
    """`name@hash` of all weights of a codec: `codec_revision` names what makes the codes, and speech needs the rest."""
    if codec == "mini":
        return f"mini@{file_revision(package_file('valle', _MINI_WEIGHTS, command='pip install --force-reinstall .'))}"
    return f"{codec}@{codec_revision(codec)}"


def find_decoders(codec: str, backends: Backends) -> Decoders:
    """Every decoder of a codec's codes whose weights can be had; why the others cannot."""
    by_system, unavailable = {CODEC: codec}, {}
    for name in _DECODERS.get(codec, ()):
        system = f"{CODEC}_{'vocos' if name.endswith('+vocos') else 'encodec'}"
        try:
            backends.codec(name)
            by_system[system] = name
        except DependencyError as error:
            unavailable[system] = str(error)
    return Decoders(codec=codec, by_system=by_system, unavailable=unavailable)


def control_items(items: ItemList) -> tuple[EvaluationItem, ...]:
    """The items of the controls: every sentence once."""
    return tuple(item for item in items.items if item.trial == 0)


def control_systems(decoders: Decoders) -> tuple[str, ...]:
    """The systems whose speech `write_controls` writes."""
    return (GROUND_TRUTH, *decoders.by_system, PROMPT_COPIED, ESPEAK)


def write_controls(items: Sequence[EvaluationItem], decoders: Decoders, backends: Backends, directory: Path) -> None:
    """Write what is not there yet. Raises ConfigurationError when a recording can no longer be read."""
    for system, name in decoders.by_system.items():
        recorded = [item for item in pending(items, system, directory) if item.location is not None]
        for item in recorded:
            codec = backends.codec(name)
            audio = _resynthesised(item, codec, of_prompt=False)
            keep_speech(speech_path(directory, system, item), audio, item)
    voices = voices_directory(directory)
    for item in pending(items, PROMPT_CODEC, voices):
        if item.prompt_location is not None:
            audio = _resynthesised(item, backends.codec(decoders.codec), of_prompt=True)
            keep_speech(speech_path(voices, PROMPT_CODEC, item), audio, item)
    for item in pending(items, GROUND_TRUTH, directory):
        if item.location is not None:
            keep_speech(speech_path(directory, GROUND_TRUTH, item), read_item_audio(item.location), item)
    for item in pending(items, PROMPT_COPIED, directory):
        if item.prompt_location is not None:
            keep_speech(speech_path(directory, PROMPT_COPIED, item), read_item_audio(item.prompt_location), item)
    write_espeak(items, directory)


def _resynthesised(item: EvaluationItem, codec: Codec, *, of_prompt: bool) -> Audio:
    location = item.prompt_location if of_prompt else item.location
    if location is None:
        raise ConfigurationError(f"{item.utterance} has no recording to resynthesise.")
    rate = codec.spec.sample_rate
    (decoded,) = codec.decode(codec.encode([read_item_audio(location, rate).samples]))
    return Audio(decoded, rate)


def write_espeak(items: Sequence[EvaluationItem], directory: Path) -> None:
    """The sentences as espeak-ng says them; those that it says nothing of have no file."""
    missing = [item for item in pending(items, ESPEAK, directory) if item.language in espeak_languages()]
    if not missing:
        return
    voice = EspeakVoice()
    for item in missing:
        audio = voice.speak(item.text, item.language)
        if len(audio.samples):
            keep_speech(speech_path(directory, ESPEAK, item), audio, item)
