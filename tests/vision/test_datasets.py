"""Data sets: what torchvision reads from the same files; nothing is ever downloaded."""

import gzip
import hashlib
import io
import pickle
import socket
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rushlight
from rushlight.vision import datasets, transforms

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a data set has asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)


def idx(array):
    """An array as the bytes of an IDX file."""
    code = {"uint8": 8, "int32": 12}[array.dtype.name]
    head = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(folder, names, count=5, packed=False, labels=None):
    """Random images and labels under two names."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(names[0]))
    images = rng.integers(0, 256, (count, 28, 28), np.uint8)
    labels = rng.integers(0, 10, count).astype(np.uint8) if labels is None else labels
    for name, array in zip(names, (images, labels), strict=True):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))


NAMES = {
    True: ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
    False: ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
}


def same(ours, theirs):
    assert len(ours) == len(theirs)
    assert ours.classes == theirs.classes and ours.class_to_idx == theirs.class_to_idx
    for i in range(len(ours)):
        (image, target), (other, expected) = ours[i], theirs[i]
        assert image.mode == other.mode and np.array_equal(image, other)
        assert target == expected and type(target) is type(expected)
    assert repr(ours) == repr(theirs)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_mnist_and_its_kin(name, tmp_path):
    torchvision = pytest.importorskip("torchvision")
    for train in (True, False):
        write_idx(tmp_path / name / "raw", NAMES[train])
    for train in (True, False):
        theirs = getattr(torchvision.datasets, name)(str(tmp_path), train=train)
        ours = getattr(datasets, name)(str(tmp_path), train=train, download=True)
        same(ours, theirs)
        assert np.array_equal(ours.data, theirs.data) and ours.targets.dtype is rushlight.int64


@pytest.mark.parity
def test_emnist_and_qmnist(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    for part in ("train", "test"):
        names = [
            f"emnist-letters-{part}-images-idx3-ubyte",
            f"emnist-letters-{part}-labels-idx1-ubyte",
        ]
        write_idx(tmp_path / "EMNIST" / "raw", names)
    for train in (True, False):
        options = {"split": "letters", "train": train}
        same(
            datasets.EMNIST(str(tmp_path), **options),
            torchvision.datasets.EMNIST(str(tmp_path), **options),
        )
    rows = np.arange(40, dtype=np.int32).reshape(5, 8)
    names = ["qmnist-test-images-idx3-ubyte", "qmnist-test-labels-idx2-int"]
    write_idx(tmp_path / "QMNIST" / "raw", names, labels=rows)
    theirs = torchvision.datasets.QMNIST(str(tmp_path), what="test10k", compat=False)
    ours = datasets.QMNIST(str(tmp_path), what="test10k", compat=False)
    assert ours[3][1].tolist() == theirs[3][1].tolist() and repr(ours) == repr(theirs)
    assert datasets.QMNIST(str(tmp_path), train=False)[2][1] == 16
    with pytest.raises(ValueError, match="letters"):
        datasets.EMNIST(str(tmp_path), split="digit")
    with pytest.raises(ValueError, match="nist"):
        datasets.QMNIST(str(tmp_path), what="no")


def test_gzipped_files_are_read_as_they_are(tmp_path):
    write_idx(tmp_path / "MNIST" / "raw", NAMES[True], packed=True)
    data = datasets.MNIST(tmp_path, transform=transforms.ToTensor(), target_transform=str)
    image, target = data[0]
    assert (
        image.shape == (1, 28, 28) and image.dtype is rushlight.float32 and target in "0123456789"
    )
    loader = rushlight.utils.data.DataLoader(data, batch_size=5)
    assert next(iter(loader))[0].shape == (5, 1, 28, 28)


def test_emnist_comes_out_of_its_archive(tmp_path, monkeypatch):
    raw = tmp_path / "EMNIST" / "raw"
    names = ["emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte"]
    write_idx(raw, names, packed=True)
    with zipfile.ZipFile(raw / "gzip.zip", "w") as archive:
        for name in names:
            archive.write(raw / f"{name}.gz", f"gzip/{name}.gz")
            (raw / f"{name}.gz").unlink()
    with pytest.raises(RuntimeError, match="downloads nothing"):  # it is not the published one
        datasets.EMNIST(tmp_path, "digits", download=True)
    monkeypatch.setattr(
        datasets.EMNIST, "md5", hashlib.md5((raw / "gzip.zip").read_bytes()).hexdigest()
    )
    assert len(datasets.EMNIST(tmp_path, "digits", download=True)) == 5


@pytest.mark.parametrize("download", [False, True])
def test_what_is_missing_is_said(tmp_path, download):
    with pytest.raises(
        RuntimeError, match=r"(?s)MNIST.*downloads nothing.*raw.*train-images-idx3-ubyte"
    ):
        datasets.MNIST(tmp_path, download=download)
    with pytest.raises(
        RuntimeError, match=r"(?s)CIFAR10.*cifar-10-batches-py.*data_batch_1.*MD5.*tar\.gz"
    ):
        datasets.CIFAR10(tmp_path, download=download)


def test_damaged_files_are_refused(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw, NAMES[True])
    (raw / NAMES[True][0]).write_bytes(b"\0\0\x08\x03" + b"\0" * 9)
    with pytest.raises(ValueError, match="cut short"):
        datasets.MNIST(tmp_path)
    (raw / NAMES[True][0]).write_bytes(idx(np.zeros((5, 28, 28), np.int32)))
    with pytest.raises(ValueError, match=r"torch\.int32"):
        datasets.MNIST(tmp_path)


# CIFAR --------------------------------------------------------------------------------------


def write_cifar(root, module, name):
    """Small files in CIFAR's format, and a class of ``module`` that takes their sums for right."""
    published = getattr(module, name)
    folder = root / published.base_folder
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    labels = "labels" if name == "CIFAR10" else "fine_labels"

    def write(file, value):
        data = pickle.dumps(value, protocol=3).replace(b"numpy._core", b"numpy.core")
        (folder / file).write_bytes(data)
        return [file, hashlib.md5(data).hexdigest()]

    def batch(file):
        pixels = rng.integers(0, 256, (4, 3072), np.uint8)
        return write(file, {"data": pixels, labels: rng.integers(0, 10, 4).tolist()})

    meta = dict(published.meta)
    names = [f"class {i}" for i in range(10)]
    meta["md5"] = write(meta["filename"], {meta["key"]: names})[1]
    lists = [
        [batch(file) for file, _ in part] for part in (published.train_list, published.test_list)
    ]
    return type(name, (published,), {"train_list": lists[0], "test_list": lists[1], "meta": meta})


