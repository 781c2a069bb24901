"""CIFAR-10 and CIFAR-100."""

import os
import pickle
from pathlib import Path

import numpy as np
from numpy._core.multiarray import _reconstruct

from rushlight.vision.datasets.utils import absent, check_integrity, extract_archive
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import from_array

__all__ = ["CIFAR10", "CIFAR100"]


class _Arrays(pickle.Unpickler):
    """Reads a pickle of plain values and NumPy arrays. Any other class or function is refused."""

    ALLOWED = {
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    }

    def find_class(self, module, name):
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"CIFAR: the file names {module}.{name}") from None


def _read(path):
    with open(path, "rb") as file:
        return _Arrays(file, encoding="latin1").load()


class CIFAR10(VisionDataset):
    """Photographs of 10 kinds of things: 50,000 of 32×32 to train on, 10,000 to test.

    The files ``data_batch_1``, … must be in ``root/cifar-10-batches-py``. Each file is checked
    against its published MD5 sum.

    ``data`` is an array (N, 32, 32, 3) of bytes, and ``targets`` is a list. A sample is a Pillow
    image and an int.

    Args:
        download: Unpack the archive ``root/cifar-10-python.tar.gz``, if that exists; nothing is
            downloaded. Default: False.

    Raises:
        RuntimeError: a file is missing or differs from the published file.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html

    >>> from rushlight.vision.datasets import CIFAR10
    >>> CIFAR10.base_folder
    'cifar-10-batches-py'
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {
        "filename": "batches.meta", "key": "label_names",
        "md5": "5ff9c542aee3614f3951f8cda6e48888",
    }  # fmt: skip

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._is_whole():
            raise self._absent()
        entries = [
            _read(self._path(name)) for name, _ in (self.train_list if train else self.test_list)
        ]
        labels = "labels" if "labels" in entries[0] else "fine_labels"
        self.targets = [label for entry in entries for label in entry[labels]]
        data = np.vstack([entry["data"] for entry in entries])
        self.data = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.classes = _read(self._path(self.meta["filename"]))[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def _path(self, name):
        return os.path.join(self.root, self.base_folder, name)

    def _files(self):
        return [*self.train_list, *self.test_list, (self.meta["filename"], self.meta["md5"])]

    def _is_whole(self):
        return all(check_integrity(self._path(name), md5) for name, md5 in self._files())

    def _absent(self):
        files = [f"{name}  (MD5 {md5})" for name, md5 in self._files()]
        files.append(f"or, with download=True, {self.filename} beside that folder")
        folder = os.path.join(self.root, self.base_folder)
        return absent(type(self).__name__, folder, files, self.url)

    def download(self):
        """Unpack the archive, unless the files exist already.

        Raises:
            RuntimeError: the archive is missing too, or differs from the published archive.
        """
        archive = Path(self.root, self.filename)
        if self._is_whole():
            return
        if not check_integrity(archive, self.tgz_md5):
            raise self._absent()
        extract_archive(archive, self.root)

    def __getitem__(self, index):
        return self._transformed(from_array(self.data[index], "RGB"), self.targets[index])

    def __len__(self):
        return len(self.data)

    def extra_repr(self):
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """Photographs of 100 kinds of things, like those of ``CIFAR10``, in ``root/cifar-100-python``.

    Args:
        download: Unpack the archive ``root/cifar-100-python.tar.gz``, if that exists; nothing is
            downloaded. Default: False.

    Raises:
        RuntimeError: A file is missing or differs from the published file.

    >>> from rushlight.vision.datasets import CIFAR100
    >>> CIFAR100.base_folder
    'cifar-100-python'
    """

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {
        "filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48",
    }  # fmt: skip
