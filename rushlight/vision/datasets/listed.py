"""Images that a file of names lists: Food101, Flowers102 and DTD."""

import json
from collections.abc import Callable
from pathlib import Path

from rushlight.vision.datasets.folder import default_loader
from rushlight.vision.datasets.utils import (
    absent,
    check_integrity,
    download_and_extract_archive,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset

__all__ = ["DTD", "Flowers102", "Food101"]


class _Listed(VisionDataset):
    """Images of ``self._image_files``, whose classes are ``self._labels``."""

    _image_files: list[Path]
    _labels: list[int]
    _split: str
    loader: Callable

    def __getitem__(self, index):
        return self._transformed(self.loader(self._image_files[index]), self._labels[index])

    def __len__(self):
        return len(self._image_files)

    def extra_repr(self):
        return f"split={self._split}"


def _numbered(classes):
    return {name: i for i, name in enumerate(classes)}


class Food101(_Listed):
    """Photographs of 101 dishes, in ``root/food-101``.

    That folder holds ``meta/train.json``, ``meta/test.json`` and ``images/{class}/{name}.jpg``. A
    sample is a Pillow image and an int.

    Args:
        split: ``"train"`` (default) or ``"test"``.
        download: Unpack ``root/food-101.tar.gz``, if that exists; nothing is downloaded. Default:
            False.
        loader: Function of a path that returns an image. Default: read an RGB image with Pillow.

    Raises:
        RuntimeError: The folder is missing.
        ValueError: There is no such split.

    Source: Bossard et al. 2014, https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/

    >>> from rushlight.vision.datasets import Food101
    >>> Food101("none")
    Traceback (most recent call last):
        ...
    RuntimeError: Food101: Dataset not found or corrupted, and rushlight downloads nothing. Put into
        none/food-101
    these files, from http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz:
        meta/train.json
        images/{class}/{name}.jpg
        or, with download=True, food-101.tar.gz beside that folder
    """

    _URL = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
    _MD5 = "85eeb15f3717b99a5da872d97d918f87"

    def __init__(
        self, root, split="train", transform=None, target_transform=None, download=False,
        loader=default_loader,
    ):  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        folder = Path(self.root, "food-101")
        names, images = folder / "meta" / f"{split}.json", folder / "images"
        if download and not images.is_dir():
            download_and_extract_archive(self._URL, str(self.root), md5=self._MD5)
        if not (names.is_file() and images.is_dir()):
            files = [
                f"meta/{split}.json", "images/{class}/{name}.jpg",
                "or, with download=True, food-101.tar.gz beside that folder",
            ]  # fmt: skip
            raise absent("Food101", folder, files, self._URL)
        listed = json.loads(names.read_text())
        self.classes = sorted(listed)
        self.class_to_idx = _numbered(self.classes)
        self._labels = [self.class_to_idx[name] for name in listed for _ in listed[name]]
        self._image_files = [images / f"{path}.jpg" for paths in listed.values() for path in paths]
        self.loader = loader


class Flowers102(_Listed):
    """Photographs of 102 kinds of flowers, in ``root/flowers-102``.

    That folder holds ``jpg/image_00001.jpg``, …, ``imagelabels.mat`` and ``setid.mat``. A sample is
    a Pillow image and an int.

    Args:
        split: ``"train"`` (default), ``"val"`` or ``"test"``.
        download: Unpack ``102flowers.tgz`` in that folder, if it exists; nothing is downloaded.
            Default: False.
        loader: Function of a path that returns an image. Default: read an RGB image with Pillow.

    Raises:
        RuntimeError: A file is missing or differs from the published file.
        ValueError: There is no such split.

    Source: Nilsback and Zisserman 2008, https://www.robots.ox.ac.uk/~vgg/data/flowers/102/

    >>> from rushlight.vision.datasets import Flowers102
    >>> Flowers102.classes[:2]
    ['pink primrose', 'hard-leaved pocket orchid']
    """

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    _file_dict = {
        "image": ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
        "label": ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
        "setid": ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
    }
    _splits_map = {"train": "trnid", "val": "valid", "test": "tstid"}
    classes = Path(__file__).with_name("flowers102.txt").read_text().splitlines()

    def __init__(
        self, root, split="train", transform=None, target_transform=None, download=False,
        loader=default_loader,
    ):  # fmt: skip
        from scipy.io import loadmat

        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", tuple(self._splits_map))
        folder = Path(self.root, "flowers-102")
        images = folder / "jpg"
        if download and not images.is_dir():
            name, md5 = self._file_dict["image"]
            download_and_extract_archive(self._URL + name, str(folder), md5=md5)
        tables = [self._file_dict[key] for key in ("label", "setid")]
        whole = all(check_integrity(folder / name, md5) for name, md5 in tables)
        if not (whole and images.is_dir()):
            files = ["jpg/image_00001.jpg, …", *[f"{name}  (MD5 {md5})" for name, md5 in tables]]
            files.append("or, with download=True, 102flowers.tgz in place of the images")
            raise absent("Flowers102", folder, files, self._URL)
        labels, parts = [loadmat(folder / name, squeeze_me=True) for name, _ in tables]
        chosen = parts[self._splits_map[split]].tolist()
        self._labels = [int(labels["labels"][i - 1]) - 1 for i in chosen]
        self._image_files = [images / f"image_{i:05d}.jpg" for i in chosen]
        self.class_to_idx = _numbered(self.classes)
        self.loader = loader


class DTD(_Listed):
    """Photographs of 47 kinds of textures, in ``root/dtd/dtd``.

    That folder holds ``labels/train1.txt``, … and ``images/{class}/{name}.jpg``. A sample is a
    Pillow image and an int.

    Args:
        split: ``"train"`` (default), ``"val"`` or ``"test"``.
        partition: Which of the ten divisions into splits, 1 to 10. Default: 1.
        download: Unpack ``root/dtd/dtd-r1.0.1.tar.gz``, if that exists; nothing is downloaded.
            Default: False.
        loader: Function of a path that returns an image. Default: read an RGB image with Pillow.

    Raises:
        RuntimeError: The folder is missing.
        ValueError: There is no such split or partition.

    Source: Cimpoi et al. 2014, https://www.robots.ox.ac.uk/~vgg/data/dtd/

    >>> from rushlight.vision.datasets import DTD
    >>> DTD("none", split="all")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Unknown value 'all' for argument split. Valid values are {...}.
    """

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    _MD5 = "fff73e5086ae6bdbea199a49dfb8a4c1"

    def __init__(
        self, root, split="train", partition=1, transform=None, target_transform=None,
        download=False, loader=default_loader,
    ):  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        if partition not in range(1, 11):
            raise ValueError(f"DTD: partition must be an int from 1 to 10, got {partition}")
        self._partition = partition
        folder = Path(self.root, "dtd", "dtd")
        names = folder / "labels" / f"{split}{partition}.txt"
        if download and not folder.is_dir():
            download_and_extract_archive(self._URL, str(folder.parent), md5=self._MD5)
        if not names.is_file():
            files = [f"labels/{names.name}", "images/{class}/{name}.jpg"]
            files.append("or, with download=True, dtd-r1.0.1.tar.gz beside that folder")
            raise absent("DTD", folder, files, self._URL)
        listed = [line.strip().split("/") for line in names.read_text().splitlines()]
        self.classes = sorted({name for name, _ in listed})
        self.class_to_idx = _numbered(self.classes)
        self._labels = [self.class_to_idx[name] for name, _ in listed]
        self._image_files = [folder / "images" / name / file for name, file in listed]
        self.loader = loader

    def extra_repr(self):
        return f"split={self._split}, partition={self._partition}"
