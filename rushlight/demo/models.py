"""The networks that the demo can train."""

from rushlight import nn
from rushlight.demo.options import DemoError

__all__ = ["MODELS", "build"]

CNN_SMALLEST = 4  # pixels: each of two poolings halves the image


def mlp(size, classes):
    """A multi-layer perceptron: (N, 1, H, W) → (N, classes)."""
    height, width = size
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(height * width, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, classes),
    )


def cnn(size, classes):
    """A convolutional network: (N, 1, H, W) → (N, classes)."""
    height, width = size
    if min(size) < CNN_SMALLEST:
        raise DemoError(
            f"--model cnn: it needs images of at least {CNN_SMALLEST} x {CNN_SMALLEST}; "
            f"these are {height} x {width}"
        )
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * (height // 4) * (width // 4), classes),
    )


MODELS = {"mlp": mlp, "cnn": cnn}


def build(name, size, classes):
    """A new network, its weights drawn from the global random generator."""
    return MODELS[name](size, classes)
