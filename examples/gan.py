"""A generative adversarial network learns to place points on a ring of eight clusters.

The generator turns noise into points; the discriminator tells them from real ones. Each is
trained against the other, with the non-saturating loss.
"""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

# Two networks that answer each other amplify rounding: double precision keeps runs comparable.
torch.set_default_dtype(torch.float64)


def ring(n):
    """``n`` points around eight centres on a circle."""
    angle = torch.randint(8, (n,)) * (2 * math.pi / 8)
    centres = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
    return centres + 0.05 * torch.randn(n, 2)


def perceptron(inputs, outputs, width=64):
    """A network with two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.2),
        nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    generator, discriminator = perceptron(4, 2).to(device), perceptron(2, 1).to(device)
    of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))

    def step(real, noise):
        fake = generator(noise)
        scores, fooled = discriminator(real), discriminator(fake.detach())
        discriminator_loss = (
            F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
            + F.binary_cross_entropy_with_logits(fooled, torch.zeros_like(fooled))
        )  # fmt: skip
        of_discriminator.zero_grad()
        discriminator_loss.backward()
        of_discriminator.step()

        scores = discriminator(fake)
        generator_loss = F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        of_generator.zero_grad()
        generator_loss.backward()
        of_generator.step()
        return discriminator_loss, generator_loss

    if options.compile:
        step = torch.compile(step)

    for i in range(1, options.steps + 1):
        of_two = step(ring(128).to(device), torch.randn(128, 4).to(device))
        if i % 250 == 0:
            shown = [f"{loss.item():.4f}" for loss in of_two]
            print(f"step {i}: discriminator {shown[0]}, generator {shown[1]}")

    with torch.no_grad():
        points = generator(torch.randn(1000, 4).to(device)).cpu()
    radius = points.norm(dim=1)
    print(f"distance from the centre: {radius.mean():.3f} ± {radius.std():.3f}")
    sector = ((torch.atan2(points[:, 1], points[:, 0]) / (2 * math.pi) * 8).round() % 8).long()
    print("points at each cluster:", torch.bincount(sector, minlength=8).tolist())


if __name__ == "__main__":
    main()
