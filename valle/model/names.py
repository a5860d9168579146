"""Names of the kernels of attention that options choose from; imports nothing, as the help of commands needs them."""

from typing import Literal

KernelName = Literal["sdpa", "matmul", "flex", "flash", "efficient", "cudnn", "math", "flash-attn", "xformers", "fla"]
"""Kernels of attention, `AttentionKernel` without torch."""
