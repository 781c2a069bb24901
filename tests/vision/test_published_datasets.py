"""Data sets of photographs: what torchvision reads from the same small folders."""

import io
import json
import os
import tarfile

import numpy as np
import pytest
from scipy.io import savemat

import rushlight
from rushlight.vision import datasets

Image = pytest.importorskip("PIL.Image")


def picture(path, mode="RGB", size=(6, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path.name)) + ord(path.stem[-1]))
    shape = size[::-1] + (3,) * (mode == "RGB")
    image = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
    if mode == "P":
        image = image.convert("P")
    image.save(path)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def food101(root):
    listed = {"tart": ["tart/1", "tart/3"], "cake": ["cake/2"]}
    text(root / "food-101/meta/train.json", json.dumps(listed))
    for name in ("tart/1", "tart/3", "cake/2"):
        picture(root / f"food-101/images/{name}.jpg")


def flowers102(root):
    for i in range(1, 5):
        picture(root / f"flowers-102/jpg/image_{i:05d}.jpg")
    savemat(root / "flowers-102/imagelabels.mat", {"labels": np.array([[5, 6, 102, 1]])})
    parts = {"trnid": [[1, 3]], "valid": [[2, 3]], "tstid": [[4, 2, 1]]}
    savemat(root / "flowers-102/setid.mat", {k: np.array(v) for k, v in parts.items()})


def dtd(root):
    text(root / "dtd/dtd/labels/val2.txt", "woven/b.jpg", "banded/a.jpg", "woven/c.jpg")
    for name in ("woven/b", "banded/a", "woven/c"):
        picture(root / f"dtd/dtd/images/{name}.jpg")


def pets(root):
    folder = root / "oxford-iiit-pet"
    lines = ["Abyssinian_1 1 1 1", "great_dane_12 2 2 1", "Abyssinian_7 1 1 1"]
    text(folder / "annotations/trainval.txt", *lines)
    for line in lines:
        name = line.split()[0]
        picture(folder / f"images/{name}.jpg")
        picture(folder / f"annotations/trimaps/{name}.png", "L")


def coco(root):
    images = [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "a.png"}]
    notes = [
        {"id": 2, "image_id": 9, "caption": "a cat"},
        {"id": 1, "image_id": 9, "caption": "it"},
    ]
    text(root / "notes.json", json.dumps({"images": images, "annotations": notes}))
    picture(root / "a.png")
    picture(root / "b.png")


def voc(root, folder="VOCdevkit/VOC2012"):
    for i, objects in ((1, 2), (2, 1), (3, 0)):
        parts = "<part><name>head</name></part><part><name>tail</name></part>"
        item = f"<object><name>cat</name>{parts}<bndbox><xmin>1</xmin></bndbox></object>"
        body = f"<size><width>6</width>\n</size>\n <note> x </note>{item * objects}"
        text(root / folder / f"Annotations/{i}.xml", f"<annotation>{body}</annotation>")
        picture(root / folder / f"JPEGImages/{i}.jpg")
        picture(root / folder / f"SegmentationClass/{i}.png", "P")
    for kind in ("Main", "Segmentation"):
        text(root / folder / f"ImageSets/{kind}/train.txt", "3", "1", "2")


def celeba(root):
    folder, names = root / "celeba", [f"{i:06d}.jpg" for i in range(1, 5)]
    rows = lambda values: [f"{n}  {v}" for n, v in zip(names, values, strict=True)]
    text(folder / "list_eval_partition.txt", *rows([0, 1, 2, 0]))
    text(folder / "identity_CelebA.txt", *rows([7, 8, 7, 9]))
    text(
        folder / "list_attr_celeba.txt", "4", "Bald Young", *rows(["1 -1", "-1 -1", "1 1", "-1  1"])
    )
    text(folder / "list_bbox_celeba.txt", "4", "image_id x y", *rows(["1 2", "3 4", "5 6", "7 8"]))
    text(
        folder / "list_landmarks_align_celeba.txt", "4", "x y", *rows(["9 8", "7 6", "5 4", "3 2"])
    )
    for name in names:
        picture(folder / "img_align_celeba" / name)


