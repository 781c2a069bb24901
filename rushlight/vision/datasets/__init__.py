"""Data sets of images, read from local files in torchvision's layout."""

from rushlight.docstrings import document
from rushlight.vision.datasets.cifar import CIFAR10, CIFAR100
from rushlight.vision.datasets.fakedata import FakeData
from rushlight.vision.datasets.folder import DatasetFolder, ImageFolder
from rushlight.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from rushlight.vision.datasets.vision import VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "QMNIST", "DatasetFolder", "FakeData",
    "FashionMNIST", "ImageFolder", "VisionDataset",
]  # fmt: skip

for _name in __all__:
    document(globals()[_name], "image data")
