"""The handwritten digits that are shipped in the package."""

from importlib.resources import files

import numpy as np

import rushlight as torch

__all__ = ["digits"]


def digits(train=True):
    """Load small handwritten digits: 1,437 images for training, or the 360 others for testing.

    Args:
        train: Load the images for training; False: those for testing. Default: True.

    Returns:
        Tuple of the images, a float32 tensor ``(N, 1, 8, 8)`` from 0 (paper) to 1 (ink), and their
        labels, an int64 tensor ``(N)``.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49 (CC BY 4.0).

    >>> from rushlight.datasets import digits
    >>> images, labels = digits(train=False)
    >>> images.shape, labels.bincount().tolist()
    (torch.Size([360, 1, 8, 8]), [36, 36, 36, 36, 36, 36, 36, 36, 36, 36])
    """
    with files("rushlight.datasets").joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        images, labels, test = arrays["images"], arrays["labels"], arrays["test"]
    chosen = ~test if train else test
    images = images[chosen, None].astype(np.float32) / 16
    return torch.from_numpy(images), torch.from_numpy(labels[chosen].astype(np.int64))
