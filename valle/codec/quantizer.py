"""Residual vector quantizer: the search over its codebooks, the sum of their entries, and how they are learned.

Own code, not the one of the `encodec` package: its k-means builds a tensor of frames x entries x dimensions, and its
revival of dead entries is overwritten by the moving average in the same call. The algorithm is Algorithm 1 of
SoundStream (Zeghidour et al. 2021) with codebooks learned by exponential moving averages (van den Oord et al. 2017).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Quantized:
    """What the quantizer makes of latents [N, D] in training."""

    codes: Tensor  # [K, N]
    latents: Tensor  # [N, D]: the sum of the chosen entries, gradient passed straight through to the input
    commitment: Tensor  # scalar: mean squared distance of the input to every partial sum


def nearest_entries(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index [N] of the entry of `codebook` [C, D] that is nearest to each of `vectors` [N, D]."""
    # |v - e|^2 without |v|^2, which is the same for every entry.
    distances = torch.addmm(codebook.square().sum(1), vectors, codebook.T, alpha=-2)
    return distances.argmin(1)


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
    """`num_codebooks` codebooks of `codebook_size` entries; each quantizes what the ones before it left over."""

    codebooks: Tensor  # [K, C, D]
    counts: Tensor  # [K, C]: moving average of how often an entry is chosen per step
    sums: Tensor  # [K, C, D]: moving average of the sum of the vectors that chose it

    def __init__(self, num_codebooks: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("codebooks", torch.zeros(num_codebooks, codebook_size, dim))
        self.register_buffer("counts", torch.zeros(num_codebooks, codebook_size), persistent=False)
        self.register_buffer("sums", torch.zeros(num_codebooks, codebook_size, dim), persistent=False)

    def encode(self, latents: Tensor) -> Tensor:
        """Codes [K, N] of latents [N, D]."""
        residual = latents
        codes = []
        for codebook in self.codebooks:
            nearest = nearest_entries(residual, codebook)
            residual = residual - codebook[nearest]
            codes.append(nearest)
        return torch.stack(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """Latents [N, D] of codes [K', N] with any K' from 1 to K."""
        latents = self.codebooks[0][codes[0]]
        for codebook, chosen in zip(self.codebooks[1:], codes[1:], strict=False):
            latents = latents + codebook[chosen]
        return latents

    def forward(self, latents: Tensor, num_levels: Tensor) -> Quantized:
        """Quantize latents [N, D], each with its own number of levels [N]; gradients pass straight through."""
        residual = latents.detach()
        total = torch.zeros_like(residual)
        commitment = latents.new_zeros(())
        codes = []
        for level, codebook in enumerate(self.codebooks):
            nearest = nearest_entries(residual, codebook)
            chosen = codebook[nearest]
            residual = residual - chosen
            used = (level < num_levels)[:, None]
            total = total + torch.where(used, chosen, 0.0)
            commitment = commitment + (torch.where(used, latents - total, 0.0)).square().mean()
            codes.append(nearest)
        return Quantized(torch.stack(codes), latents + (total - latents).detach(), commitment / len(self.codebooks))

    @torch.no_grad()
    def initialise(self, latents: Tensor, *, step_vectors: int, num_rounds: int, generator: torch.Generator) -> None:
        """Set every codebook by k-means on latents [N, D]; `step_vectors` is how many vectors a step will bring."""
        residual = latents
        for level in range(len(self.codebooks)):
            centres = k_means(residual, self.codebooks.shape[1], num_rounds=num_rounds, generator=generator)
            nearest = nearest_entries(residual, centres)
            share = torch.bincount(nearest, minlength=len(centres)) * (step_vectors / len(residual))
            self.codebooks[level] = centres
            self.counts[level] = share
            self.sums[level] = centres * share[:, None]
            residual = residual - centres[nearest]

    @torch.no_grad()
    def assume_even_use(self, step_vectors: int) -> None:
        """Let the averages say that every entry is where its vectors are, and chosen equally often.

        For codebooks that come from elsewhere; `step_vectors` is how many vectors a step will bring.
        """
        self.counts.fill_(step_vectors / self.codebooks.shape[1])
        self.sums.copy_(self.codebooks * self.counts[..., None])

    @torch.no_grad()
    def update(self, latents: Tensor, codes: Tensor, *, decay: float, dead: float, generator: torch.Generator) -> int:
        """Move the entries towards the vectors that chose them; returns how many dead ones were revived.

        An entry chosen fewer than `dead` times a step (moving average) restarts on a random vector of the batch.
        """
        residual = latents
        num_revived = 0
        for level in range(len(self.codebooks)):
            chosen = self.codebooks[level][codes[level]]
            counts = torch.bincount(codes[level], minlength=self.codebooks.shape[1]).to(residual.dtype)
            sums = torch.zeros_like(self.sums[level]).index_add_(0, codes[level], residual)
            self.counts[level].lerp_(counts, 1 - decay)
            self.sums[level].lerp_(sums, 1 - decay)
            is_dead = self.counts[level] < dead
            restarts = residual[torch.randint(len(residual), (len(counts),), generator=generator)]
            # A revived entry starts with an average share of the vectors, else it would die again before it is chosen.
            share = len(residual) / len(counts)
            self.counts[level].masked_fill_(is_dead, share)
            self.sums[level] = torch.where(is_dead[:, None], restarts * share, self.sums[level])
            self.codebooks[level] = self.sums[level] / self.counts[level][:, None]
            num_revived += int(is_dead.sum())
            residual = residual - chosen
        return num_revived
