"""Codecs by name: `mini` (embedded), `encodec_24khz` and `encodec_24khz+vocos` (fetched on first use)."""

from valle.codec.base import Codec
from warehouse.errors import unknown_name

NAMES = ("mini", "encodec_24khz", "encodec_24khz+vocos")


def _check(name: str) -> None:
    if name not in NAMES:
        raise unknown_name("codec", name, NAMES)


def open_codec(name: str, device: str = "cpu") -> Codec:
    """Open the codec `name` on a torch device. Raises ConfigurationError (name) and DependencyError (weights)."""
    _check(name)
    # Imported here: a caller that only asks for a revision does not pay for the other codec's libraries.
    if name == "mini":
        from valle.codec.mini.codec import open_mini

        return open_mini(device=device)
    from valle.codec.encodec import open_encodec

    return open_encodec(name, has_vocos=name.endswith("+vocos"), device=device)


def codec_revision(name: str) -> str:
    """Return `name@hash` of the weights that define the codes, without loading them; errors as `open_codec`."""
    _check(name)
    if name == "mini":
        from valle.codec.mini.revision import mini_revision

        return f"{name}@{mini_revision()}"
    from valle.codec.encodec import encodec_revision

    return f"{name}@{encodec_revision()}"
