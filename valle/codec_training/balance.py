"""Losses of very different steepness, brought to chosen shares of one gradient."""

from collections.abc import Mapping

import torch
from torch import Tensor


class GradientBalancer:
    """Weighs losses by the size of their gradients at the output, not by their values.

    The norms are moving averages over steps, so that a loss may still be small where it is satisfied. The balancer of
    EnCodec (Defossez et al. 2022, section 3.4). Without it the log-mel loss, steep in quiet passages, outweighed the
    critics sixty to one.
    """

    def __init__(self, shares: Mapping[str, float], *, decay: float = 0.99) -> None:
        self._shares = dict(shares)
        self._decay = decay
        self.norms: dict[str, float] = {}

    def gradient(self, losses: Mapping[str, Tensor], output: Tensor) -> Tensor:
        """The gradient to send back from `output`: each loss's own, scaled to its share."""
        total = torch.zeros_like(output)
        for name, loss in losses.items():
            [gradient] = torch.autograd.grad(loss, output, retain_graph=True)
            norm = float(gradient.norm())
            self.norms[name] = self._decay * self.norms.get(name, norm) + (1 - self._decay) * norm
            total = total + gradient * (self._shares[name] / max(self.norms[name], 1e-12))
        return total