def svhn(root):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 3, 4), np.uint8)
    savemat(root / "train_32x32.mat", {"X": pixels, "y": np.array([[1], [10], [9], [2]], np.uint8)})


def stl10(root):
    folder, rng = root / "stl10_binary", np.random.default_rng(0)
    for part, count in (("train", 3), ("test", 2), ("unlabeled", 2)):
        text(folder / "class_names.txt", "bird", "car")
        rng.integers(0, 256, (count, 3, 96, 96), np.uint8).tofile(folder / f"{part}_X.bin")
        rng.integers(1, 11, count).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    text(folder / "fold_indices.txt", "0 2", "1 0")


def caltech101(root):
    folder = root / "caltech101"
    for category, outline in (("Faces", "Faces_2"), ("ant", "ant"), ("BACKGROUND_Google", None)):
        for i in (1, 2):
            picture(folder / f"101_ObjectCategories/{category}/image_{i:04d}.jpg")
            if outline:
                path = folder / f"Annotations/{outline}/annotation_{i:04d}.mat"
                path.parent.mkdir(parents=True, exist_ok=True)
                savemat(path, {"obj_contour": np.arange(4.0).reshape(2, 2) + i})


def caltech256(root):
    for i, category in ((1, "001.ak47"), (2, "002.flag")):
        for k in (1, 2):
            picture(root / f"caltech256/256_ObjectCategories/{category}/{i:03d}_{k:04d}.jpg")


CASES = [
    (food101, "Food101(root)"), (flowers102, "Flowers102(root)"), (flowers102, "Flowers102(root, 'test', target_transform=abs)"),
    (dtd, "DTD(root, 'val', 2)"), (pets, "OxfordIIITPet(root)"), (pets, "OxfordIIITPet(root, target_types=['segmentation', 'binary-category'])"),
    (pets, "OxfordIIITPet(root, transforms=lambda x, y: (y, x))"), (pets, "OxfordIIITPet(root, target_types=[])"),
    (voc, "VOCDetection(root)"), (voc, "VOCSegmentation(root, transform=lambda x: x.rotate(90))"),
    (lambda root: voc(root, "TrainVal/VOCdevkit/VOC2011"), "VOCDetection(root, '2011', 'train', transforms=lambda x, y: (y, x))"),
    (celeba, "CelebA(root)"), (celeba, "CelebA(root, 'all', ['identity', 'bbox', 'landmarks'])"), (celeba, "CelebA(root, 'train', [])"),
    (svhn, "SVHN(root)"), (stl10, "STL10(root)"), (stl10, "STL10(root, 'train', 1)"), (stl10, "STL10(root, 'train+unlabeled', folds=0)"),
    (stl10, "STL10(root, 'unlabeled')"), (stl10, "STL10(root, 'test')"), (caltech101, "Caltech101(root)"),
    (caltech101, "Caltech101(root, ['annotation', 'category'])"), (caltech256, "Caltech256(root)"),
]  # fmt: skip


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Image.Image):
        return value.mode, np.asarray(value).tolist()
    return value.tolist() if hasattr(value, "tolist") else value


def unchecked(monkeypatch, *packages):
    """Let made-up files pass for the published ones."""
    for package in packages:
        for name in ("celeba", "flowers102", "imagenet", "listed", "stl10", "svhn"):
            if hasattr(package, name):
                exists = lambda path, md5=None: os.path.isfile(path)
                monkeypatch.setattr(getattr(package, name), "check_integrity", exists)


@pytest.mark.parity
@pytest.mark.parametrize("make, expression", CASES, ids=[call for _, call in CASES])
def test_samples_are_torchvisions(make, expression, tmp_path, monkeypatch):
    theirs = pytest.importorskip("torchvision.datasets")
    unchecked(monkeypatch, datasets, theirs)
    make(tmp_path)
    ours, theirs = [
        eval(f"d.{expression}", {"d": d, "root": str(tmp_path)}) for d in (datasets, theirs)
    ]
    assert len(ours) == len(theirs) > 0
    for i in range(len(ours)):
        assert plain(ours[i]) == plain(theirs[i])
    for name in ("classes", "class_to_idx", "attr_names", "categories", "annotation_categories"):
        assert getattr(ours, name, None) == getattr(theirs, name, getattr(ours, name, None))
    if "lambda" not in expression:
        assert repr(ours) == repr(theirs)
    labels = getattr(ours, "labels", None)
    assert labels is None or labels.dtype == theirs.labels.dtype


