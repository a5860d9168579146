"""The options of a codec training."""

from dataclasses import dataclass, field
from pathlib import Path

from valle.codec.mini.network import MiniConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecTrainingOptions:
    """How the embedded codec is trained; the defaults suit one CPU core and about ninety minutes."""

    config: MiniConfig = field(default_factory=MiniConfig)
    # Length of the schedule: seconds of training when `hours` is given, else steps.
    hours: float | None = None
    num_steps: int = 6_000
    # A weights file whose codes are kept, so that stored ones stay valid, and whose decoder is learned further.
    start_from: Path | None = None
    # Where the stages after reading begin, as a part of the schedule; the adversarial one, from 1.0, never.
    decoder_from: float = 0.15
    adversarial_from: float = 1.0
    batch_size: int = 12
    crop_frames: int = 96
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    max_gradient_norm: float = 20.0
    # Backbones in bfloat16: a step takes 0.7 of its time on a CPU that has such products.
    half_backbones: bool = False
    min_gain: float = 0.3
    # Slowest and fastest tape that crops are played from: other pitches and formants than the speakers have.
    speeds: tuple[float, float] = (1.0, 1.0)
    # Batches of speech that the codes are computed from, and rounds of k-means: more of both, better codes.
    fitting_batches: int = 400
    k_means_rounds: int = 12
    level_weight: float = 10.0
    pitch_weight: float = 1.0
    voicing_weight: float = 1.0
    # Keeps the learned phase near the minimum phase, and the gains near one, where nothing else decides.
    restraint_weight: float = 1e-3
    # How much the energy distance rewards outputs that differ by their noise; at 1 noise drowns some words.
    repulsion: float = 0.25
    # A faster-whisper model (`tiny.en`, or a directory) whose encoder hears recording and reconstruction, and the
    # weight of what it hears otherwise. Half as much again a step; judge with another model than this one.
    listener: str | None = None
    listening_weight: float = 30.0
    # The exported network is a moving average over steps.
    average_decay: float = 0.999
    # Shares of the adversarial stage's gradient.
    spectral_share: float = 1.0
    feature_share: float = 1.0
    fooling_share: float = 0.4
    # Steps for which the critics learn before the decoder tries to fool them, and their rate relative to the decoder's.
    critics_head_start: int = 100
    critics_rate: float = 2.0
    discriminator_filters: int = 16
    discriminator_crops: int = 6
    discriminator_frames: int = 40
    checkpoint_seconds: float = 180.0
    example_seconds: float = 600.0
    num_examples: int = 4
    seed: int = 0
