"""torch.utils.tensorboard.summary: one encoded Summary for each kind of value.

Source of the numbers of fields: the ``.proto`` files of TensorBoard, https://github.com/tensorflow/tensorboard
"""

import io
import json
import wave

import numpy as np

from rushlight.tensor import Tensor
from rushlight.utils.tensorboard import images
from rushlight.utils.tensorboard.wire import (
    Message,
    double,
    doubles,
    floats,
    flt,
    integer,
    message,
    sized,
    varint,
)

__all__ = [
    "Summary", "audio", "custom_scalars", "histogram", "histogram_raw", "image", "image_boxes",
    "mesh", "plain", "pr_curve", "pr_curve_raw", "scalar", "tensor_proto", "text", "video",
]  # fmt: skip

#: From a dtype's name to its number in TensorBoard's files.
_DTYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8,
    "int64": 9, "bool": 10, "complex128": 18,
}  # fmt: skip
_FLOAT, _DOUBLE, _STRING = 1, 2, 7
_SCALARS = 1  # a class of data, for TensorBoard to choose a storage


class Summary(Message):
    """An encoded Summary: values with their tags."""


def plain(value):
    """Return a tensor, an array, a number or a text as an array; half precision as float32.

    Raises:
        NotImplementedError: the value is another object, such as a list.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        small = value.itemsize < 4 and value.is_floating_point()
        return (value.float() if small else value).numpy()
    if not (isinstance(value, np.ndarray) or np.isscalar(value)):
        raise NotImplementedError(
            f"Got {type(value)}, but numpy array or torch tensor are expected."
        )
    return np.asarray(value)


def _listed(values):
    """Return values as an array, where PyTorch also takes lists of numbers or of tensors."""
    if isinstance(values, list | tuple):
        return np.stack([_listed(v) for v in values])
    return plain(values)


def _summary(tag, *fields):
    return Summary(sized(1, message(sized(1, tag), *fields)))


def _metadata(plugin, content=None, display_name=None, description=None, data_class=0):
    data = message(sized(1, plugin), sized(2, content) if content else None)
    named = [sized(n, t) for n, t in ((2, display_name), (3, description)) if t]
    return sized(9, message(sized(1, data), *named, integer(4, data_class)))


def _shape(sizes):
    return sized(2, message(*[sized(2, message(integer(1, n)) if n else b"") for n in sizes]))


def _tensor(dtype, sizes, values):
    return sized(8, message(integer(1, dtype), None if sizes is None else _shape(sizes), values))


def scalar(name, tensor, collections=None, new_style=False, double_precision=False):
    """Return the summary of a number, given as a number or as a tensor with one element."""
    array = plain(tensor).squeeze()
    if array.ndim != 0:
        raise AssertionError(
            f"Tensor should contain one element (0 dimensions). Was given size: "
            f"{array.size} and {array.ndim} dimensions."
        )
    value = float(array)
    if not new_style:
        return _summary(name, flt(2, value))
    values = doubles(6, [value]) if double_precision else floats(5, [value])
    dtype = _DOUBLE if double_precision else _FLOAT
    return _summary(name, _tensor(dtype, None, values), _metadata("scalars", data_class=_SCALARS))


def tensor_proto(tag, tensor):
    """Return the summary of a tensor with all its elements."""
    array = plain(tensor)
    values = sized(4, np.ascontiguousarray(array).tobytes())
    found = _tensor(_DTYPES[array.dtype.name], array.shape, values)
    return _summary(tag, found, _metadata("tensor"))


def histogram_raw(name, min, max, num, sum, sum_squares, bucket_limits, bucket_counts):
    """Return the summary of a histogram of given counts."""
    if len(bucket_limits) != len(bucket_counts):
        raise ValueError(
            f"len(bucket_limits) != len(bucket_counts): {len(bucket_limits)}, {len(bucket_counts)}"
        )
    numbers = [double(i, v) for i, v in enumerate((min, max, num, sum, sum_squares), 1)]
    lists = doubles(6, list(bucket_limits)), doubles(7, list(bucket_counts))
    return _summary(name, sized(5, message(*numbers, *lists)))


def histogram(name, values, bins, max_bins=None):
    """Return the summary of a histogram of ``values``, from the first used bin to the last one."""
    values = plain(values).astype(float).reshape(-1)
    if values.size == 0:
        raise ValueError("The input has no element.")
    counts, limits = np.histogram(values, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        step = len(counts) // max_bins
        rest = -len(counts) % step
        counts = np.pad(counts, (0, rest)).reshape(-1, step).sum(1)
        limits = np.append(limits[:-1:step], limits[-1])
    used = np.flatnonzero(counts)
    if used.size == 0:
        raise ValueError("The histogram is empty, please file a bug report.")
    # One empty bin before the first used one says where that begins.
    first, last = used[0], used[-1] + 1
    counts = np.append(0, counts[:last]) if first == 0 else counts[first - 1 : last]
    return histogram_raw(
        name, values.min(), values.max(), len(values), values.sum(), values.dot(values),
        limits[first : last + 1].tolist(), counts.tolist(),
    )  # fmt: skip


def default_bins():
    """Return the edges of TensorFlow's histograms: 0 and powers of 1.1, of both signs."""
    edges, v = [], 1e-12
    while v < 1e20:
        edges.append(v)
        v *= 1.1
    return [-e for e in reversed(edges)] + [0] + edges