def test_coco(tmp_path):
    coco(tmp_path)
    data = datasets.CocoDetection(tmp_path, tmp_path / "notes.json")
    assert data.ids == [4, 9] and data[0][0].size == (6, 5) and data[0][1] == []
    assert [note["id"] for note in data[1][1]] == [2, 1]
    assert data.coco.loadAnns(data.coco.getAnnIds(9)) == data[1][1]
    captions = datasets.CocoCaptions(
        tmp_path, tmp_path / "notes.json", transforms=lambda x, y: (x.size, y)
    )
    assert captions[1] == ((6, 5), ["a cat", "it"])
    with pytest.raises(ValueError, match="integer"):
        captions["a"]


def imagenet(root):
    """The published archives, with two classes and three validation images."""
    fields = [
        ("ILSVRC2012_ID", int),
        ("WNID", object),
        ("words", object),
        ("gloss", object),
        ("num_children", int),
    ]
    rows = [(1, "n01", "cat, tom", "a", 0), (2, "n02", "dog", "b", 0), (3, "n03", "animal", "c", 2)]
    staged = root / "staged"
    (staged / "ILSVRC2012_devkit_t12/data").mkdir(parents=True)
    savemat(staged / "ILSVRC2012_devkit_t12/data/meta.mat", {"synsets": np.array(rows, fields)})
    text(
        staged / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", "2", "1", "2"
    )
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        tar.add(staged / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as tar:
        for i in range(1, 4):
            picture(staged / f"ILSVRC2012_val_{i}.JPEG")
            tar.add(staged / f"ILSVRC2012_val_{i}.JPEG", f"ILSVRC2012_val_{i}.JPEG")
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as tar:
        for name in ("n01", "n02"):
            picture(staged / f"{name}_1.JPEG")
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode="w") as inner:
                inner.add(staged / f"{name}_1.JPEG", f"{name}_1.JPEG")
            info = tarfile.TarInfo(f"{name}.tar")
            info.size = len(stream.getvalue())
            tar.addfile(info, io.BytesIO(stream.getvalue()))


@pytest.mark.parity
@pytest.mark.parametrize("split", ["train", "val"])
def test_imagenet(split, tmp_path, monkeypatch):
    theirs = pytest.importorskip("torchvision.datasets")
    unchecked(monkeypatch, datasets, theirs)
    imagenet(tmp_path)
    ours = datasets.ImageNet(tmp_path, split)  # unpacks the archives, which torchvision reads
    other = theirs.ImageNet(str(tmp_path), split)
    assert len(ours) == len(other) == {"train": 2, "val": 3}[split]
    assert [plain(ours[i]) for i in range(len(ours))] == [plain(s) for s in other]
    assert ours.classes == other.classes == [("cat", "tom"), ("dog",)]
    assert (ours.wnids, ours.class_to_idx) == (other.wnids, other.class_to_idx)
    assert rushlight.load(tmp_path / "meta.bin")[1] == ["n02", "n01", "n02"]


@pytest.mark.parametrize("name", [
    "Food101", "Flowers102", "DTD", "OxfordIIITPet", "VOCDetection", "VOCSegmentation", "CelebA", "SVHN", "STL10", "Caltech101",
    "Caltech256", "ImageNet",
])  # fmt: skip
def test_what_is_missing_is_said(name, tmp_path):
    with pytest.raises(
        RuntimeError, match=f"(?s)^{name}: .*downloads nothing.*these files, from http"
    ):
        getattr(datasets, name)(str(tmp_path))
    if name not in ("Caltech101", "Caltech256"):
        with pytest.raises(ValueError, match="Unknown value"):
            getattr(datasets, name)(str(tmp_path), "none")
