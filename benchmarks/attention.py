"""Attention kernels in a training update on a CPU: `python benchmarks/attention.py`.

The forward and backward pass of a trunk of the size `7m` on random vectors, in bfloat16 and in fp32, CPU seconds of the
kernels `sdpa` and `matmul` in turn, and their ratio: the smallest of `--repeats` of each.
"""

import argparse
import sys
import time

import torch
from figures import report

from valle.codec import codec_spec
from valle.model.attention import AttentionKernel, Mask
from valle.model.config import preset
from valle.model.layout import MaskKind
from valle.model.trunks.llama import LlamaTrunk

KERNELS = (AttentionKernel.SDPA, AttentionKernel.MATMUL)
SHAPES = ((8, 250), (5, 400), (3, 680))
"""Rows and slots of batches of about 2,000 slots."""


def cpu_seconds(trunk: LlamaTrunk, x: torch.Tensor, kind: MaskKind, dtype: torch.dtype) -> float:
    """CPU seconds of one forward and backward pass."""
    positions = torch.arange(x.shape[1]).float().repeat(len(x), 1)
    started = time.process_time()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
        hidden = trunk(x, Mask(kind, None), positions)
    hidden.float().square().mean().backward()
    return time.process_time() - started


def compare(trunk: LlamaTrunk, shape: tuple[int, int], kind: MaskKind, dtype: torch.dtype, repeats: int) -> list[float]:
    """Smallest CPU seconds of each kernel, which take turns."""
    x = torch.randn(*shape, trunk.norm.weight.shape[0])
    best = [float("inf")] * len(KERNELS)
    for _ in range(repeats):
        for number, kernel in enumerate(KERNELS):
            trunk.kernel = kernel
            best[number] = min(best[number], cpu_seconds(trunk, x, kind, dtype))
    return best


def main() -> int:
    """Print a line per type, mask and shape; 1 when `matmul` is no faster in bfloat16."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats: int = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    trunk = LlamaTrunk(preset("7m", codec_spec("mini"), num_symbols=200, languages=["en"]))
    ratios = []
    for dtype in (torch.bfloat16, torch.float32):
        for kind in (MaskKind.CAUSAL, MaskKind.FULL):
            for shape in SHAPES:
                fused, products = compare(trunk, shape, kind, dtype, repeats)
                if dtype is torch.bfloat16:
                    ratios.append(products / fused)
                name = f"{str(dtype).removeprefix('torch.')} {kind.name.lower()} {shape[0]} x {shape[1]}"
                print(f"{name}: sdpa {1e3 * fused:.0f} ms, matmul {1e3 * products:.0f} ms, {products / fused:.2f}")
    mean = sum(ratios) / len(ratios)
    return 0 if report("attention as matrix products / sdpa, time in bfloat16", mean, 1.0, at_least=False) else 1


if __name__ == "__main__":
    sys.exit(main())
