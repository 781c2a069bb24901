"""CelebA: photographs of faces."""

import csv
import os

import rushlight as torch
from rushlight.vision.datasets.utils import (
    absent,
    check_integrity,
    extract_archive,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import pillow

__all__ = ["CelebA"]

_URL = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


class CelebA(VisionDataset):
    """202,599 photographs of faces, with attributes, identities, boxes and landmarks.

    The folder ``root/celeba`` holds the published text files, each checked against its MD5 sum, and
    the folder ``img_align_celeba``. ``attr`` is a tensor (N, 40) of 0 and 1, whose columns
    ``attr_names`` names. A sample is a Pillow image and a row of each target type.

    Args:
        split: ``"train"`` (default), ``"valid"``, ``"test"`` or ``"all"``.
        target_type: ``"attr"`` (default), ``"identity"``, ``"bbox"`` or ``"landmarks"``, or a list
            of these; an empty list gives None as the target.
        download: Unpack ``img_align_celeba.zip`` in that folder, if it exists; nothing is
            downloaded. Default: False.

    Raises:
        RuntimeError: A file is missing or differs from the published file.
        ValueError: There is no such split or target type.

    Source: Liu et al. 2015, https://arxiv.org/abs/1411.7766

    >>> from rushlight.vision.datasets import CelebA
    >>> CelebA.base_folder
    'celeba'
    """

    base_folder = "celeba"
    archive = ("img_align_celeba.zip", "00d2c5bc6d35e252742224ab0c1e8fcb")
    tables = {
        "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
        "identity_CelebA.txt": "32bd1bd63d3c78cd57e08160ec5ed1e2",
        "list_bbox_celeba.txt": "00566efa6fedff7a56946cd1c10f1c16",
        "list_landmarks_align_celeba.txt": "cc24ecafdb5b50baae59b03474781f8c",
        "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
    }

    def __init__(
        self, root, split="train", target_type="attr", transform=None, target_transform=None,
        download=False,
    ):  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        part = verify_str_arg(
            split.lower() if isinstance(split, str) else split, "split",
            ("train", "valid", "test", "all"),
        )  # fmt: skip
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        if not self.target_type and target_transform is not None:
            raise RuntimeError("CelebA: target_transform is given, but target_type is empty")
        self._check(download)
        names, parts, _ = self._table("list_eval_partition.txt")
        chosen = slice(None)
        if part != "all":
            chosen = (parts[:, 0] == ("train", "valid", "test").index(part)).nonzero()[:, 0]
            names = [names[i] for i in chosen.tolist()]
        self.filename = names
        self.identity = self._table("identity_CelebA.txt")[1][chosen]
        self.bbox = self._table("list_bbox_celeba.txt", 1)[1][chosen]
        self.landmarks_align = self._table("list_landmarks_align_celeba.txt", 1)[1][chosen]
        _, attributes, self.attr_names = self._table("list_attr_celeba.txt", 1)
        self.attr = (attributes[chosen] + 1) // 2

    def _path(self, *names):
        return os.path.join(self.root, self.base_folder, *names)

    def _check(self, unpack):
        images, (name, md5) = self._path("img_align_celeba"), self.archive
        if unpack and not os.path.isdir(images) and check_integrity(self._path(name), md5):
            extract_archive(self._path(name))
        whole = all(check_integrity(self._path(name), md5) for name, md5 in self.tables.items())
        if not (whole and os.path.isdir(images)):
            files = [f"{table}  (MD5 {own})" for table, own in self.tables.items()]
            files += ["img_align_celeba/000001.jpg, …", f"or, with download=True, {name}"]
            raise absent("CelebA", self._path(), files, _URL)

    def _table(self, name, header=None):
        """The first column, the numbers of the others, and their names in the line ``header``."""
        with open(self._path(name)) as file:
            lines = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
        names = [] if header is None else lines[header]
        rows = lines if header is None else lines[header + 1 :]
        return [r[0] for r in rows], torch.tensor([[int(n) for n in r[1:]] for r in rows]), names

    def _target(self, kind, index):
        if kind == "identity":
            return self.identity[index, 0]
        found = {"attr": self.attr, "bbox": self.bbox, "landmarks": self.landmarks_align}
        if kind not in found:
            raise ValueError(f'CelebA: Target type "{kind}" is not recognized.')
        return found[kind][index]

    def __getitem__(self, index):
        image = pillow().open(self._path("img_align_celeba", self.filename[index]))
        targets = tuple(self._target(kind, index) for kind in self.target_type)
        return self._transformed(image, targets[0] if len(targets) == 1 else targets or None)

    def __len__(self):
        return len(self.attr)

    def extra_repr(self):
        return f"Target type: {self.target_type}\nSplit: {self.split}"
