"""Residual vector quantizer: codebooks of which each quantizes what the ones before it left over.

Own code, not the one of the `encodec` package: its k-means builds a tensor of frames x entries x dimensions. The
codebooks are those of SoundStream (Zeghidour et al. 2021, Algorithm 1); the search keeps several sums.
"""

import torch
from torch import Tensor, nn

NUM_BEAMS = 4
"""Partial sums that `encode` keeps; sixteen would bring half as much again, at four times the cost."""
_PART = 8192
"""Vectors whose distances to all entries are held in memory at once."""


def nearest_entries(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index [N] of the entry of `codebook` [C, D] that is nearest to each of `vectors` [N, D]."""
    # |v - e|^2 without |v|^2, which is the same for every entry.
    lengths = codebook.square().sum(1)
    return torch.cat([torch.addmm(lengths, v, codebook.T, alpha=-2).argmin(1) for v in torch.split(vectors, _PART)])


def k_means(vectors: Tensor, num_clusters: int, *, num_rounds: int, generator: torch.Generator) -> Tensor:
    """Centres [C, D] of `vectors` [N, D] by Lloyd's algorithm; an empty cluster restarts on a random vector."""
    order = torch.randperm(len(vectors), generator=generator)
    centres = vectors[order[:num_clusters]].clone()
    for _ in range(num_rounds):
        nearest = nearest_entries(vectors, centres)
        counts = torch.bincount(nearest, minlength=num_clusters)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        restarts = vectors[torch.randint(len(vectors), (num_clusters,), generator=generator)]
        centres = torch.where((counts > 0)[:, None], sums / counts.clamp(min=1)[:, None], restarts)
    return centres


class ResidualQuantizer(nn.Module):
    """`num_codebooks` codebooks of `codebook_size` entries; what vectors become is the sum of one entry of each."""

    codebooks: Tensor  # [K, C, D]

    def __init__(self, num_codebooks: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("codebooks", torch.zeros(num_codebooks, codebook_size, dim))

    def encode(self, latents: Tensor, *, num_beams: int = NUM_BEAMS) -> Tensor:
        """Codes [K, N] of latents [N, D]: of the best sums that were kept after each codebook, the nearest.

        With one beam every codebook takes the entry that is nearest to what is left; a few beams find sums that are
        nearer in the end.
        """
        residuals = latents[:, None]  # [N, beams, D]
        codes = torch.zeros(len(latents), 1, 0, dtype=torch.long, device=latents.device)
        for codebook in self.codebooks:
            lengths = residuals.square().sum(2, keepdim=True) + codebook.square().sum(1)  # [N, beams, C]
            distances = lengths.flatten(0, 1).addmm_(residuals.flatten(0, 1), codebook.T, alpha=-2)
            distances = distances.view(len(latents), -1)
            best = distances.topk(min(num_beams, distances.shape[1]), dim=1, largest=False).indices  # [N, beams]
            beams, entries = best // len(codebook), best % len(codebook)
            residuals = torch.take_along_dim(residuals, beams[..., None], 1) - codebook[entries]
            codes = torch.cat((torch.take_along_dim(codes, beams[..., None], 1), entries[..., None]), 2)
        return codes[:, 0].T

    def decode(self, codes: Tensor, num_levels: Tensor | None = None) -> Tensor:
        """Latents [N, D] of codes [K', N] with any K' from 1 to K, of the first `num_levels` [N] of them if given."""
        latents = self.codebooks[0][codes[0]]
        for level, (codebook, chosen) in enumerate(zip(self.codebooks[1:], codes[1:], strict=False), start=1):
            entries = codebook[chosen]
            latents = latents + (entries if num_levels is None else entries * (num_levels > level)[:, None])
        return latents

    @torch.no_grad()
    def fit(self, latents: Tensor, *, num_rounds: int, generator: torch.Generator) -> Tensor:
        """Set every codebook by k-means on latents [N, D], and return their codes [K, N] with one beam."""
        residual = latents
        codes = []
        for level in range(len(self.codebooks)):
            centres = k_means(residual, self.codebooks.shape[1], num_rounds=num_rounds, generator=generator)
            codes.append(nearest_entries(residual, centres))
            self.codebooks[level] = centres
            residual = residual - centres[codes[-1]]
        return torch.stack(codes)
