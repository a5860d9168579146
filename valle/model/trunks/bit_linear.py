"""Linear layers with ternary weights and 8-bit inputs (BitNet b1.58, Ma et al., arXiv 2402.17764)."""

from torch import Tensor, nn
from torch.nn import functional


def ternary(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round weights to -1, 0 and 1, times a scale: the mean of their magnitudes. Both have the type of the weights."""
    scale = weight.abs().mean().clamp(min=1e-5)
    return (weight / scale).round().clamp(-1, 1), scale


def eight_bits(x: Tensor) -> Tensor:
    """Round each vector [..., width] to 255 steps between plus and minus its largest magnitude."""
    scale = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return (x * scale).round().clamp(-128, 127) / scale


class BitLinear(nn.Linear):
    """A linear layer that computes with ternary weights; its own weights exist for the optimizer.

    Gradients pass the rounding unchanged (straight-through, Bengio et al., arXiv 1308.3432). In evaluation the weights
    are rounded again only after they changed.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self._rounded: tuple[object, Tensor] | None = None  # the state of the weights, and what they round to

    def forward(self, x: Tensor) -> Tensor:
        """Compute with rounded weights and inputs; no learned norm is needed, as blocks normalise their inputs."""
        rounded = x + (eight_bits(x) - x).detach()
        if self.training:
            codes, scale = ternary(self.weight)
            weight = self.weight + (codes * scale - self.weight).detach()
        else:
            weight = self._evaluation_weight()
        return functional.linear(rounded, weight, self.bias)

    def _evaluation_weight(self) -> Tensor:
        weight = self.weight.detach()
        state = (weight._version, weight.data_ptr(), weight.dtype)
        if self._rounded is None or self._rounded[0] != state:
            codes, scale = ternary(weight)
            self._rounded = (state, codes * scale)
        return self._rounded[1]
