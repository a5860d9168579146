"""Options of a codec training."""

from dataclasses import dataclass, field
from pathlib import Path

from valle.codec.mini.network import MiniConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecTrainingOptions:
    """Options of a training; the defaults suit one CPU core and about ninety minutes."""

    config: MiniConfig = field(default_factory=MiniConfig)
    # Length of the schedule: seconds of training when `hours` is given, else steps.
    hours: float | None = None
    num_steps: int = 6_000
    # A weights file whose codes are kept, so that stored codes stay valid, and whose decoder is trained further.
    start_from: Path | None = None
    # Fractions of the schedule at which the stages after pretraining begin; 1.0 is never.
    decoder_from: float = 0.15
    adversarial_from: float = 1.0
    batch_size: int = 12
    crop_frames: int = 96
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    max_gradient_norm: float = 20.0
    # Backbones in bfloat16: a step takes 0.7 of the time on a CPU with bfloat16 products.
    half_backbones: bool = False
    min_gain: float = 0.3
    # Range of the speed perturbation of crops, which changes pitch and formants.
    speeds: tuple[float, float] = (1.0, 1.0)
    # Batches of speech from which the codes are computed, and rounds of k-means.
    fitting_batches: int = 400
    k_means_rounds: int = 12
    band_weight: float = 10.0
    pitch_weight: float = 1.0
    voicing_weight: float = 1.0
    # Regularisation of the learned phase to the minimum phase, and of the gains to one.
    regularisation_weight: float = 1e-3
    # Weight of the repulsive term of the energy distance; at 1 noise masks some words.
    repulsion: float = 0.25
    # A faster-whisper model (`tiny.en`, or a directory) for the ASR feature loss, and the weight of the loss. A step
    # costs half as much again. Evaluate with another model.
    asr_encoder: str | None = None
    asr_loss_weight: float = 30.0
    # The exported network is a moving average over steps.
    average_decay: float = 0.999
    # Weights of the losses in the gradient of the adversarial stage.
    spectral_weight: float = 1.0
    feature_weight: float = 1.0
    adversarial_weight: float = 0.4
    # Steps that the discriminator learns before the decoder is trained against it, and its relative learning rate.
    discriminator_head_start: int = 100
    discriminator_rate: float = 2.0
    discriminator_filters: int = 16
    discriminator_crops: int = 6
    discriminator_frames: int = 40
    checkpoint_seconds: float = 180.0
    example_seconds: float = 600.0
    num_examples: int = 4
    seed: int = 0
