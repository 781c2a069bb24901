"""Image files as tensors (C, H, W) of bytes, by way of Pillow."""

import io
from enum import Enum
from pathlib import Path

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision.images import from_array
from rushlight.vision.io.decode import decode

__all__ = [
    "ImageReadMode", "decode_gif", "decode_image", "decode_jpeg", "decode_png", "decode_webp",
    "encode_jpeg", "encode_png", "read_file", "read_image", "write_file", "write_jpeg",
    "write_png",
]  # fmt: skip


class ImageReadMode(Enum):
    """The form to which a picture is converted when it is read.

    >>> from rushlight.vision.io import ImageReadMode
    >>> ImageReadMode.RGB.name
    'RGB'
    """

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


def read_file(path):
    """Read the bytes of a file.

    Returns:
        Tensor ``(N,)``, uint8.

    Raises:
        RuntimeError: The file cannot be read.

    >>> import pathlib, tempfile
    >>> from rushlight.vision.io import read_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "file")
    ...     _ = path.write_bytes(b"abc")
    ...     read_file(path)
    tensor([97, 98, 99], dtype=torch.uint8)
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RuntimeError(f"read_file: {error}") from error
    return torch.from_numpy(np.frombuffer(bytearray(content), np.uint8))


def write_file(filename, data):
    """Write bytes to a file.

    Args:
        data: Tensor ``(N,)``, uint8.

    Raises:
        RuntimeError: ``data`` is not such a tensor, or the file cannot be written.

    >>> import pathlib, tempfile, rushlight as torch
    >>> from rushlight.vision.io import write_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "file")
    ...     write_file(path, torch.tensor([97, 98], dtype=torch.uint8))
    ...     path.read_bytes()
    b'ab'
    """
    if data.dtype is not torch.uint8 or data.ndim != 1:
        raise RuntimeError(
            f"write_file: data must be (N,) of torch.uint8, got {tuple(data.shape)} of {data.dtype}"
        )
    try:
        Path(filename).write_bytes(data.numpy().tobytes())
    except OSError as error:
        raise RuntimeError(f"write_file: {error}") from error


def _decode(input, mode, formats, apply_exif_orientation=False):
    if input.dtype is not torch.uint8 or input.ndim != 1 or not len(input):
        raise RuntimeError(
            f"decode: expected (N,) of torch.uint8, got {tuple(input.shape)} of {input.dtype}"
        )
    mode = ImageReadMode[mode.upper()] if isinstance(mode, str) else mode
    name = mode.upper() if isinstance(mode, str) else mode.name
    mode = ImageReadMode[name].name
    data = input.numpy().tobytes()
    return torch.from_numpy(decode(data, mode, formats, apply_exif_orientation))


def decode_image(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """Decode a JPEG, PNG, GIF or WebP picture.

    Args:
        input: Tensor ``(N,)``, uint8: the bytes of a file; or the name of the file.

    Returns:
        Tensor ``(C, H, W)``, uint8; uint16 for PNG files of 16 bits. A GIF file of several
        pictures gives ``(N, 3, H, W)``. Without a ``mode``, a PNG file with a palette gives the
        indices ``(1, H, W)``.

    Raises:
        RuntimeError: The bytes are not a picture of these formats, the file is missing, or the
            mode has alpha and the file is a JPEG.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import decode_image, encode_png
    >>> decode_image(encode_png(torch.zeros(3, 2, 4, dtype=torch.uint8))).shape
    torch.Size([3, 2, 4])
    """
    if not isinstance(input, Tensor):
        input = read_file(input)
    return _decode(input, mode, ["JPEG", "PNG", "GIF", "WEBP"], apply_exif_orientation)


def read_image(path, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """Read a file and decode its picture, as ``decode_image`` does.

    Returns:
        Tensor ``(C, H, W)``, uint8; uint16 for PNG files of 16 bits.

    >>> import pathlib, tempfile
    >>> import rushlight as torch
    >>> from rushlight.vision.io import read_image, write_png
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "grey.png")
    ...     write_png(torch.tensor([[[0, 128, 255]]], dtype=torch.uint8), path)
    ...     read_image(path)
    tensor([[[  0, 128, 255]]], dtype=torch.uint8)
    """
    return decode_image(read_file(path), mode, apply_exif_orientation)


def decode_png(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """Decode a PNG picture.

    Returns:
        Tensor ``(C, H, W)``, uint8; uint16 for files of 16 bits.

    Raises:
        RuntimeError: The bytes are not a PNG picture.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import decode_png, encode_png
    >>> decode_png(encode_png(torch.tensor([[[0, 128]]], dtype=torch.uint8)))
    tensor([[[  0, 128]]], dtype=torch.uint8)
    """
    return _decode(input, mode, ["PNG"], apply_exif_orientation)


def decode_jpeg(input, mode=ImageReadMode.UNCHANGED, device="cpu", apply_exif_orientation=False):
    """Decode a JPEG picture, or each picture of a list.

    Args:
        input: Tensor ``(N,)``, uint8: the bytes of a file; or a list of such tensors.
        device: Accepted without effect.

    Returns:
        Tensor ``(C, H, W)``, uint8; a list of tensors for a list.

    Raises:
        RuntimeError: The bytes are not a JPEG picture, or the mode has alpha.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import decode_jpeg, encode_jpeg
    >>> decode_jpeg(encode_jpeg(torch.zeros(3, 2, 4, dtype=torch.uint8))).shape
    torch.Size([3, 2, 4])
    """
    if isinstance(input, list):
        return [_decode(one, mode, ["JPEG"], apply_exif_orientation) for one in input]
    return _decode(input, mode, ["JPEG"], apply_exif_orientation)


def decode_webp(input, mode=ImageReadMode.UNCHANGED):
    """Decode a WebP picture.

    Returns:
        Tensor ``(C, H, W)``, uint8.

    Raises:
        RuntimeError: The bytes are not a WebP picture.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import decode_webp
    >>> decode_webp(torch.zeros(4, dtype=torch.uint8))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    RuntimeError: ...
    """
    return _decode(input, mode, ["WEBP"])


def decode_gif(input):
    """Decode a GIF file.

    Returns:
        Tensor ``(3, H, W)``, uint8: red, green and blue; ``(N, 3, H, W)`` for several pictures.

    Raises:
        RuntimeError: The bytes are not a GIF picture.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import decode_gif
    >>> decode_gif(torch.zeros(4, dtype=torch.uint8))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    RuntimeError: ...
    """
    return _decode(input, ImageReadMode.RGB, ["GIF"])


def _encode(input, name, format, **options):
    if input.dtype is not torch.uint8 or input.ndim != 3 or input.shape[0] not in (1, 3):
        raise RuntimeError(
            f"{name}: expected (1 or 3, H, W) of torch.uint8, got {tuple(input.shape)} of "
            f"{input.dtype}"
        )
    array = input.numpy()
    image = from_array(array[0], "L") if len(array) == 1 else from_array(
        array.transpose(1, 2, 0), "RGB"
    )  # fmt: skip
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return torch.from_numpy(np.frombuffer(bytearray(stream.getvalue()), np.uint8))


def encode_png(input, compression_level=6):
    """Encode an image as a PNG file.

    Args:
        input: Tensor ``(1, H, W)`` or ``(3, H, W)``, uint8.

    Returns:
        Tensor ``(N,)``, uint8: the bytes of the file.

    Raises:
        RuntimeError: The image has another shape or dtype, or the level is not from 0 to 9.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import encode_png
    >>> encode_png(torch.zeros(3, 2, 4, dtype=torch.uint8))[1:4].numpy().tobytes()
    b'PNG'
    """
    if not 0 <= compression_level <= 9:
        raise RuntimeError(
            f"encode_png: compression_level must be from 0 to 9, got {compression_level}"
        )
    return _encode(input, "encode_png", "PNG", compress_level=compression_level)


def write_png(input, filename, compression_level=6):
    """Encode an image as a PNG file and write it.

    Args:
        input: Tensor ``(1, H, W)`` or ``(3, H, W)``, uint8.

    >>> import pathlib, tempfile, rushlight as torch
    >>> from rushlight.vision.io import read_image, write_png
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "image.png")
    ...     write_png(torch.zeros(3, 2, 4, dtype=torch.uint8), path)
    ...     read_image(path).shape
    torch.Size([3, 2, 4])
    """
    write_file(filename, encode_png(input, compression_level))


def encode_jpeg(input, quality=75):
    """Encode an image, or each image of a list, as a JPEG file.

    Args:
        input: Tensor ``(1, H, W)`` or ``(3, H, W)``, uint8; or a list of such tensors.

    Returns:
        Tensor ``(N,)``, uint8: the bytes of the file; a list of tensors for a list.

    Raises:
        RuntimeError: The image has another shape or dtype.
        ValueError: The quality is not from 1 to 100.

    >>> import rushlight as torch
    >>> from rushlight.vision.io import encode_jpeg
    >>> encode_jpeg(torch.zeros(3, 2, 4, dtype=torch.uint8)).dtype
    torch.uint8
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"encode_jpeg: quality must be from 1 to 100, got {quality}")
    if isinstance(input, list):
        return [encode_jpeg(one, quality) for one in input]
    return _encode(input, "encode_jpeg", "JPEG", quality=quality)


def write_jpeg(input, filename, quality=75):
    """Encode an image as a JPEG file and write it.

    Args:
        input: Tensor ``(1, H, W)`` or ``(3, H, W)``, uint8.

    >>> import pathlib, tempfile, rushlight as torch
    >>> from rushlight.vision.io import read_image, write_jpeg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "image.jpg")
    ...     write_jpeg(torch.zeros(3, 2, 4, dtype=torch.uint8), path)
    ...     read_image(path).shape
    torch.Size([3, 2, 4])
    """
    write_file(filename, encode_jpeg(input, quality))
