"""STL-10."""

import os

import numpy as np

from rushlight.vision.datasets.arrays import ArrayDataset
from rushlight.vision.datasets.utils import (
    absent,
    check_integrity,
    extract_archive,
    verify_str_arg,
)

__all__ = ["STL10"]


class STL10(ArrayDataset):
    """Photographs of 10 kinds of things, 96×96, of which most have no label.

    The files ``train_X.bin``, … must be in ``root/stl10_binary``. Each file is checked against its
    published MD5 sum. ``data`` is an array (N, 3, 96, 96) of bytes, and ``labels`` an array (N,),
    -1 where there is none. A sample is a Pillow image and an int.

    Args:
        split: ``"train"`` (default), ``"test"``, ``"unlabeled"`` or ``"train+unlabeled"``.
        folds: Which of the ten published choices of 1,000 training images, 0 to 9. Default: all
            training images.
        download: Unpack the archive ``root/stl10_binary.tar.gz``, if that exists; nothing is
            downloaded. Default: False.

    Raises:
        RuntimeError: A file is missing or differs from the published file.
        ValueError: There is no such split or fold.

    Source: Coates et al. 2011, https://cs.stanford.edu/~acoates/stl10/

    >>> from rushlight.vision.datasets import STL10
    >>> STL10.splits
    ('train', 'train+unlabeled', 'unlabeled', 'test')
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list = [
        ["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"],
        ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"],
    ]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self, root, split="train", folds=None, transform=None, target_transform=None,
        download=False,
    ):  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        if folds is not None and folds not in range(10):
            raise ValueError(f"STL10: folds must be None or an int from 0 to 9, got {folds}")
        self.folds = folds
        self._check(download)
        read = {"unlabeled": self._unlabeled, "test": lambda: self._labelled("test")}
        self.data, self.labels = read.get(split, self._training)()
        if split == "train+unlabeled":
            data, labels = self._unlabeled()
            self.data = np.concatenate([self.data, data])
            self.labels = np.concatenate([self.labels, labels])
        names = self._path(self.class_names_file)
        if os.path.isfile(names):
            with open(names) as file:
                self.classes = file.read().splitlines()

    def _path(self, *names):
        return os.path.join(self.root, self.base_folder, *names)

    def _check(self, unpack):
        files = self.train_list + self.test_list
        whole = lambda: all(check_integrity(self._path(name), md5) for name, md5 in files)
        archive = os.path.join(self.root, self.filename)
        if unpack and not whole() and check_integrity(archive, self.tgz_md5):
            extract_archive(archive, self.root)
        if not whole():
            listed = [f"{name}  (MD5 {md5})" for name, md5 in files]
            listed.append(f"or, with download=True, {self.filename} beside that folder")
            raise absent("STL10", self._path(), listed, self.url)

    def _images(self, part):
        data = np.fromfile(self._path(f"{part}_X.bin"), np.uint8)
        return data.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)  # the file goes by columns

    def _labelled(self, part):
        return self._images(part), np.fromfile(self._path(f"{part}_y.bin"), np.uint8) - 1

    def _unlabeled(self):
        data = self._images("unlabeled")
        return data, np.full(len(data), -1)

    def _training(self):
        data, labels = self._labelled("train")
        if self.folds is None:
            return data, labels
        with open(self._path(self.folds_list_file)) as file:
            chosen = np.array(file.read().splitlines()[self.folds].split(), np.int64)
        return data[chosen], labels[chosen]
