"""A multi-layer perceptron learns to tell two spirals apart.

The whole loop of supervised learning: data, batches, a model, a loss, an optimizer with a
schedule, and accuracy on points that were never trained on.
"""

import argparse
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def spirals(n, noise=0.05):
    """``n`` points on two interleaved spirals, and which spiral each belongs to."""
    labels = torch.arange(n) % 2
    turn = torch.rand(n).sqrt() * 3 * math.pi
    angle = turn + math.pi * labels
    points = torch.stack([turn * torch.cos(angle), turn * torch.sin(angle)], dim=1) / 10
    return points + noise * torch.randn(n, 2), labels


def accuracy(model, loader, device):
    """The part of the points whose likelier class is the right one."""
    model.eval()
    right = total = 0
    with torch.no_grad():
        for points, labels in loader:
            guesses = model(points.to(device)).argmax(dim=1)
            right += (guesses == labels.to(device)).sum().item()
            total += len(labels)
    model.train()
    return right / total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the points")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    data = TensorDataset(*spirals(1200))
    training, test = random_split(data, [1000, 200])
    batches = DataLoader(training, batch_size=50, shuffle=True)

    model = nn.Sequential(
        nn.Linear(2, 64), nn.Tanh(),
        nn.Linear(64, 64), nn.Tanh(),
        nn.Linear(64, 2),
    ).to(device)  # fmt: skip
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options.epochs)

    def step(points, labels):
        loss = loss_of(model(points), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for epoch in range(options.epochs):
        total = 0.0
        for points, labels in batches:
            loss = step(points.to(device), labels.to(device))
            total += loss.item() * len(labels)
        schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / len(training):.4f}")
    found = accuracy(model, DataLoader(test, batch_size=200), device)
    print(f"accuracy on new points: {found:.3f}")


if __name__ == "__main__":
    main()
