"""Systems that are no model: what every evaluation measures beside one, because its numbers mean nothing alone."""

GROUND_TRUTH = "ground_truth"
CODEC = "codec"
SHUFFLED_SPEAKER = "shuffled_speaker"
PROMPT_COPIED = "prompt_copied"
ESPEAK = "espeak"

MEANINGS: dict[str, str] = {
    GROUND_TRUTH: "the recordings themselves: the floor of WER under this ASR, the ceiling of SIM-o",
    CODEC: "the recordings through the codec and back: the best a model of its codes can sound",
    SHUFFLED_SPEAKER: "the recordings against the prompt of another speaker: what SIM-o is by chance",
    PROMPT_COPIED: "the prompt given back as the speech: WER near 100 %, SIM-o near 1",
    ESPEAK: "the sentences by espeak-ng: intelligible, in nobody's voice and unnatural",
}
"""What each control shows, in the order in which tables list them."""


def control_of(system: str) -> str | None:
    """The control that a system is a form of (`codec_vocos` is one of `codec`); None for a model."""
    return next((name for name in MEANINGS if system == name or system.startswith(f"{name}_")), None)


def system_rank(system: str) -> tuple[int, str]:
    """Sorts controls first, in their order, then models by name."""
    control = control_of(system)
    place = len(MEANINGS) if control is None else list(MEANINGS).index(control)
    return (place, system)
