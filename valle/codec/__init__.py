"""Codecs by name: `mini` is embedded, the weights of the others are fetched on first use."""

from importlib.util import find_spec

from valle.codec.base import GIVEN, Codec, CodecSpec
from valle.codec.catalogue import CodecEntry, all_codecs
from warehouse.errors import DependencyError, unknown_name


def codec_names() -> tuple[str, ...]:
    """Return the names of all codecs."""
    return tuple(entry.name for entry in all_codecs())


def open_codec(name: str, device: str = "cpu") -> Codec:
    """Open the codec `name` on a torch device. Raises ConfigurationError (name) and DependencyError (weights)."""
    try:
        return _entry(name).open(device)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise DependencyError(f"{name} needs the package transformers: run `pip install 'valle[codecs]'`.") from error


def codec_obstacle(name: str) -> str | None:
    """Return what a codec lacks to be opened without a network, None for nothing; no weights are loaded.

    Raises ConfigurationError for an unknown name.
    """
    entry = _entry(name)
    if entry.needs_transformers and find_spec("transformers") is None:
        return "the package transformers; run `pip install 'valle[codecs]'`"
    if not entry.weights:
        return None
    from valle.backends.fetched import find_weights  # Not needed for the embedded codec.

    missing = next((weights for weights in entry.weights if find_weights(weights) is None), None)
    return None if missing is None else f"its weights; run `valle models fetch {missing}`"


def codec_revision(name: str) -> str:
    """Return `name@hash` of the weights that define the codes, without loading them; errors as `open_codec`."""
    return f"{name}@{_entry(name).revision()}"


def codec_spec(name: str) -> CodecSpec:
    """Return the numbers of a codec without opening it; errors as `codec_revision`."""
    entry = _entry(name)
    return entry.spec(entry.revision())


def spec_of_given_codes(name: str) -> CodecSpec:
    """Return the numbers of the codec of codes that were computed elsewhere.

    They need no weights here: without a known revision it is `GIVEN`. Raises ConfigurationError for an unknown name.
    """
    entry = _entry(name)
    try:
        return entry.spec(entry.revision())
    except DependencyError:
        return entry.spec(GIVEN)


def codec_sample_rate(name: str) -> int:
    """Return the sample rate of the codec in Hz, without opening it. Raises ConfigurationError for an unknown name."""
    return _entry(name).sample_rate


def _entry(name: str) -> CodecEntry:
    found = next((entry for entry in all_codecs() if entry.name == name), None)
    if found is None:
        raise unknown_name("codec", name, codec_names())
    return found
