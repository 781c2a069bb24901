"""Transfer learning: a network trained on one task is loaded for another with few examples.

First a convolutional network learns the slope of stripes from many pictures, and is saved. Then
its checkpoint is loaded, all but the head; the body is frozen, and a new head learns to tell two
kinds of pattern from forty pictures. The same from scratch is worse.
"""

import argparse
import math
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

SIZE = 16
SLOPES = 6


def stripes(n):
    """(pictures of stripes with noise, which of six slopes they have)."""
    slope = torch.randint(SLOPES, (n,))
    return wave(slope * (math.pi / SLOPES)), slope


def wave(angle):
    """Pictures (n, 1, SIZE, SIZE) of waves that run at ``angle``."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    angle, phase = angle[:, None, None], torch.rand(len(angle), 1, 1) * 2 * math.pi
    along = torch.cos(angle) * columns + torch.sin(angle) * rows
    picture = torch.sin(1.2 * along + phase).unsqueeze(1)
    return picture + 0.4 * torch.randn_like(picture)


def corners(n):
    """(pictures whose halves have stripes, 1 where they meet at a right angle and 0 else)."""
    angle = torch.rand(n) * math.pi
    right = torch.arange(n) % 2
    left_half, right_half = wave(angle), wave(angle + right * math.pi / 2)
    return torch.cat([left_half[..., : SIZE // 2], right_half[..., SIZE // 2 :]], dim=-1), right


class Network(nn.Module):
    """A body that finds features and a head that tells ``classes`` apart."""

    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, pictures):
        return self.head(self.body(pictures))


def train(model, draw, options):
    """Train what of ``model`` is not frozen; returns the mean loss of the last steps."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(wanted, lr=3e-3)

    def step(pictures, labels):
        loss = F.cross_entropy(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)
    last = []
    for _ in range(options.steps):
        pictures, labels = draw()
        last.append(step(pictures.to(options.device), labels.to(options.device)).item())
    last = last[-20:]
    return sum(last) / len(last)


@torch.no_grad()
def accuracy(model, pictures, labels):
    """The part of the pictures that ``model`` names right."""
    device = model.head[0].weight.device
    right = model(pictures.to(device)).argmax(dim=1) == labels.to(device)
    return right.float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=250, help="steps of each training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    source = Network(SLOPES).to(device)
    loss = train(source, lambda: stripes(64), options)
    print(f"source task: loss {loss:.4f}, accuracy {accuracy(source, *stripes(500)):.2f}")

    few, many = corners(40), corners(500)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "source.pt"
        torch.save({"model": source.state_dict(), "slopes": SLOPES}, file)
        loaded = torch.load(file, map_location=device)["model"]
    body = {name: value for name, value in loaded.items() if name.startswith("body.")}
    transferred = Network(2).to(device)
    answer = transferred.load_state_dict(body, strict=False)
    print("not in the checkpoint:", ", ".join(answer.missing_keys))
    transferred.body.requires_grad_(False)

    scratch = Network(2).to(device)
    for name, model in (("transferred", transferred), ("from scratch", scratch)):
        loss = train(model, lambda: few, options)
        print(f"{name}: loss {loss:.4f}, accuracy {accuracy(model, *many):.2f}")


if __name__ == "__main__":
    main()
