"""The data in the package, and the reader of IDX files on whole and on damaged ones."""

import gzip
import struct

import numpy as np
import pytest

import rushlight as torch
from rushlight.datasets import digits, idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encoded(array):
    """The array as the content of an IDX file."""
    code = CODES[array.dtype.str[1:]]
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    elements = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return bytes([0, 0, code, array.ndim]) + sizes + elements


@pytest.fixture
def folder(tmp_path):
    """A folder like MNIST's, half of it gzipped."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 7), ("t10k", 4)):
        images = rng.integers(0, 256, (count, 5, 6), dtype=np.uint8)
        labels = rng.integers(0, 3, count, dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(encoded(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(encoded(labels))
    return tmp_path


def test_digits():
    train, test = digits(), digits(train=False)
    for (images, labels), count in ((train, 1437), (test, 360)):
        assert images.shape == (count, 1, 8, 8)
        assert images.dtype is torch.float32
        assert labels.dtype is torch.int64
        assert (images.min().item(), images.max().item()) == (0.0, 1.0)
        assert labels.unique().tolist() == list(range(10))
    assert test[1].bincount().tolist() == [36] * 10
    every = torch.cat([train[0], test[0]]).flatten(1).numpy()
    assert len(np.unique(every, axis=0)) == 1797  # no image is in both parts
    assert every.sum() * 16 == 561718  # the sum of all pixels of the published file


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", CODES)
def test_idx_read(tmp_path, kind, packed):
    array = np.arange(-6, 6).astype(kind).reshape(2, 1, 6)
    content = encoded(array)
    path = tmp_path / "file"  # the content decides, not the name
    path.write_bytes(gzip.compress(content) if packed else content)
    tensor = idx.read(path)
    assert tensor.shape == array.shape
    assert tensor.numpy().dtype == array.dtype
    assert (tensor.numpy() == array).all()
    tensor.add_(1)  # the memory is the tensor's own


VALID = encoded(np.arange(12, dtype="u1").reshape(3, 4))
PACKED = gzip.compress(VALID, mtime=0)  # the same bytes, so the same test names, at any time


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"PK\3\4" + VALID, "not an IDX file: it begins with 50 4b 03 04"),
        (b"\0\0\7\1" + VALID[4:], "not an IDX file: it begins with 00 00 07 01"),
        (VALID[:3], "not an IDX file"),
        (VALID[:9], "cut short: the sizes of its 2 dims"),
        (VALID[:-1], r"cut short: its header promises \(3, 4\) .* 12 bytes; 11 follow"),
        (VALID[:12], r"12 bytes; 0 follow"),
        (VALID + b"\0", "goes on too long: .* 12 bytes; 13 follow"),
        (b"\0\0\x08\3" + b"\xff" * 12, "claims sizes of"),
        (b"\0\0\x08\2" + b"\0\0\xff\xff" * 2, "cut short"),  # promises 4 GiB
        (b"\0\0\x08\3" + bytes(4) + b"\xff" * 8, "claims sizes of"),  # and yet no element
        (b"\0\0\x08\xff" + bytes(1020), "claims 255 dims"),
        (PACKED[:-9], "damaged gzip"),
        (PACKED[:-8] + bytes(8), "damaged gzip.*CRC"),
        (PACKED[:10] + b"\xff" * 20, "damaged gzip"),
        (b"\x1f\x8b" + VALID, "damaged gzip"),
        (gzip.compress(VALID[:-1], mtime=0), "cut short"),
    ],
)
def test_idx_damage(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        idx.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mnist(folder):
    images, labels = idx.mnist(folder)
    assert images.shape == (7, 1, 5, 6)
    assert images.dtype is torch.float32
    assert labels.dtype is torch.int64
    assert torch.equal((images[:, 0] * 255).round(),
                       idx.read(folder / "train-images-idx3-ubyte.gz").float())  # fmt: skip
    assert idx.mnist(folder, train=False)[0].shape == (4, 1, 5, 6)
    old, new = folder / "t10k-labels-idx1-ubyte", folder / "t10k-labels.idx1-ubyte"
    old.rename(new)
    assert idx.mnist(folder, train=False)[1].shape == (4,)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(6, "u1"), "7 images; .* 6 labels"),
        ("train-labels-idx1-ubyte", np.zeros((7, 1), "u1"), "labels are torch.uint8 in 1 dim"),
        ("train-labels-idx1-ubyte", np.zeros(7, "i4"), "torch.int32 of shape .7,.; labels"),
        ("train-images-idx3-ubyte.gz", np.zeros((7, 5), "u1"), "images are torch.uint8 in 3 dim"),
        ("train-images-idx3-ubyte.gz", np.zeros((7, 0, 5), "u1"), "no pixels"),
        ("train-images-idx3-ubyte.gz", np.zeros((0, 5, 5), "u1"), "0 images"),
    ],
)
def test_mnist_disagreement(folder, name, array, message):
    (folder / name).write_bytes(encoded(array))
    with pytest.raises(ValueError, match=message):
        idx.mnist(folder)


def test_mnist_missing(folder):
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file train-labels-idx1-ubyte or .*gz"):
        idx.mnist(folder)
