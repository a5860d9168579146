"""The linear layer of a trunk, with a faster product for the two or three rows of guided speech on a CPU."""

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