@pytest.mark.parity
@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar(name, tmp_path):
    torchvision = pytest.importorskip("torchvision")
    theirs = write_cifar(tmp_path, torchvision.datasets, name)
    ours = write_cifar(tmp_path, datasets, name)
    for train in (True, False):
        a, b = ours(str(tmp_path), train, download=True), theirs(str(tmp_path), train)
        same(a, b)
        assert np.array_equal(a.data, b.data) and a.targets == b.targets


def test_cifar_comes_out_of_its_archive(tmp_path):
    cls = write_cifar(tmp_path, datasets, "CIFAR10")
    folder = tmp_path / cls.base_folder
    with tarfile.open(tmp_path / cls.filename, "w:gz") as archive:
        archive.add(folder, cls.base_folder)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(RuntimeError, match="MD5"):
        cls(tmp_path, download=True)
    cls.tgz_md5 = hashlib.md5((tmp_path / cls.filename).read_bytes()).hexdigest()
    assert len(cls(tmp_path, download=True)) == 20


def test_a_hostile_cifar_file_is_not_run(tmp_path):
    cls = write_cifar(tmp_path, datasets, "CIFAR10")
    hostile = b"cos\nsystem\n(S'echo no'\ntR."
    (tmp_path / cls.base_folder / "data_batch_1").write_bytes(hostile)
    with pytest.raises(RuntimeError, match="MD5"):  # its sum is another
        cls(tmp_path)
    cls.train_list[0][1] = hashlib.md5(hostile).hexdigest()
    with pytest.raises(pickle.UnpicklingError, match=r"os\.system"):
        cls(tmp_path)


