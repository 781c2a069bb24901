"""A physics-informed network solves a differential equation that it is only told of.

A damped oscillator obeys u'' + 2 d u' + w² u = 0 with u(0) = 1 and u'(0) = 0. The network never
sees the solution: u(t) = 1 + t² n(t) starts as it must whatever the network n is, and the loss is
how far u is from obeying the equation, by its first and second derivatives in t.
"""

import argparse
import math

import torch
from torch import nn

DAMPING, FREQUENCY = 0.4, 4.0


def solution(t):
    """What a calculus course gives for the equation."""
    w = math.sqrt(FREQUENCY**2 - DAMPING**2)
    return torch.exp(-DAMPING * t) * (torch.cos(w * t) + DAMPING / w * torch.sin(w * t))


def derivative(u, t):
    """du/dt, itself differentiable."""
    return torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]


class Network(nn.Module):
    """u(t) = 1 + t² n(t) for a perceptron n."""

    def __init__(self, width=32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(),
            nn.Linear(width, width), nn.Tanh(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, t):
        return 1 + t**2 * self.layers(t - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=2000, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    network = Network().double().to(device)
    t = torch.linspace(0, 2, 64, dtype=torch.float64, device=device)
    t = t.reshape(-1, 1).requires_grad_()

    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.999)

    def step(t):
        u = network(t)
        du = derivative(u, t)
        residual = derivative(du, t) + 2 * DAMPING * du + FREQUENCY**2 * u
        loss = (residual / FREQUENCY**2).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for i in range(1, options.steps + 1):
        loss = step(t)
        schedule.step()
        if i % 250 == 0:
            print(f"step {i}: loss {loss.item():.6f}")

    with torch.no_grad():
        error = (network(t) - solution(t)).abs().max()
    print(f"largest error against the solution: {error.item():.4f}")


if __name__ == "__main__":
    main()
