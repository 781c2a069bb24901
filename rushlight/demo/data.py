"""The images that a run learns from and is tested on."""

import zlib
from dataclasses import dataclass

import rushlight as torch
from rushlight.datasets import digits, idx
from rushlight.demo.options import DemoError

__all__ = ["Data", "Part", "load"]


@dataclass(frozen=True)
class Part:
    """Images (N, 1, H, W) and their labels (N,)."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self):
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """A data set in its two parts."""

    name: str
    train: Part
    test: Part

    @property
    def size(self):
        """Height and width of every image."""
        return tuple(self.train.images.shape[2:])

    @property
    def classes(self):
        """How many labels there are: one more than the largest."""
        return 1 + max(int(part.labels.max()) for part in (self.train, self.test))

    @property
    def fingerprint(self):
        """A number that changes when any pixel or label does."""
        code = 0
        for part in (self.train, self.test):
            code = zlib.crc32(part.labels.numpy(), zlib.crc32(part.images.numpy(), code))
        return code


def load(folder):
    """The data set in a folder of IDX files, or the digits of the package for None.

    Raises:
        DemoError: The files are missing, damaged, or do not belong together.
    """
    if folder is None:
        return Data("digits", Part(*digits(train=True)), Part(*digits(train=False)))
    try:
        data = Data(folder, Part(*idx.mnist(folder, True)), Part(*idx.mnist(folder, False)))
    except (OSError, ValueError) as error:
        raise DemoError(f"--data {folder}: {error}") from error
    train, test = data.size, tuple(data.test.images.shape[2:])
    if train != test:
        raise DemoError(f"--data {folder}: training images are {train}, test images are {test}")
    return data