# Folders and noise --------------------------------------------------------------------------


def test_image_folders(tmp_path):
    for name, size in (
        ("cat/1.png", 4),
        ("cat/sub/2.JPG", 5),
        ("dog/3.bmp", 6),
        ("dog/notes.txt", 0),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if size:
            stream = io.BytesIO()
            Image.new("L", (size, size), 50).save(stream, "PNG")
            path.write_bytes(stream.getvalue())
        else:
            path.write_text("no image")
    ours = datasets.ImageFolder(str(tmp_path))
    assert [target for _, target in ours.samples] == ours.targets == [0, 0, 1]
    assert ours.imgs == ours.samples and ours[1][0].mode == "RGB"
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.datasets.ImageFolder(str(tmp_path))
    same(ours, theirs)
    assert ours.samples == theirs.samples


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="class folder"):
        datasets.ImageFolder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty.*\.png"):
        datasets.ImageFolder(tmp_path)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True)) == 0
    with pytest.raises(ValueError, match="extensions"):
        datasets.DatasetFolder(tmp_path, len)
    (tmp_path / "empty" / "a.txt").write_text("four")
    texts = datasets.DatasetFolder(
        tmp_path, lambda path: Path(path).read_text(), (".txt",), transform=len
    )
    assert texts[0] == (4, 0)


@pytest.mark.parity
def test_fake_data(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    options = {"size": 6, "image_size": (3, 9, 8), "num_classes": 4, "random_offset": 3}
    ours, theirs = datasets.FakeData(**options), torchvision.datasets.FakeData(**options)
    for i in range(6):
        assert ours[i][1] == theirs[i][1]
        off = np.abs(np.int64(ours[i][0]) - np.int64(theirs[i][0])) % 255
        assert off.max() <= 1 and (off > 0).mean() < 0.01
    assert repr(ours) == repr(theirs)
    state = rushlight.get_rng_state()
    _ = ours[0]
    assert rushlight.get_rng_state().equal(state)
    with pytest.raises(IndexError, match="6 images"):
        ours[6]


@pytest.mark.parity
def test_reprs_with_transforms(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    shown = []
    for library in (rushlight.vision, torchvision):
        T = library.transforms
        transform = T.Compose([T.CenterCrop(4), T.ToTensor()])
        data = library.datasets.FakeData(3, transform=transform, target_transform=T.Lambda(abs))
        shown.append(repr(data))
    assert shown[0] == shown[1]
    with pytest.raises(ValueError, match="either transforms"):
        datasets.VisionDataset(transforms=abs, transform=abs)


def test_archives(tmp_path):
    from rushlight.vision.datasets import utils

    (tmp_path / "a.txt").write_text("text")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.txt", "a.txt")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(tmp_path / "a.txt", "b.txt")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"text"))
    sum_ = utils.calculate_md5(tmp_path / "b.zip")
    utils.download_and_extract_archive("http://x.org/b.zip", tmp_path, md5=sum_)
    utils.extract_archive(tmp_path / "a.tar.gz", tmp_path / "new")
    utils.extract_archive(tmp_path / "c.txt.gz", remove_finished=True)
    for name in ("b.txt", "c.txt", "new/a.txt"):
        assert (tmp_path / name).read_text() == "text"
    assert utils.list_dir(tmp_path) == ["new"] and not (tmp_path / "c.txt.gz").exists()
    assert sorted(utils.list_files(tmp_path, ".txt")) == ["a.txt", "b.txt", "c.txt"]
    with pytest.raises(RuntimeError, match=r"(?s)downloads nothing.*x\.org.*none\.zip"):
        utils.download_url("http://x.org/none.zip", tmp_path)
    with pytest.raises(RuntimeError, match="no tar"):
        utils.extract_archive(tmp_path / "a.txt")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "a.txt", "../evil.txt")
    with pytest.raises(tarfile.OutsideDestinationError):
        utils.extract_archive(tmp_path / "evil.tar", tmp_path / "new")
