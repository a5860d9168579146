"""Combine losses of very different gradient norms with fixed weights (the balancer of EnCodec)."""

from collections.abc import Mapping

import torch
from torch import Tensor


class GradientBalancer:
    """Weigh losses by the norms of their gradients at the output, not by their values.

    The norms are moving averages over steps, so a satisfied loss still has a small gradient (Defossez et al. 2022,
    section 3.4). Without the balancer the log-mel loss, steep in quiet passages, outweighs the discriminator 60 to 1.
    """

    def __init__(self, shares: Mapping[str, float], *, decay: float = 0.99) -> None:
        self._shares = dict(shares)
        self._decay = decay
        self.norms: dict[str, float] = {}

    def gradient(self, losses: Mapping[str, Tensor], output: Tensor) -> Tensor:
        """Return the gradient at `output`: the sum of the losses' gradients, each scaled to its weight."""
        total = torch.zeros_like(output)
        for name, loss in losses.items():
            [gradient] = torch.autograd.grad(loss, output, retain_graph=True)
            norm = float(gradient.norm())
            self.norms[name] = self._decay * self.norms.get(name, norm) + (1 - self._decay) * norm
            total = total + gradient * (self._shares[name] / max(self.norms[name], 1e-12))
        return total
