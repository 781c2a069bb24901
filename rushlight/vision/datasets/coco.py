"""Images with objects and captions in the format of COCO."""

import json
import os
from collections import defaultdict

from rushlight.vision.datasets.folder import pil_loader
from rushlight.vision.datasets.vision import VisionDataset

__all__ = ["CocoCaptions", "CocoDetection"]


def _listed(ids):
    return list(ids) if isinstance(ids, (list, tuple)) else [ids]


class _Annotations:
    """The contents of an annotation file, under the names of ``pycocotools.coco.COCO``."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.dataset = json.load(file)
        self.imgs, self.anns, self.cats = [
            {entry["id"]: entry for entry in self.dataset.get(key, [])}
            for key in ("images", "annotations", "categories")
        ]
        self.imgToAnns = defaultdict(list)
        for entry in self.dataset.get("annotations", []):
            self.imgToAnns[entry["image_id"]].append(entry)

    def getImgIds(self):
        return list(self.imgs)

    def getCatIds(self):
        return list(self.cats)

    def getAnnIds(self, imgIds=()):
        chosen = _listed(imgIds) or self.imgToAnns
        return [entry["id"] for i in chosen for entry in self.imgToAnns.get(i, [])]

    def loadImgs(self, ids):
        return [self.imgs[i] for i in _listed(ids)]

    def loadCats(self, ids):
        return [self.cats[i] for i in _listed(ids)]

    def loadAnns(self, ids):
        return [self.anns[i] for i in _listed(ids)]


class CocoDetection(VisionDataset):
    """Images in ``root``, with the objects that a file of annotations lists.

    A sample is a Pillow image and the list of the image's annotations, which are dicts. ``coco``
    holds the file's contents, under the most used names of pycocotools.

    Args:
        annFile: Path of the JSON file, such as ``instances_train2017.json``.
        transforms: Function of an image and a target that returns both. Default: None.

    Raises:
        FileNotFoundError: The file of annotations is missing.

    Source: Lin et al. 2014, https://cocodataset.org/#format-data

    >>> import json, pathlib, tempfile
    >>> from PIL import Image
    >>> from rushlight.vision.datasets import CocoDetection
    >>> boxes = {"images": [{"id": 7, "file_name": "a.png"}],
    ...          "annotations": [{"id": 1, "image_id": 7, "bbox": [0, 0, 2, 2]}]}
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Image.new("RGB", (4, 4)).save(pathlib.Path(root, "a.png"))
    ...     _ = pathlib.Path(root, "boxes.json").write_text(json.dumps(boxes))
    ...     CocoDetection(root, pathlib.Path(root, "boxes.json"))[0][1]
    [{'id': 1, 'image_id': 7, 'bbox': [0, 0, 2, 2]}]
    """

    def __init__(self, root, annFile, transform=None, target_transform=None, transforms=None):
        super().__init__(root, transforms, transform, target_transform)
        self.coco = _Annotations(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id):
        return pil_loader(os.path.join(self.root, self.coco.imgs[id]["file_name"]))

    def _load_target(self, id):
        return list(self.coco.imgToAnns.get(id, []))

    def __getitem__(self, index):
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        number = self.ids[index]
        return self._transformed_together(self._load_image(number), self._load_target(number))

    def __len__(self):
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """Images in ``root`` with captions, as in ``CocoDetection``; the target is a list of strings.

    Args:
        annFile: Path of the JSON file, such as ``captions_train2017.json``.
        transforms: Function of an image and a target that returns both. Default: None.

    Raises:
        FileNotFoundError: The file of annotations is missing.

    >>> from rushlight.vision.datasets import CocoCaptions
    >>> CocoCaptions("images", "none.json")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'none.json'
    """

    def _load_target(self, id):
        return [entry["caption"] for entry in super()._load_target(id)]
