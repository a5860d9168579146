"""Residual vector quantizer: each codebook quantizes the residual of the ones before it.

Algorithm 1 of SoundStream (Zeghidour et al. 2021), with beam search. The quantizer of the `encodec` package is not
used because its k-means builds a tensor of frames x entries x dimensions.
"""

import torch
from torch import Tensor, nn

NUM_BEAMS = 4
"""Beam width of `encode`; sixteen lowers the error by half as much again at four times the cost."""
# Vectors whose distances to all entries are in memory at once.
_CHUNK = 8192


def nearest_entries(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index [N] of the entry of `codebook` [C, D] nearest to each of `vectors` [N, D]."""
    # |v - e|^2 without |v|^2, which is the same for every entry.
    lengths = codebook.square().sum(1)
    return torch.cat([torch.addmm(lengths, v, codebook.T, alpha=-2).argmin(1) for v in torch.split(vectors, _CHUNK)])


def k_means(vectors: Tensor, num_clusters: int, *, num_rounds: int, generator: torch.Generator) -> Tensor:
    """Return the centres [C, D] of `vectors` [N, D] by Lloyd's algorithm; empty clusters restart on a random vector."""
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
    """`num_codebooks` codebooks of `codebook_size` entries; a vector is the sum of one entry of each."""

    codebooks: Tensor  # [K, C, D]

    def __init__(self, num_codebooks: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("codebooks", torch.zeros(num_codebooks, codebook_size, dim))

    def encode(self, latents: Tensor, *, num_beams: int = NUM_BEAMS) -> Tensor:
        """Return codes [K, N] of latents [N, D] by beam search over the codebooks.

        One beam takes the nearest entry of each codebook in turn; more beams find sums with a smaller final error.
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

    def decode(self, codes: Tensor, num_codebooks: Tensor | None = None) -> Tensor:
        """Return latents [N, D] of codes [K', N] with any K' from 1 to K, of the first `num_codebooks` [N] if given."""
        latents = self.codebooks[0][codes[0]]
        for index, (codebook, chosen) in enumerate(zip(self.codebooks[1:], codes[1:], strict=False), start=1):
            entries = codebook[chosen]
            latents = latents + (entries if num_codebooks is None else entries * (num_codebooks > index)[:, None])
        return latents

    @torch.no_grad()
    def fit(self, latents: Tensor, *, num_rounds: int, generator: torch.Generator) -> Tensor:
        """Set every codebook by k-means on latents [N, D], and return their codes [K, N] with one beam."""
        residual = latents
        codes = []
        for index in range(len(self.codebooks)):
            centres = k_means(residual, self.codebooks.shape[1], num_rounds=num_rounds, generator=generator)
            codes.append(nearest_entries(residual, centres))
            self.codebooks[index] = centres
            residual = residual - centres[codes[-1]]
        return torch.stack(codes)
