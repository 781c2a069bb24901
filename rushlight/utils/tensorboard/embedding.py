"""The files of TensorBoard's projector: points, their labels and images, and a list of these."""

import math
import os
from urllib.parse import quote

import numpy as np

from rushlight.utils.tensorboard.images import png
from rushlight.utils.tensorboard.summary import plain

__all__ = ["write_embedding"]


def write_embedding(folder, mat, metadata, label_img, step, tag, header):
    """Write the files of an embedding to a folder of its own, and note it in the list.

    Raises:
        AssertionError: there is another number of labels or images than of points.
    """
    points = plain(mat)
    if points.ndim != 2:
        raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
    name = f"{str(step).zfill(5)}/{quote(tag, safe=' ').replace('.', '%2E')}"
    place = os.path.join(folder, name)
    os.makedirs(place, exist_ok=True)
    lines = [f'tensor_name: "{tag}:{str(step).zfill(5)}"', f'tensor_path: "{name}/tensors.tsv"']
    if metadata is not None:
        if len(metadata) != len(points):
            raise AssertionError("#labels should equal with #data points")
        rows = [["\t".join(map(str, row))] if header else [str(row)] for row in metadata]
        if header:
            rows.insert(0, ["\t".join(header)])
        _write(os.path.join(place, "metadata.tsv"), rows)
        lines.append(f'metadata_path: "{name}/metadata.tsv"')
    if label_img is not None:
        pictures = plain(label_img)
        if len(pictures) != len(points):
            raise AssertionError("#images should equal with #data points")
        with open(os.path.join(place, "sprite.png"), "wb") as file:
            file.write(png(_sprite(pictures)))
        height, width = pictures.shape[2:]
        lines.append(
            f'sprite {{ image_path: "{name}/sprite.png" '
            f"single_image_dim: {width} single_image_dim: {height} }}"
        )
    _write(os.path.join(place, "tensors.tsv"), points.tolist())
    with open(os.path.join(folder, "projector_config.pbtxt"), "a", encoding="utf-8") as file:
        file.write(f"embeddings {{ {' '.join(lines)} }}\n")


def _write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(["\t".join(map(str, row)) + "\n" for row in rows])


def _sprite(pictures):
    """The uint8 pixels of a square grid of all pictures ``(N, C, H, W)``."""
    n, channels, height, width = pictures.shape
    side = math.ceil(math.sqrt(n))
    scale = 1 if pictures.dtype == np.uint8 else 255
    pixels = (pictures.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)
    out = np.zeros((side * height, side * width, channels), np.uint8)
    for i, picture in enumerate(pixels):
        y, x = i // side * height, i % side * width
        out[y : y + height, x : x + width] = picture.transpose(1, 2, 0)
    return out
