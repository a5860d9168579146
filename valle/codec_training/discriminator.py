"""The discriminator of the adversarial stage: complex spectrograms at several resolutions (`encodec` package)."""

import warnings

from encodec.msstftd import MultiScaleSTFTDiscriminator
from torch import nn

WINDOWS = (2048, 1024, 512)


def build_discriminator(num_filters: int) -> nn.Module:
    """Build a module from waveforms [B, 1, N] to (scores, activations), one entry per resolution in each.

    EnCodec's discriminator (Defossez et al. 2022, section 3.4), thinned for one CPU core: half the filters, half the
    frames, frequency strides of 4. A pass costs a fifth of the original's.
    """
    with warnings.catch_warnings():
        # The package still uses the old weight_norm of torch.
        warnings.simplefilter("ignore", FutureWarning)
        return MultiScaleSTFTDiscriminator(
            num_filters,
            n_ffts=list(WINDOWS),
            hop_lengths=[window // 2 for window in WINDOWS],
            win_lengths=list(WINDOWS),
            stride=(1, 4),
        )
