"""A convolutional network learns to name shapes, from few pictures and their augmentations.

Pictures of filled circles, squares, triangles and crosses are drawn by formula. The data set
shows each of them a little different every time: flipped, moved, and noisy.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIZE = 20
NAMES = ["circle", "square", "triangle", "cross"]


def draw(kind, size, x, y):
    """A picture (1, SIZE, SIZE) of one shape."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    down, right = rows - y, columns - x
    if kind == 0:
        inside = down**2 + right**2 <= size**2
    elif kind == 1:
        inside = (down.abs() <= size) & (right.abs() <= size)
    elif kind == 2:
        inside = (down.abs() <= size) & (2 * right.abs() <= down + size)
    else:
        inside = (down.abs() <= size) & (right.abs() <= 1)
        inside |= (right.abs() <= size) & (down.abs() <= 1)
    return inside.float().unsqueeze(0)


class Shapes(Dataset):
    """``n`` pictures of random shapes, augmented when they are read if ``augment``."""

    def __init__(self, n, augment):
        self.labels = torch.randint(len(NAMES), (n,))
        sizes = torch.randint(3, 7, (n,)).tolist()
        places = torch.randint(7, SIZE - 7, (n, 2)).tolist()
        self.pictures = [
            draw(label, size, x, y)
            for label, size, (x, y) in zip(self.labels.tolist(), sizes, places, strict=True)
        ]
        self.augment = augment

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        picture = self.pictures[i]
        if self.augment:
            if torch.rand(()) < 0.5:
                picture = picture.flip(-1)
            top, left = torch.randint(5, (2,)).tolist()
            picture = F.pad(picture, (2, 2, 2, 2))[:, top : top + SIZE, left : left + SIZE]
        return picture + 0.2 * torch.randn_like(picture), self.labels[i]


class Network(nn.Module):
    """Two convolutions with pooling, then a linear layer over the means of the channels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Linear(32 * 5 * 5, len(NAMES))
        self.dropout = nn.Dropout(0.25)

    def forward(self, pictures):
        found = self.features(pictures).flatten(1)
        return self.head(self.dropout(found))


def evaluate(model, loader, device):
    """(accuracy, a confusion matrix) on the pictures of ``loader``."""
    confusion = torch.zeros(len(NAMES), len(NAMES), dtype=torch.long)
    model.eval()
    with torch.no_grad():
        for pictures, labels in loader:
            guesses = model(pictures.to(device)).argmax(dim=1)
            for label, guess in zip(labels.tolist(), guesses.tolist(), strict=True):
                confusion[label, guess] += 1
    return (confusion.diagonal().sum() / confusion.sum()).item(), confusion


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the pictures")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    batches = DataLoader(Shapes(1000, augment=True), batch_size=40, shuffle=True)
    test = DataLoader(Shapes(200, augment=False), batch_size=100)
    model = Network().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, nesterov=True)

    def step(pictures, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(pictures), labels)
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for epoch in range(options.epochs):
        model.train()
        total = 0.0
        for pictures, labels in batches:
            total += step(pictures.to(device), labels.to(device)).item()
        print(f"epoch {epoch + 1}: loss {total / len(batches):.4f}")

    accuracy, confusion = evaluate(model, test, device)
    print(f"accuracy on new pictures: {accuracy:.2f}")
    for name, row in zip(NAMES, confusion.tolist(), strict=True):
        print(f"{name:>9} was taken for", *[f"{n:3d} {NAMES[i]}" for i, n in enumerate(row)])


if __name__ == "__main__":
    main()
