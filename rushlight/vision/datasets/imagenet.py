"""ImageNet (ILSVRC 2012)."""

import os
import shutil
import tempfile

import rushlight as torch
from rushlight.vision.datasets.folder import ImageFolder
from rushlight.vision.datasets.utils import (
    absent,
    check_integrity,
    extract_archive,
    verify_str_arg,
)

__all__ = ["ImageNet"]

_URL = "https://image-net.org"


class ImageNet(ImageFolder):
    """Photographs of 1,000 kinds of things, in ``root/train`` and ``root/val``.

    Each folder holds a folder for each class, such as ``n01440764``; ``root/meta.bin`` has the
    names of the classes. Where these are missing, they are made from the published archives in
    ``root``. A sample is a Pillow image and an int; ``classes`` holds a tuple of names for each.

    Args:
        split: ``"train"`` (default) or ``"val"``.
        **options: As for ``ImageFolder``.

    Raises:
        RuntimeError: A folder is missing, and so is its archive.
        ValueError: There is no such split.

    Source: Russakovsky et al. 2015, https://arxiv.org/abs/1409.0575

    >>> from rushlight.vision.datasets import ImageNet
    >>> ImageNet.archives["devkit"][0]
    'ILSVRC2012_devkit_t12.tar.gz'
    """

    archives = {
        "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
        "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
        "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
    }

    def __init__(self, root, split="train", **options):
        root = self.root = os.path.expanduser(root)
        self.split = verify_str_arg(split, "split", ("train", "val"))
        meta = os.path.join(root, "meta.bin")
        if not os.path.isfile(meta):
            self._write_meta(meta)
        names, order = torch.load(meta, weights_only=True)
        if not os.path.isdir(self.split_folder):
            self._unpack_training() if split == "train" else self._unpack_validation(order)
        super().__init__(self.split_folder, **options)
        self.root = root
        self.wnids, self.wnid_to_idx = self.classes, self.class_to_idx
        self.classes = [names[number] for number in self.wnids]
        self.class_to_idx = {name: i for i, own in enumerate(self.classes) for name in own}

    @property
    def split_folder(self):
        """The folder of the split's classes."""
        return os.path.join(self.root, self.split)

    def _archive(self, key, wanted):
        """The path of an archive.

        Raises:
            RuntimeError: it is missing, or differs from the published one.
        """
        name, md5 = self.archives[key]
        path = os.path.join(self.root, name)
        if not check_integrity(path, md5):
            raise absent("ImageNet", self.root, [wanted, f"or {name}  (MD5 {md5})"], _URL)
        return path

    def _write_meta(self, path):
        """Save the names of the classes, and the class of each validation image."""
        from scipy.io import loadmat

        archive = self._archive("devkit", "meta.bin")
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(extract_archive(archive, folder), "ILSVRC2012_devkit_t12", "data")
            entries = loadmat(os.path.join(data, "meta.mat"), squeeze_me=True)["synsets"]
            with open(os.path.join(data, "ILSVRC2012_validation_ground_truth.txt")) as file:
                order = [int(line) for line in file]
        # An entry is its number, its WordNet number, its names, a text and its number of children;
        # the classes are the entries without children.
        leaves = [tuple(entry) for entry in entries if entry[4] == 0]
        numbers = {int(entry[0]): str(entry[1]) for entry in leaves}
        names = {str(entry[1]): tuple(str(entry[2]).split(", ")) for entry in leaves}
        torch.save((names, [numbers[i] for i in order]), path)

    def _unpack_training(self):
        folder = self.split_folder
        extract_archive(self._archive("train", "train/{class}/*.JPEG"), folder)
        for name in sorted(os.listdir(folder)):  # an archive for each class
            path = os.path.join(folder, name)
            extract_archive(path, os.path.splitext(path)[0], remove_finished=True)

    def _unpack_validation(self, order):
        folder = self.split_folder
        extract_archive(self._archive("val", "val/{class}/*.JPEG"), folder)
        for number, name in zip(order, sorted(os.listdir(folder)), strict=False):
            own = os.path.join(folder, number)
            os.makedirs(own, exist_ok=True)
            shutil.move(os.path.join(folder, name), os.path.join(own, name))

    def extra_repr(self):
        return f"Split: {self.split}"
