"""Names of the variants of a model that options choose from; imports nothing, since the help of commands needs them."""

from typing import Literal

TrunkName = Literal["llama", "transformer", "retnet", "mixtral", "bitnet", "mamba"]
KernelName = Literal["sdpa", "matmul", "flex", "flash", "efficient", "cudnn", "math", "flash-attn", "xformers", "fla"]
"""Kernels of attention, `AttentionKernel` without torch."""
RouterName = Literal["linear", "cosine"]
