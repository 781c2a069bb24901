"""An autoencoder squeezes pictures of digits through eight numbers, and removes noise.

The digits are those of a pocket calculator, drawn with seven segments and shifted at random. The
network is shown noisy ones and asked for the clean ones.
"""

import argparse

import torch
from torch import nn

SEGMENTS = "1110111 0010010 1011101 1011011 0111010 1101011 1101111 1010010 1111111 1111011"


def digits():
    """The ten digits as pictures (10, 11, 8): a seven-segment display."""
    pictures = torch.zeros(10, 11, 8)
    places = [
        (slice(1, 2), slice(2, 6)), (slice(2, 5), slice(1, 2)), (slice(2, 5), slice(6, 7)),
        (slice(5, 6), slice(2, 6)), (slice(6, 9), slice(1, 2)), (slice(6, 9), slice(6, 7)),
        (slice(9, 10), slice(2, 6)),
    ]  # fmt: skip
    for picture, lit in zip(pictures, SEGMENTS.split(), strict=True):
        for place, on in zip(places, lit, strict=True):
            picture[place] = float(on)
    return pictures


def batch(pictures, n):
    """(``n`` random digits, each moved by at most one pixel; the same with noise), flattened."""
    chosen = pictures[torch.randint(10, (n,))]
    down, right = torch.randint(-1, 2, (2,)).tolist()
    clean = chosen.roll((down, right), dims=(1, 2)).flatten(1)
    return clean, clean + 0.4 * torch.randn_like(clean)


class Autoencoder(nn.Module):
    """An encoder to ``width`` numbers and a decoder back."""

    def __init__(self, pixels, width):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, 64), nn.GELU(), nn.Linear(64, width))
        self.decoder = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, pixels))

    def forward(self, pictures):
        return torch.sigmoid(self.decoder(self.encoder(pictures)))


def show(*pictures):
    """Print pictures side by side."""
    for rows in zip(*pictures, strict=True):
        print("   ".join("".join(" .:#"[int(v.clamp(0, 0.99) * 4)] for v in row) for row in rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(1)
    pictures = digits()
    model = Autoencoder(11 * 8, 8).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_of = nn.BCELoss()

    def step(clean, noisy):
        loss = loss_of(model(noisy), clean)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    mean = 0.0
    for i in range(1, options.steps + 1):
        clean, noisy = batch(pictures, 64)
        mean += step(clean.to(device), noisy.to(device)).item() / 250
        if i % 250 == 0:
            print(f"step {i}: loss {mean:.4f}")
            mean = 0.0

    with torch.no_grad():
        clean, noisy = batch(pictures, 1)
        cleaned = model(noisy.to(device)).cpu()
    print("noisy, cleaned, the original:")
    show(*[t.reshape(11, 8) for t in (noisy, cleaned, clean)])


if __name__ == "__main__":
    main()