def _pixels(tensor, dataformats):
    array = plain(tensor)
    scale = 1 if array.dtype == np.uint8 else 255
    array = images.as_hwc(array, dataformats)
    return (array.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)


def _image(tag, pixels):
    height, width, channels = pixels.shape
    sizes = integer(1, height), integer(2, width), integer(3, channels)
    return _summary(tag, sized(4, message(*sizes, sized(4, images.png(pixels)))))


def image(tag, tensor, rescale=1, dataformats="NCHW"):
    """Return the summary of an image or of a batch of images."""
    return _image(tag, _rescaled(_pixels(tensor, dataformats), rescale))


def image_boxes(tag, tensor_image, tensor_boxes, rescale=1, dataformats="CHW", labels=None):
    """Return the summary of an image with rectangles on it."""
    pixels = _pixels(tensor_image, dataformats)
    return _image(tag, _rescaled(images.drawn(pixels, plain(tensor_boxes), labels), rescale))


def _rescaled(pixels, factor):
    if factor == 1:
        return pixels
    from PIL import Image

    height, width, _ = pixels.shape
    size = int(width * factor), int(height * factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def video(tag, tensor, fps=4):
    """Return the summary of clips ``(N, T, C, H, W)``: a GIF in which they run side by side."""
    from PIL import Image

    clips = plain(tensor)
    scale = 1 if clips.dtype == np.uint8 else 255
    clips = (clips.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)
    frames = [Image.fromarray(images.as_hwc(clips[:, t], "NCHW")) for t in range(clips.shape[1])]
    file = io.BytesIO()
    frames[0].save(
        file, "GIF", save_all=True, append_images=frames[1:], duration=1000 / fps, loop=0
    )
    sizes = integer(1, frames[0].height), integer(2, frames[0].width), integer(3, clips.shape[2])
    return _summary(tag, sized(4, message(*sizes, sized(4, file.getvalue()))))


def audio(tag, tensor, sample_rate=44100):
    """Return the summary of a sound: numbers in [-1, 1], as a WAV file."""
    array = plain(tensor).squeeze().clip(-1, 1)
    if array.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, sample_rate, len(array), "NONE", ""))
        out.writeframes((array * np.iinfo(np.int16).max).astype("<i2").tobytes())
    fields = flt(1, sample_rate), integer(2, 1), integer(3, len(array))
    content = sized(4, file.getvalue()), sized(5, "audio/wav")
    return _summary(tag, sized(6, message(*fields, *content)))


