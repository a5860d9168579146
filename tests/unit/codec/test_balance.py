import pytest
import torch

from valle.codec_training.balance import GradientBalancer


def test_losses_of_any_steepness_get_their_shares_of_the_gradient():
    output = torch.zeros(4, requires_grad=True)
    losses = {"steep": 1_000 * output[0], "flat": 0.001 * output[1]}
    gradient = GradientBalancer({"steep": 1.0, "flat": 3.0}).gradient(losses, output)
    torch.testing.assert_close(gradient, torch.tensor([1.0, 3.0, 0.0, 0.0]))


def test_a_loss_that_is_satisfied_for_a_while_pulls_less():
    output = torch.zeros(2, requires_grad=True)
    balancer = GradientBalancer({"one": 1.0}, decay=0.9)
    balancer.gradient({"one": 10 * output[0]}, output)
    later = balancer.gradient({"one": output[0]}, output)
    assert later[0] == pytest.approx(1 / 9.1)


def test_a_loss_without_gradient_adds_nothing():
    output = torch.zeros(2, requires_grad=True)
    gradient = GradientBalancer({"none": 1.0}).gradient({"none": 0 * output[0]}, output)
    assert torch.equal(gradient, torch.zeros(2))
