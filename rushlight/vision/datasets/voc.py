"""Pascal VOC: images with objects or with the class of each pixel."""

import os
from xml.etree import ElementTree

from rushlight.vision.datasets.folder import pil_loader
from rushlight.vision.datasets.utils import (
    absent,
    download_and_extract_archive,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import pillow

__all__ = ["VOCDetection", "VOCSegmentation"]

_URL = "https://thor.robots.ox.ac.uk/pascal/VOC/"
_ARCHIVES = {
    "2012": ("voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd"),
    "2011": ("voc2011/VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e"),
    "2010": ("voc2010/VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb"),
    "2009": ("voc2009/VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1"),
    "2008": ("voc2008/VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a"),
    "2007": ("voc2007/VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64"),
    "2007-test": ("voc2007/VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
}


class _VOC(VisionDataset):
    _SPLITS_DIR = _TARGET_DIR = _TARGET_FILE_EXT = ""

    def __init__(
        self, root, year="2012", image_set="train", download=False, transform=None,
        target_transform=None, transforms=None,
    ):  # fmt: skip
        super().__init__(root, transforms, transform, target_transform)
        self.year = verify_str_arg(year, "year", [str(n) for n in range(2007, 2013)])
        sets = ["train", "trainval", "val", *["test"] * (year == "2007")]
        self.image_set = verify_str_arg(image_set, "image_set", sets)
        path, self.md5 = _ARCHIVES["2007-test" if image_set == "test" else year]
        self.url, self.filename = _URL + path, path.rpartition("/")[2]
        parts = ["TrainVal"] * (year == "2011") + ["VOCdevkit", f"VOC{year}"]
        folder = os.path.join(self.root, *parts)
        names = os.path.join("ImageSets", self._SPLITS_DIR, f"{image_set}.txt")
        if download and not os.path.isfile(os.path.join(folder, names)):
            download_and_extract_archive(self.url, self.root, self.filename, md5=self.md5)
        if not os.path.isfile(os.path.join(folder, names)):
            files = [names, "JPEGImages/*.jpg", f"{self._TARGET_DIR}/*{self._TARGET_FILE_EXT}"]
            files.append(f"or, with download=True, {self.filename} in {self.root}")
            raise absent(type(self).__name__, folder, files, self.url)
        with open(os.path.join(folder, names)) as file:
            listed = [line.strip() for line in file]
        self.images = [os.path.join(folder, "JPEGImages", f"{name}.jpg") for name in listed]
        self.targets = [
            os.path.join(folder, self._TARGET_DIR, name + self._TARGET_FILE_EXT) for name in listed
        ]

    def __len__(self):
        return len(self.images)


class VOCSegmentation(_VOC):
    """Photographs and the class of each of their pixels, in ``root/VOCdevkit/VOC2012``.

    That folder holds ``ImageSets/Segmentation/train.txt``, …, ``JPEGImages`` and
    ``SegmentationClass``. A sample is two Pillow images; the second one has a palette, whose
    indices are the classes, 0 for the background and 255 for borders.

    Args:
        year: ``"2007"`` to ``"2012"``. Default: ``"2012"``.
        image_set: ``"train"`` (default), ``"val"``, ``"trainval"`` or, of 2007, ``"test"``.
        download: Unpack the archive in ``root``, if that exists; nothing is downloaded. Default:
            False.
        transforms: Function of an image and a target that returns both. Default: None.

    Raises:
        RuntimeError: The folder is missing.
        ValueError: There is no such year or image set.

    Source: Everingham et al. 2010, http://host.robots.ox.ac.uk/pascal/VOC/

    >>> from rushlight.vision.datasets import VOCSegmentation
    >>> VOCSegmentation("none", image_set="test")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Unknown value 'test' for argument image_set. Valid values are {...}.
    """

    _SPLITS_DIR = "Segmentation"
    _TARGET_DIR = "SegmentationClass"
    _TARGET_FILE_EXT = ".png"

    @property
    def masks(self):
        """The paths of the second images."""
        return self.targets

    def __getitem__(self, index):
        with pillow().open(self.targets[index]) as target:
            target.load()
        return self._transformed_together(pil_loader(self.images[index]), target)


class VOCDetection(_VOC):
    """Photographs and their objects, in ``root/VOCdevkit/VOC2012``.

    That folder holds ``ImageSets/Main/train.txt``, …, ``JPEGImages`` and ``Annotations``. A sample
    is a Pillow image and the contents of its XML file as nested dicts of strings.

    Args:
        year: ``"2007"`` to ``"2012"``. Default: ``"2012"``.
        image_set: ``"train"`` (default), ``"val"``, ``"trainval"`` or, of 2007, ``"test"``.
        download: Unpack the archive in ``root``, if that exists; nothing is downloaded. Default:
            False.
        transforms: Function of an image and a target that returns both. Default: None.

    Raises:
        RuntimeError: The folder is missing.
        ValueError: There is no such year or image set.

    Source: Everingham et al. 2010, http://host.robots.ox.ac.uk/pascal/VOC/

    >>> from xml.etree import ElementTree
    >>> from rushlight.vision.datasets import VOCDetection
    >>> text = "<annotation><object><name>cat</name></object></annotation>"
    >>> VOCDetection.parse_voc_xml(ElementTree.fromstring(text))
    {'annotation': {'object': [{'name': 'cat'}]}}
    """

    _SPLITS_DIR = "Main"
    _TARGET_DIR = "Annotations"
    _TARGET_FILE_EXT = ".xml"

    @property
    def annotations(self):
        """The paths of the XML files."""
        return self.targets

    def __getitem__(self, index):
        target = self.parse_voc_xml(ElementTree.parse(self.targets[index]).getroot())
        return self._transformed_together(pil_loader(self.images[index]), target)

    @staticmethod
    def parse_voc_xml(node):
        """Return an element as a dict of its name and contents.

        Args:
            node: Element of ``xml.etree``.

        Returns:
            Dict. Children of one name become a list, and objects always do.
        """
        children: dict = {}
        for child in node:
            for key, value in VOCDetection.parse_voc_xml(child).items():
                children.setdefault(key, []).append(value)
        if not children:
            return {node.tag: node.text.strip()} if node.text else {}
        single = {key: v[0] if len(v) == 1 else v for key, v in children.items()}
        if node.tag == "annotation":
            single["object"] = children.get("object", [])
        return {node.tag: single}
