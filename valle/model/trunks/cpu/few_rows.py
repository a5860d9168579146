"""Products of one row and of few rows on a CPU: the linear layer of a trunk, and how its weights lie in memory."""

import torch
from torch import Tensor, nn

# Below, all weights stay in the cache of the processor and the products cost the same (`benchmarks/decode.py`).
_LARGE = 1 << 20


class FewRowsLinear(nn.Linear):
    """A linear layer that reads a large matrix once for two or three rows.

    For these torch's CPU kernel needs the time of two or three products of one row. With the weights as the first
    factor it needs that of one. Results differ in the last bits, so smaller layers keep torch's product.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Compute x [..., inputs] times the weights, plus the bias."""
        if not self._is_few(x):
            return super().forward(x)
        product = (self.weight @ x.reshape(-1, self.in_features).T).T.view(*x.shape[:-1], self.out_features)
        return product if self.bias is None else product + self.bias

    def _is_few(self, x: Tensor) -> bool:
        # Graphs that are compiled or exported have rows of any number.
        return (
            self.weight.numel() >= _LARGE
            and not torch.is_grad_enabled()
            and x.device.type == "cpu"
            and x.dtype == torch.float32 == self.weight.dtype
            and 2 <= x.numel() // self.in_features <= 3
            and not torch.compiler.is_compiling()
        )


def multiply_row(weight: Tensor, x: Tensor) -> Tensor:
    """Multiply one row x [..., inputs] by weights [outputs, inputs] on a CPU, in fp32 without gradients.

    OpenBLAS, which numpy calls, reads the weights up to three times as fast as the library of torch.
    """
    return torch.from_numpy(weight.detach().numpy().dot(x.numpy().reshape(-1))).view(*x.shape[:-1], -1)


def is_plain_row(x: Tensor) -> bool:
    """Return whether `multiply_row` accepts x [..., inputs] now."""
    return (
        x.numel() == x.shape[-1]
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def store_by_columns(model: nn.Module) -> None:
    """Store the smaller matrices of trunks by columns, for decoding on a CPU; values and products stay the same.

    One row is then a sum of columns, which are read as fast as memory allows. Large matrices stay as they are: the
    product of few rows needs them by rows.
    """
    for layer in model.modules():
        if isinstance(layer, FewRowsLinear) and layer.weight.numel() < _LARGE:
            layer.weight.data = layer.weight.data.t().contiguous().t()
