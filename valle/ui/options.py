"""Options of `valle ui`."""

from pydantic import Field

from valle.serving.options import ServeOptions


class UiOptions(ServeOptions):
    """Options of `valle ui`; those of `valle serve` apply to its speech."""

    port: int = Field(default=7860, ge=1, le=65535)
    """Port of the page."""
    show_password: bool = False
    """Print the password of the page and start nothing."""
