"""Data sets of images, read from local files in torchvision's layout."""

from rushlight.docstrings import document
from rushlight.vision.datasets.caltech import Caltech101, Caltech256
from rushlight.vision.datasets.celeba import CelebA
from rushlight.vision.datasets.cifar import CIFAR10, CIFAR100
from rushlight.vision.datasets.coco import CocoCaptions, CocoDetection
from rushlight.vision.datasets.fakedata import FakeData
from rushlight.vision.datasets.folder import DatasetFolder, ImageFolder
from rushlight.vision.datasets.imagenet import ImageNet
from rushlight.vision.datasets.listed import DTD, Flowers102, Food101
from rushlight.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from rushlight.vision.datasets.oxford_iiit_pet import OxfordIIITPet
from rushlight.vision.datasets.stl10 import STL10
from rushlight.vision.datasets.svhn import SVHN
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.datasets.voc import VOCDetection, VOCSegmentation

__all__ = [
    "CIFAR10", "CIFAR100", "DTD", "EMNIST", "KMNIST", "MNIST", "QMNIST", "STL10", "SVHN",
    "Caltech101", "Caltech256", "CelebA", "CocoCaptions", "CocoDetection", "DatasetFolder",
    "FakeData", "FashionMNIST", "Flowers102", "Food101", "ImageFolder", "ImageNet",
    "OxfordIIITPet", "VOCDetection", "VOCSegmentation", "VisionDataset",
]  # fmt: skip

for _name in __all__:
    document(globals()[_name], "image data")
