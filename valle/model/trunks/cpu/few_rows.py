"""Products of few rows on a CPU: the linear layer of a trunk, and the function that it and the heads share."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MOST_ROWS = 4
"""Rows whose scalar products are faster than torch's product."""


class FewRowsLinear(nn.Linear):
    """A linear layer that multiplies few rows by `multiply_rows`. Results differ from torch's in the last bits."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute x [..., inputs] times the weights, plus the bias."""
        if self.weight.dtype != torch.float32 or not are_few_rows(x):
            return super().forward(x)
        return multiply_rows(self.weight, x, self.bias)


def are_few_rows(x: Tensor, most: int = MOST_ROWS) -> bool:
    """Return whether numpy may compute with x [..., inputs] now, and there are at most `most` rows."""
    return (
        x.numel() <= most * x.shape[-1]
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        # Graphs that are compiled or exported have rows of any number.
        and not torch.compiler.is_compiling()
    )


def multiply_rows(weight: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply few rows x [..., inputs] by weights [outputs, inputs] on a CPU, in fp32 without gradients.

    Rows do not depend on each other, in any bit.
    """
    product = np.empty((x.numel() // x.shape[-1], len(weight)), dtype=np.float32)
    multiply_into(weight.detach().numpy(), x.detach().numpy().reshape(len(product), -1), product)
    if bias is not None:
        product += bias.detach().numpy()
    return torch.from_numpy(product).view(*x.shape[:-1], -1)


def multiply_into(weight: NDArray[np.float32], x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Multiply x [n, inputs] by weights [outputs, inputs] into `out` [n, outputs].

    Scalar products of each row of the weights with all of x read the weights once and in the order of memory, up to
    three times as fast as the products of torch and of OpenBLAS.
    """
    if len(x) <= MOST_ROWS:
        np.vecdot(weight[:, None], x, out=out.T)
    else:
        torch.mm(torch.from_numpy(x), torch.from_numpy(weight).T, out=torch.from_numpy(out))
