"""The IDX format, in which MNIST, Fashion-MNIST and their relatives are published.

A file begins with two zero bytes, a byte for the element type and a byte for the number of dims.
The size of each dim follows as a big-endian uint32, then the elements in C order, also big-endian.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits, 1998.
"""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

import rushlight as torch
from rushlight.serialization.budget import Budget

__all__ = ["mnist", "read"]

TYPES = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"
WORD = np.dtype(">u4")
MAX_DIMS = 32
CHUNK = 1 << 20
LARGEST = 2**48  # largest accepted number of elements; no file is so long


def read(path):
    """Read the tensor that an IDX file holds, gzipped or not.

    Args:
        path: Name of the file.

    Returns:
        Tensor of the shape and the dtype that the file's header gives.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not an IDX file, it is damaged, it does not hold exactly the elements
            that its header promises, or it is gzipped and unpacks to far more than images do.

    >>> import pathlib, tempfile
    >>> import rushlight as torch
    >>> from rushlight.datasets import idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     idx.read(path)
    tensor([7, 2, 1], dtype=torch.uint8)
    """
    content = _uncompressed(path)
    dtype, shape, start = _header(path, content)
    expected = math.prod(shape) * dtype.itemsize
    found = len(content) - start
    if found != expected:
        damage = "is cut short" if found < expected else "goes on too long"
        raise ValueError(
            f"{path} {damage}: its header promises {shape} elements of {dtype.itemsize} byte(s), "
            f"{expected} bytes; {found} follow"
        )
    elements = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return torch.from_numpy(elements.astype(dtype.newbyteorder("=")))


def mnist(folder, train=True):
    """Read the images and labels of MNIST, Fashion-MNIST, KMNIST and the like from a folder.

    The folder holds the files as they are published, ``train-images-idx3-ubyte``,
    ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, with or
    without ``.gz``; ``.idx`` in place of ``-idx`` is understood as well.

    Args:
        folder: Name of the folder.
        train: Read the images for training; False: those for testing. Default: True.

    Returns:
        Tuple of the images, a float32 tensor ``(N, 1, H, W)`` from 0 to 1, and their labels, an
        int64 tensor ``(N,)``.

    Raises:
        OSError: A file is missing or cannot be read.
        ValueError: A file is damaged, does not hold images or labels, or the two disagree.

    >>> import pathlib, tempfile
    >>> from rushlight.datasets import idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255])
    ...     _ = pathlib.Path(folder, "train-images-idx3-ubyte").write_bytes(images)
    ...     labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    ...     _ = pathlib.Path(folder, "train-labels-idx1-ubyte").write_bytes(labels)
    ...     idx.mnist(folder)
    (tensor([[[[0., 1.]]]]), tensor([7]))
    """
    part = "train" if train else "t10k"
    images_path = _find(folder, part, "images", 3)
    labels_path = _find(folder, part, "labels", 1)
    images, labels = read(images_path), read(labels_path)
    for path, tensor, noun, dims in ((images_path, images, "images", 3),
                                     (labels_path, labels, "labels", 1)):  # fmt: skip
        if tensor.dtype is not torch.uint8 or tensor.ndim != dims:
            raise ValueError(
                f"{path} holds {tensor.dtype} of shape {tuple(tensor.shape)}; "
                f"{noun} are torch.uint8 in {dims} dim(s)"
            )
    if len(images) != len(labels):
        raise ValueError(
            f"{images_path} holds {len(images)} images; {labels_path} holds {len(labels)} labels"
        )
    if images.numel() == 0:
        raise ValueError(f"{images_path} holds no pixels: its shape is {tuple(images.shape)}")
    return images.unsqueeze(1).to(torch.float32) / 255, labels.to(torch.int64)


def _find(folder, part, kind, dims):
    name = f"{part}-{kind}-idx{dims}-ubyte"
    names = [name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"]
    for candidate in names:
        path = Path(folder, candidate)
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder} has no file {name} or {name}.gz")


def _uncompressed(path):
    content = Path(path).read_bytes()
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            return _unpacked(packed, Budget(path, len(content), "read", "gunzip it first"))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is a damaged gzip file: {error}") from error


def _unpacked(packed, budget):
    """Return the unpacked content of a gzip file, within a budget.

    The budget is needed because a gzip file may unpack to a thousand times its size.
    """
    chunks = []
    while chunk := packed.read(CHUNK):
        try:
            budget.take_bytes(len(chunk), "what it unpacks to")
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        chunks.append(chunk)
    return b"".join(chunks)


def _header(path, content):
    """Return the element type, the shape, and the offset of the elements in bytes."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}, "
            f"not with 00 00, a type (08 09 0b 0c 0d 0e) and the number of dims"
        )
    dims = content[3]
    start = 4 + WORD.itemsize * dims
    if dims > MAX_DIMS:
        raise ValueError(f"{path} is damaged: it claims {dims} dims; at most {MAX_DIMS} are read")
    if len(content) < start:
        raise ValueError(f"{path} is cut short: the sizes of its {dims} dims are incomplete")
    shape = tuple(np.frombuffer(content, WORD, count=dims, offset=4).tolist())
    if math.prod(max(size, 1) for size in shape) > LARGEST:
        raise ValueError(f"{path} is damaged: it claims sizes of {shape}")
    return TYPES[content[2]], shape, start
