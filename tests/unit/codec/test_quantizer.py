import torch

from valle.codec.mini.quantizer import ResidualQuantizer, k_means, nearest_entries


def generator():
    return torch.Generator().manual_seed(1)


def clustered(num_clusters, per_cluster, dim=8):
    """Well separated clusters, and the centre each vector belongs to."""
    centres = torch.randn(num_clusters, dim, generator=generator()) * 10
    noise = torch.randn(num_clusters * per_cluster, dim, generator=generator()) * 0.1
    return centres.repeat_interleave(per_cluster, 0) + noise, centres


def test_the_nearest_entry_is_the_one_of_least_distance():
    vectors, codebook = torch.randn(50, 8, generator=generator()), torch.randn(20, 8)
    expected = torch.cdist(vectors, codebook).argmin(1)
    assert torch.equal(nearest_entries(vectors, codebook), expected)


def test_k_means_finds_clusters_that_are_there():
    vectors, centres = clustered(6, 200)
    found = k_means(vectors, 60, num_rounds=20, generator=generator())
    assert torch.cdist(centres, found).min(1).values.max() < 0.5


def test_k_means_puts_every_centre_at_the_mean_of_its_vectors():
    vectors = torch.randn(500, 4, generator=generator())
    found = k_means(vectors, 10, num_rounds=200, generator=generator())
    nearest = nearest_entries(vectors, found)
    for cluster in range(10):
        torch.testing.assert_close(vectors[nearest == cluster].mean(0), found[cluster], atol=1e-4, rtol=0)


def test_k_means_leaves_no_centre_at_nothing_when_there_are_fewer_clusters_than_centres():
    vectors, _ = clustered(3, 50)
    found = k_means(vectors, 40, num_rounds=5, generator=generator())
    assert torch.isfinite(found).all()


def test_every_codebook_makes_the_error_smaller():
    quantizer = ResidualQuantizer(4, 64, 8)
    latents = torch.randn(3_000, 8, generator=generator())
    quantizer.fit(latents, num_rounds=10, generator=generator())
    codes = quantizer.encode(latents)
    errors = [(latents - quantizer.decode(codes[:k])).square().mean().item() for k in range(1, 5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]


def test_one_beam_takes_the_nearest_entry_of_every_codebook():
    quantizer = ResidualQuantizer(3, 16, 8)
    quantizer.codebooks.normal_(generator=generator())
    latents = torch.randn(40, 8, generator=generator())
    residual = latents
    for level, codes in enumerate(quantizer.encode(latents, num_beams=1)):
        assert torch.equal(codes, torch.cdist(residual, quantizer.codebooks[level]).argmin(1))
        residual = residual - quantizer.codebooks[level][codes]


def test_as_many_beams_as_there_are_sums_find_the_nearest_sum():
    quantizer = ResidualQuantizer(3, 4, 8)
    quantizer.codebooks.normal_(generator=generator())
    latents = torch.randn(40, 8, generator=generator())
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    nearest = torch.cdist(latents, quantizer.decode(every.T)).argmin(1)
    assert torch.equal(quantizer.encode(latents, num_beams=64), every[nearest].T)


def test_beams_come_nearer_to_the_latents():
    quantizer = ResidualQuantizer(6, 32, 16)
    latents = torch.randn(2_000, 16, generator=generator())
    quantizer.fit(latents, num_rounds=5, generator=generator())
    one, four = (quantizer.decode(quantizer.encode(latents, num_beams=beams)) for beams in (1, 4))
    assert (latents - four).square().mean() < 0.95 * (latents - one).square().mean()


def test_every_vector_may_have_its_own_number_of_codebooks():
    quantizer = ResidualQuantizer(4, 64, 8)
    quantizer.codebooks.normal_(generator=generator())
    codes = quantizer.encode(torch.randn(30, 8, generator=generator()))
    num_band_energies = torch.tensor([1, 2, 4]).repeat(10)
    latents = quantizer.decode(codes, num_band_energies)
    for row, levels in enumerate(num_band_energies.tolist()):
        torch.testing.assert_close(latents[row], quantizer.decode(codes[:levels, row : row + 1])[0])


def test_fitting_returns_the_codes_of_one_beam_and_uses_every_entry():
    quantizer = ResidualQuantizer(3, 32, 8)
    latents = torch.randn(20_000, 8, generator=generator())
    codes = quantizer.fit(latents, num_rounds=5, generator=generator())
    assert (codes == quantizer.encode(latents, num_beams=1)).float().mean() > 0.999  # but for ties
    assert all(len(level.unique()) == 32 for level in codes)
