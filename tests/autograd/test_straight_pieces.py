"""Functions made of straight pieces, such as relu: as in PyTorch their second derivative is zeros, not missing."""

import pytest

import rushlight as torch
from rushlight.nn import functional as F

FUNCTIONS = {
    "relu": F.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu, "hardtanh": F.hardtanh,
    "hardshrink": F.hardshrink, "softshrink": F.softshrink, "rrelu": F.rrelu,
    "threshold": lambda x: F.threshold(x, 0.1, 0), "noise": lambda x: F.rrelu(x, training=True),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.1])),
    "max_pool": lambda x: F.max_pool2d(x, 2), "avg_pool": lambda x: F.avg_pool2d(x, 2),
    "positions": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "adaptive_avg": lambda x: F.adaptive_avg_pool2d(x, 3),
    "adaptive_max": lambda x: F.adaptive_max_pool2d(x, 3),
    "reflect": lambda x: F.pad(x, (1, 1, 1, 1), "reflect"),
    "replicate": lambda x: F.pad(x, (1, 1, 1, 1), "replicate"),
    "nll_loss": lambda x: F.nll_loss(x[0, 0], torch.tensor([0, 1, 2, 3])),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_second_derivative_is_zeros(name):
    x = torch.linspace(-1, 1, 32).reshape(1, 2, 4, 4).requires_grad_()
    (g,) = torch.autograd.grad(FUNCTIONS[name](x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(g.sum(), x)
    assert g.count_nonzero() and second.shape == x.shape and not second.count_nonzero()


def test_the_slope_of_prelu_has_a_second_derivative_too():
    x, w = torch.tensor([-2.0, 1.0], requires_grad=True), torch.tensor([0.5], requires_grad=True)
    (g,) = torch.autograd.grad(F.prelu(x, w).sum(), w, create_graph=True)
    second = torch.autograd.grad(g, (x, w))
    assert [s.tolist() for s in second] == [[1, 0], [0]]


@pytest.mark.parametrize("run", [lambda f: f, torch.compile])
def test_a_gradient_penalty_reaches_the_biases_below_a_relu(run):
    first, last = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)

    def penalize(x):
        (g,) = torch.autograd.grad(last(F.relu(first(x))).sum(), x, create_graph=True)
        g.square().sum().backward()
        return g

    run(penalize)(torch.randn(4, 2, requires_grad=True))
    assert first.bias.grad.tolist() == [0, 0, 0] and last.bias.grad is None


def test_a_network_of_relus_has_a_second_derivative():
    net = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    x = torch.linspace(-1, 1, 5)[:, None].requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    assert bend.requires_grad and not bend.count_nonzero()
