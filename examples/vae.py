"""A variational autoencoder learns a map of bell curves, and draws new ones from it.

Each sample is a curve with a random centre and width, read at 32 points. The encoder gives a
normal distribution over two latent numbers; the decoder gives the curve back. The loss is the
negative evidence lower bound: the error of reconstruction plus the divergence from the prior.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

POINTS = torch.linspace(-1, 1, 32)


def curves(n):
    """``n`` bell curves (n, 32)."""
    centre = torch.rand(n, 1) * 1.2 - 0.6
    width = torch.rand(n, 1) * 0.3 + 0.1
    return torch.exp(-0.5 * ((POINTS - centre) / width) ** 2)


class VAE(nn.Module):
    """A variational autoencoder with a normal posterior over ``latent`` numbers."""

    def __init__(self, latent=2):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.mean = nn.Linear(64, latent)
        self.log_variance = nn.Linear(64, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 64), nn.SiLU(),
            nn.Linear(64, 64), nn.SiLU(),
            nn.Linear(64, 32),
        )  # fmt: skip

    def forward(self, x, noise):
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * noise  # differentiable in mean and variance
        return self.decoder(z), mean, log_variance


def negative_bound(x, output, mean, log_variance):
    """(reconstruction error, divergence of the posterior from the prior), each per curve."""
    error = F.mse_loss(output, x, reduction="sum") / (2 * 0.1**2)
    divergence = -0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp())
    return error / len(x), divergence / len(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=1200, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    model = VAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x, noise):
        error, divergence = negative_bound(x, *model(x, noise))
        loss = error + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, error, divergence

    if options.compile:
        step = torch.compile(step)

    for i in range(1, options.steps + 1):
        parts = step(curves(128).to(device), torch.randn(128, 2).to(device))
        if i % 200 == 0:
            loss, error, divergence = [f"{part.item():.3f}" for part in parts]
            print(f"step {i}: loss {loss} = error {error} + divergence {divergence}")

    with torch.no_grad():
        drawn = model.decoder(torch.randn(4, 2).to(device)).cpu()
    print("four curves drawn from the prior:")
    for curve in drawn:
        print("".join(" .:-=+*#"[int(v.clamp(0, 0.99) * 8)] for v in curve))


if __name__ == "__main__":
    main()
