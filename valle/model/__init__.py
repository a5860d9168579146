"""The network: what it is made of, how a row of it is laid out, and how it is decoded one frame at a time."""

from valle.model.attention import AttentionKernel
from valle.model.batch import Batch, Row, make_batch, speech_row
from valle.model.cache import Cache
from valle.model.config import PRESETS, ModelConfig, preset
from valle.model.layout import LAYOUTS, Layout, MaskKind, Mode, Task
from valle.model.loss import LossReport, sequence_loss
from valle.model.valle import ValleModel

__all__ = [
    "LAYOUTS",
    "PRESETS",
    "AttentionKernel",
    "Batch",
    "Cache",
    "Layout",
    "LossReport",
    "MaskKind",
    "Mode",
    "ModelConfig",
    "Row",
    "Task",
    "ValleModel",
    "make_batch",
    "preset",
    "sequence_loss",
    "speech_row",
]