def text(tag, text):
    """Return the summary of a text, which may be Markdown."""
    value = _tensor(_STRING, [1], sized(8, text))
    return _summary(f"{tag}/text_summary", value, _metadata("text"))


def custom_scalars(layout):
    """Return the summary of a layout: ``{category: {title: (kind, tags)}}``."""
    categories = []
    for name, charts in layout.items():
        made = [sized(2, _chart(title, *chart)) for title, chart in charts.items()]
        categories.append(sized(2, message(sized(1, name), *made)))
    value = _tensor(_STRING, None, sized(8, message(*categories)))
    return _summary("custom_scalars__config__", value, _metadata("custom_scalars"))


def _chart(title, kind, tags):
    if kind == "Multiline":
        content = sized(2, message(*[sized(1, tag) for tag in tags]))
    elif kind == "Margin":
        if len(tags) != 3:
            raise AssertionError("a margin chart takes three tags: value, lower and upper")
        series = message(*[sized(i, tag) for i, tag in enumerate(tags, 1)])
        content = sized(3, message(sized(1, series)))
    else:
        raise ValueError(f"custom_scalars: a chart is 'Multiline' or 'Margin', not {kind!r}")
    return message(sized(1, title), content)


def pr_curve_raw(tag, tp, fp, tn, fn, precision, recall, num_thresholds=127, weights=None):
    """Return the summary of a curve of precision and recall, of given counts."""
    n = min(num_thresholds, 127)
    data = _listed((tp, fp, tn, fn, precision, recall))
    value = _tensor(_FLOAT, data.shape, floats(5, data.reshape(-1).tolist()))
    return _summary(tag, value, _metadata("pr_curves", message(integer(2, n))))


def pr_curve(tag, labels, predictions, num_thresholds=127, weights=None):
    """Return the summary of a curve of precision and recall, of labels and predictions."""
    n = min(num_thresholds, 127)
    labels, predictions = plain(labels).astype(float), plain(predictions)
    weights = 1.0 if weights is None else _listed(weights)
    bins = np.floor(predictions * (n - 1)).astype(np.int32)

    def at_least(weight):  # the sum of the weights from each threshold on
        counts, _ = np.histogram(bins, n, (0, n - 1), weights=weight)
        return counts[::-1].cumsum()[::-1]

    tp, fp = at_least(labels * weights), at_least((1.0 - labels) * weights)
    tn, fn = fp[0] - fp, tp[0] - tp
    precision, recall = tp / np.maximum(1e-7, tp + fp), tp / np.maximum(1e-7, tp + fn)
    return pr_curve_raw(tag, tp, fp, tn, fn, precision, recall, n)


_MESH_PARTS = ("VERTEX", 1), ("FACE", 2), ("COLOR", 3)


def mesh(tag, vertices, colors, faces, config_dict, display_name=None, description=None):
    """Return the summary of a mesh of points ``(N, P, 3)``, with colours and faces."""
    parts = {"VERTEX": vertices, "FACE": faces, "COLOR": colors}
    given = [(n, i, plain(parts[n])) for n, i in _MESH_PARTS if parts[n] is not None]
    components = sum([1 << i for _, i, _ in given])
    config = json.dumps(config_dict or {}, sort_keys=True)
    values = []
    for name, kind, array in given:
        content = message(
            sized(2, tag), integer(3, kind), sized(5, config),
            sized(6, b"".join(map(varint, array.shape))), integer(7, components),
        )  # fmt: skip
        array = array.astype(np.float32)
        value = _tensor(_FLOAT, array.shape, sized(4, array.tobytes()))
        values.append(_summary(
            f"{tag}_{name}", value, _metadata("mesh", content, display_name, description)
        ))  # fmt: skip
    return Summary(b"".join(values))


def __getattr__(name):
    if name != "hparams":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.utils.tensorboard.hparams import hparams

    return hparams
