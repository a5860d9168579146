import torch

from valle.codec.quantizer import ResidualQuantizer, k_means, nearest_entries


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
    quantizer.initialise(latents, step_vectors=100, num_rounds=10, generator=generator())
    codes = quantizer.encode(latents)
    errors = [(latents - quantizer.decode(codes[:k])).square().mean().item() for k in range(1, 5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]


def test_training_sees_the_same_codes_and_latents_as_use():
    quantizer = ResidualQuantizer(4, 64, 8)
    quantizer.codebooks.normal_(generator=generator())
    latents = torch.randn(30, 8, generator=generator())
    num_levels = torch.tensor([1, 2, 4]).repeat(10)
    quantized = quantizer(latents, num_levels)
    codes = quantizer.encode(latents)
    assert torch.equal(quantized.codes, codes)
    for row, levels in enumerate(num_levels.tolist()):
        expected = quantizer.decode(codes[:levels, row : row + 1])[0]
        torch.testing.assert_close(quantized.latents[row], expected)


def test_the_gradient_passes_straight_through():
    quantizer = ResidualQuantizer(2, 16, 4)
    quantizer.codebooks.normal_(generator=generator())
    latents = torch.randn(10, 4, requires_grad=True)
    weights = torch.randn(10, 4)
    (quantizer(latents, torch.full((10,), 2)).latents * weights).sum().backward()
    torch.testing.assert_close(latents.grad, weights)


def test_commitment_pulls_latents_towards_their_entries():
    quantizer = ResidualQuantizer(1, 16, 4)
    quantizer.codebooks.normal_(generator=generator())
    latents = torch.randn(10, 4, requires_grad=True)
    quantized = quantizer(latents, torch.ones(10))
    quantized.commitment.backward()
    moved = latents.detach() - latents.grad
    before = (latents.detach() - quantized.latents.detach()).norm()
    assert (moved - quantized.latents.detach()).norm() < before


def test_entries_move_to_the_mean_of_the_vectors_that_choose_them():
    quantizer = ResidualQuantizer(1, 4, 2)
    latents = torch.tensor([[5.0, 5.0], [-5.0, 5.0], [5.0, -5.0], [-5.0, -5.0]]).repeat(25, 1)
    quantizer.initialise(latents, step_vectors=100, num_rounds=5, generator=generator())
    shifted = latents + 1.0
    for _ in range(200):
        quantizer.update(shifted, quantizer.encode(shifted), decay=0.9, dead=0.0, generator=generator())
    residual = shifted - quantizer.decode(quantizer.encode(shifted))
    assert residual.abs().max() < 0.01


def test_a_dead_entry_is_revived_on_a_vector_of_the_batch_and_stays():
    quantizer = ResidualQuantizer(1, 8, 4)
    latents = torch.randn(200, 4, generator=generator())
    quantizer.initialise(latents, step_vectors=200, num_rounds=5, generator=generator())
    quantizer.codebooks[0, 3] = 1_000.0
    quantizer.counts[0, 3] = 0.0
    num_revived = quantizer.update(latents, quantizer.encode(latents), decay=0.99, dead=0.5, generator=generator())
    assert num_revived == 1
    assert torch.cdist(quantizer.codebooks[0, 3][None], latents).min() < 1e-4
    assert 3 in quantizer.encode(latents)[0]
