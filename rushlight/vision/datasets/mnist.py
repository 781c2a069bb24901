"""MNIST and the data sets of its format."""

import os
import string
import zipfile
from pathlib import Path

import rushlight as torch
from rushlight.datasets import idx
from rushlight.vision.datasets.utils import absent, check_integrity
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import from_array

__all__ = ["EMNIST", "FashionMNIST", "KMNIST", "MNIST", "QMNIST"]


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 images of 28×28 to train on, 10,000 to test.

    The files ``train-images-idx3-ubyte``, … must be in ``root/MNIST/raw``, gzipped or not.

    ``data`` is (N, 28, 28), uint8, and ``targets`` is (N,), int64. A sample is (Pillow image, int).

    Raises:
        RuntimeError: a file is missing.
        ValueError: a file is damaged.

    Source: LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/

    >>> import pathlib, tempfile
    >>> from rushlight.vision.datasets import MNIST
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = pathlib.Path(root, "MNIST", "raw")
    ...     folder.mkdir(parents=True)
    ...     images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 80, 160, 240])
    ...     _ = (folder / "train-images-idx3-ubyte").write_bytes(images)
    ...     _ = (folder / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    ...     image, label = MNIST(root)[0]
    >>> image.size, label
    ((2, 2), 7)
    """

    source = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip
    training_file = "training.pt"
    test_file = "test.pt"

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        processed = Path(self.processed_folder)
        if all((processed / name).is_file() for name in (self.training_file, self.test_file)):
            name = self.training_file if train else self.test_file
            self.data, self.targets = torch.load(processed / name, weights_only=True)
            return
        if download:
            self.download()
        if not all(self._find(name) for name in self._names()):
            raise self._absent()
        self.data, self.targets = self._load_data()

    def _names(self):
        """The files that this part needs, without .gz."""
        part = "train" if self.train else "t10k"
        return [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]

    def _find(self, name):
        """The path of the file, gzipped or not; None if the file is missing."""
        path = Path(self.raw_folder, name)
        return next((found for found in (path, Path(f"{path}.gz")) if found.is_file()), None)

    def _absent(self):
        files = [f"{name} (or {name}.gz)" for name in self._names()]
        return absent(type(self).__name__, self.raw_folder, files, self.source)

    def _load_data(self):
        images, labels = (idx.read(self._find(name)) for name in self._names())
        for name, found, dims in zip(self._names(), (images, labels), (3, 1), strict=True):
            if found.dtype is not torch.uint8 or found.ndim != dims:
                raise ValueError(
                    f"{type(self).__name__}: {name} holds {found.dtype} of shape "
                    f"{tuple(found.shape)}; torch.uint8 in {dims} dim(s) is needed"
                )
        return images, labels.to(torch.int64)

    def download(self):
        """Check that the files exist; nothing is downloaded.

        Raises:
            RuntimeError: a file is missing.
        """
        if not all(self._find(name) for name in self._names()):
            raise self._absent()

    def __getitem__(self, index):
        image = from_array(self.data[index].numpy(), "L")
        return self._transformed(image, int(self.targets[index]))

    def __len__(self):
        return len(self.data)

    @property
    def raw_folder(self):
        """The folder of the files."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self):
        """The folder in which old versions of torchvision kept the converted files."""
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def class_to_idx(self):
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    def extra_repr(self):
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Articles of clothing, in ``MNIST``'s format, in ``root/FashionMNIST/raw``.

    Source: Xiao et al. 2017, https://arxiv.org/abs/1708.07747

    >>> from rushlight.vision.datasets import FashionMNIST
    >>> FashionMNIST.classes[:3]
    ['T-shirt/top', 'Trouser', 'Pullover']
    """

    source = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
        "Bag", "Ankle boot",
    ]  # fmt: skip


class KMNIST(MNIST):
    """Cursive Japanese characters, in ``MNIST``'s format, in ``root/KMNIST/raw``.

    Source: Clanuwat et al. 2018, https://arxiv.org/abs/1812.01718

    >>> from rushlight.vision.datasets import KMNIST
    >>> KMNIST.classes[:3]
    ['o', 'ki', 'su']
    """

    source = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


_ALL = sorted(string.digits + string.ascii_letters)
_MERGED = sorted(set(_ALL) - set("cijklmopsuvwxyz"))


class EMNIST(MNIST):
    """Handwritten letters and digits, in ``root/EMNIST/raw``.

    The files are ``emnist-{split}-train-images-idx3-ubyte``, …, gzipped or not.

    Args:
        split: The selection: ``"byclass"``, ``"bymerge"``, ``"balanced"``, ``"letters"``,
            ``"digits"`` or ``"mnist"``.
        **options: As for ``MNIST``. ``download=True`` unpacks the files from ``gzip.zip``, if that
            exists.

    Raises:
        RuntimeError: a file is missing.
        ValueError: there is no such split, or a file is damaged.

    Source: Cohen et al. 2017, https://arxiv.org/abs/1702.05373

    >>> from rushlight.vision.datasets import EMNIST
    >>> EMNIST.classes_split_dict["digits"][:3]
    ['0', '1', '2']
    """

    source = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict = {
        "byclass": _ALL,
        "bymerge": _MERGED,
        "balanced": _MERGED,
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root, split, **options):
        if split not in self.splits:
            raise ValueError(f"EMNIST: split must be one of {self.splits}, got {split!r}")
        self.split = split
        self.training_file = f"training_{split}.pt"
        self.test_file = f"test_{split}.pt"
        super().__init__(root, **options)
        self.classes = self.classes_split_dict[split]

    def _names(self):
        part = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]

    def download(self):
        """Unpack the files from ``gzip.zip``, unless they exist already.

        Raises:
            RuntimeError: the archive is missing too.
        """
        archive = Path(self.raw_folder, "gzip.zip")
        if all(self._find(name) for name in self._names()):
            return
        if not check_integrity(archive, self.md5):
            raise self._absent()
        with zipfile.ZipFile(archive) as content:
            for name in self._names():
                packed = content.read(f"gzip/{name}.gz")
                Path(self.raw_folder, f"{name}.gz").write_bytes(packed)


class QMNIST(MNIST):
    """MNIST with all 60,000 test images and the origin of each image, in ``root/QMNIST/raw``.

    Args:
        what: ``"train"``, ``"test"``, ``"test10k"``, ``"test50k"`` or ``"nist"``. Default: as
            ``train`` says.
        compat: Give the digit as the target; False: a row of eight numbers. Default: True.
        **options: As for ``MNIST``.

    Raises:
        RuntimeError: a file is missing.
        ValueError: there is no such part, or a file is damaged.

    Source: Yadav and Bottou 2019, https://arxiv.org/abs/1905.10498

    >>> from rushlight.vision.datasets import QMNIST
    >>> list(QMNIST.subsets)
    ['train', 'test', 'test10k', 'test50k', 'nist']
    """

    source = "https://github.com/facebookresearch/qmnist"
    subsets = {
        "train": "qmnist-train", "test": "qmnist-test", "test10k": "qmnist-test",
        "test50k": "qmnist-test", "nist": "xnist",
    }  # fmt: skip
    parts = {"test10k": slice(0, 10_000), "test50k": slice(10_000, None)}

    def __init__(self, root, what=None, compat=True, train=True, **options):
        self.what = what or ("train" if train else "test")
        if self.what not in self.subsets:
            raise ValueError(f"QMNIST: what must be one of {list(self.subsets)}, got {what!r}")
        self.compat = compat
        self.training_file = self.test_file = f"{self.what}.pt"
        super().__init__(root, train, **options)

    def _names(self):
        prefix = self.subsets[self.what]
        return [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx2-int"]

    def _load_data(self):
        images, labels = (idx.read(self._find(name)) for name in self._names())
        if images.dtype is not torch.uint8 or images.ndim != 3 or labels.ndim != 2:
            raise ValueError(
                f"QMNIST: {self._names()} hold {tuple(images.shape)} and {tuple(labels.shape)}; "
                "images (N, H, W) of torch.uint8 and labels (N, 8) are needed"
            )
        part = self.parts.get(self.what, slice(None))
        return images[part].clone(), labels[part].to(torch.int64)

    def __getitem__(self, index):
        target = self.targets[index]
        image = from_array(self.data[index].numpy(), "L")
        return self._transformed(image, int(target[0]) if self.compat else target)

    def extra_repr(self):
        return f"Split: {self.what}"
