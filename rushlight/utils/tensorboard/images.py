"""Images of summaries: arrays of any layout as PNG."""

import struct
import zlib

import numpy as np

__all__ = ["as_hwc", "drawn", "figure_image", "png"]


def png(image):
    """Return a PNG file of uint8 pixels ``(H, W, C)`` with 1 (grey), 3 or 4 channels."""
    height, width, channels = image.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    head = struct.pack(">2I5B", width, height, 8, kind, 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # before each row: no filter
    rows[:, 1:] = image.reshape(height, -1)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    out = [b"\x89PNG\r\n\x1a\n"]
    for name, data in chunks:
        out += struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(name + data))
    return b"".join(out)


def as_hwc(array, layout):
    """Return ``array`` as ``(H, W, 3)`` (or 4 channels). ``layout`` names its dims, as ``"NCHW"``.

    A batch becomes a grid of up to 8 images in a row. Grey becomes three equal channels.

    Raises:
        AssertionError: ``layout`` has a dim twice, or another number of dims than the array.
    """
    layout = layout.upper()
    if len(set(layout)) != len(layout) or len(layout) != array.ndim:
        raise AssertionError(
            f"dataformats {layout!r} must name each of the {array.ndim} dims of the image once"
        )
    if len(layout) == 4:
        array = _grid(array.transpose([layout.index(d) for d in "NCHW"]))
    elif len(layout) == 3:
        array = array.transpose([layout.index(d) for d in "HWC"])
    else:
        array = array.transpose([layout.index(d) for d in "HW"])[..., None]
    return np.concatenate([array] * 3, 2) if array.shape[2] == 1 else array


def _grid(images):
    n, channels, height, width = images.shape
    if channels == 1:
        images, channels = np.concatenate([images] * 3, 1), 3
    columns = min(n, 8)
    out = np.zeros((channels, height * -(-n // columns), width * columns), images.dtype)
    for i, image in enumerate(images):
        y, x = i // columns * height, i % columns * width
        out[:, y : y + height, x : x + width] = image
    return out.transpose(1, 2, 0)


def drawn(image, boxes, labels):
    """Return the uint8 pixels ``image`` with rectangles ``(x0, y0, x1, y1)`` and their labels."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    for i, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        draw.line([(x0, y0), (x0, y1), (x1, y1), (x1, y0), (x0, y0)], width=2, fill="Red")
        if labels is not None:
            _, top, right, bottom = draw.textbbox((0, 0), labels[i])
            draw.rectangle([x0, y1 - (bottom - top), x0 + right, y1], fill="Red")
            draw.text((x0, y1 - bottom), labels[i], fill="Black")
    return np.asarray(canvas)


def figure_image(figures, close):
    """Return the pixels ``(C, H, W)`` of a figure of Matplotlib, ``(N, C, H, W)`` of a list."""
    if isinstance(figures, list):
        return np.stack([figure_image(f, close) for f in figures])
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figures)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].transpose(2, 0, 1)
    if close:
        from matplotlib import pyplot

        pyplot.close(figures)
    return pixels
