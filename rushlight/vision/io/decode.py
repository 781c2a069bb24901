"""The pixels of PNG, JPEG, GIF and WebP files as arrays (C, H, W), converted as torchvision does.

Pillow decodes the files. Its own conversions are left out where torchvision has the ones of libpng
and libjpeg, whose rounding differs.
"""

import io
import struct
import warnings
import zlib

import numpy as np

from rushlight.vision.images import pillow

__all__ = ["decode"]


def decode(data, mode, formats, apply_exif_orientation=False):
    """Decode the bytes of a file.

    Args:
        data: Bytes of the file.
        mode: Name of an ``ImageReadMode``.
        formats: Pillow's names of the formats that are allowed.
        apply_exif_orientation: Turn PNG and JPEG pictures as their metadata says.

    Returns:
        Array ``(C, H, W)``, uint8, or uint16 for PNG files of 16 bits; ``(N, 3, H, W)`` for GIF
        files of several pictures.

    Raises:
        RuntimeError: The bytes are not a picture of these formats, or its format lacks the mode.
    """
    try:
        image = pillow().open(io.BytesIO(data), formats=formats)
        if image.format == "GIF":
            return _gif(image)
        pixels = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}[image.format](image, mode, data)
        turned = image.getexif().get(_ORIENTATION) if apply_exif_orientation else None
    except (OSError, SyntaxError, ValueError) as error:
        raise RuntimeError(f"decode: not an image that can be read: {error}") from error
    pixels = pixels.transpose(2, 0, 1)
    if turned in _TURNS and image.format != "WEBP":
        pixels = _TURNS[turned](pixels)
    return np.ascontiguousarray(pixels)


# The eight values of the tag, as functions of an array (C, H, W). Source: EXIF 2.3, section 4.6.4.
_ORIENTATION = 0x0112
_TURNS = {
    2: lambda x: x[:, :, ::-1],
    3: lambda x: x[:, ::-1, ::-1],
    4: lambda x: x[:, ::-1],
    5: lambda x: x.mT,
    6: lambda x: x.mT[:, :, ::-1],
    7: lambda x: x.mT[:, ::-1, ::-1],
    8: lambda x: x.mT[:, ::-1],
}


def _array(image):
    array = np.array(image)
    return array[:, :, None] if array.ndim == 2 else array


def _gif(image):
    """All pictures in colour, (3, H, W) or (N, 3, H, W)."""
    frames = pillow("ImageSequence").Iterator(image)
    found = np.stack([_array(frame.convert("RGB")).transpose(2, 0, 1) for frame in frames])
    return found[0] if len(found) == 1 else found


def _webp(image, mode, data):
    if mode in ("GRAY", "GRAY_ALPHA"):
        warnings.warn("decode: WebP is not converted to grey: the colours are kept", stacklevel=5)
    if mode in ("RGB", "RGB_ALPHA"):
        image = image.convert("RGBA" if mode == "RGB_ALPHA" else "RGB")
    return _array(image)


def _jpeg(image, mode, data):
    if mode in ("GRAY_ALPHA", "RGB_ALPHA"):
        raise RuntimeError(f"decode: JPEG files have no alpha: mode {mode} is not supported")
    if mode == "GRAY":
        image.draft("L", image.size)  # the decoder's luma; no colours are decoded
    if mode == "UNCHANGED":
        array = _array(image)
        return 255 - array if image.mode == "CMYK" else array  # Pillow inverts all four
    return _array(image.convert({"GRAY": "L"}.get(mode, mode)))


# PNG --------------------------------------------------------------------------------------

_DEPTH, _COLOURS = 24, 25  # the places of the bits per channel and of the colour type in a file
_PALETTE, _GRAY_ALPHA = 3, 4


def _png(image, mode, data):
    depth, kind = data[_DEPTH], data[_COLOURS]
    if kind == _PALETTE:
        if mode == "UNCHANGED":
            return _array(image)
        pixels, top, opaque = _array(image.convert("RGBA")), 255, 255
    else:
        pixels = _wide(image, data) if depth == 16 else _narrow(image)
        top, opaque = (1 << max(depth, 8)) - 1, (1 << depth) - 1
        if mode == "UNCHANGED":
            return pixels
    colours, alpha = pixels, None
    if pixels.shape[2] in (2, 4):
        colours, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    if mode in ("GRAY", "GRAY_ALPHA"):
        if colours.shape[2] == 3:
            colours = _gray(colours, _gamma(image), top)
    elif colours.shape[2] == 1:
        colours = np.repeat(colours, 3, 2)
    if not mode.endswith("ALPHA"):
        return colours
    if alpha is None:  # as in torchvision, the largest number before pixels of 1 to 4 bits widen
        alpha = np.full_like(colours[:, :, :1], opaque)
    return np.concatenate([colours, alpha], 2)


def _narrow(image):
    return _array(image.convert("L") if image.mode == "1" else image)


def _wide(image, data):
    """Pixels of 16 bits per channel. Pillow keeps only 8, except in pictures of one channel."""
    if image.mode not in ("RGB", "RGBA"):
        return _array(image).astype(np.uint16)
    if data[_COLOURS] == _GRAY_ALPHA:  # two channels of 16 bits are read as four of 8 bits
        header = data[12:_DEPTH] + bytes([8, 6]) + data[26:29]
        data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        return _array(pillow().open(io.BytesIO(data))).view(">u2").astype(np.uint16)
    halves = []
    for order in "BL":  # the high bytes, and the low bytes as if they were the high ones
        image = pillow().open(io.BytesIO(data))
        image.tile = [(*tile[:3], f"{image.mode};16{order}") for tile in image.tile]
        halves.append(_array(image).astype(np.uint16))
    return halves[0] << 8 | halves[1]


def _gamma(image):
    """The exponent of the file's pixels, in units of 1/100,000; None if the file names none."""
    gamma = 45455 if "srgb" in image.info else round(image.info.get("gamma", 0) * 100_000)
    return None if gamma == 0 or abs(gamma - 100_000) <= 5_000 else gamma


def _gray(colours, gamma, top):
    """The grey values of ``colours`` (H, W, 3), computed as by libpng.

    The shares of the channels are 0.2989, 0.587 and the rest, in units of 2⁻¹⁵. With ``gamma``
    they are those of light, and not of the pixels.
    """
    shares, half = np.array([9794, 19234, 3740], np.int64), 1 << 14
    wide = colours.astype(np.int64)
    if gamma is None:
        found = (wide @ shares + (half if top > 255 else 0)) >> 15
    else:
        to_light, back = [_curve(g, top) for g in (round(1e10 / gamma), gamma)]
        found = back[(to_light[wide] @ shares + half) >> 15]
    equal = (colours == colours[:, :, :1]).all(2)
    return np.where(equal, colours[:, :, 0], found).astype(colours.dtype)[:, :, None]


def _curve(gamma, top):
    """The integers up to ``top`` to the power of ``gamma`` / 100,000, scaled to the same range."""
    share = np.arange(top + 1) / top
    return np.floor(top * share ** (gamma * 1e-5) + 0.5).astype(np.int64)
