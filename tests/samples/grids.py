"""Samples of grids, patches, shuffles, bags and forms of two inputs."""

# A table: one sample a line.
# fmt: off

import itertools

import numpy as np

from tests.samples.networks import f
from tests.samples.sample import floats, ints, sample

HALF = ("float64", "float16", "bfloat16")

# Points read from an image; the gradient of those that lie on a line between pixels is one-sided.
_image, _volume = floats(2, 3, 4, 5), floats(2, 2, 3, 4, 3)
_points, _points3 = floats(2, 3, 4, 2, low=-1.6, high=1.6), floats(2, 2, 3, 2, 3, low=-1.6, high=1.6)
for _mode, _padding, _align in itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (True, False)):
    _kw = {"mode": _mode, "padding_mode": _padding, "align_corners": _align}
    sample("grid_sample", f("grid_sample", **_kw), _image, _points, tolerance=1e-4, second=_padding == "zeros")
    if _mode != "bicubic":
        sample("grid_sample_3d", f("grid_sample", **_kw), _volume, _points3, tolerance=1e-4, second=False)
sample("grid_sample", f("grid_sample", padding_mode="reflection", align_corners=True), floats(1, 1, 1, 4), _points[:1], tolerance=1e-4, second=False)
sample("grid_sample", f("grid_sample", align_corners=False), floats(1, 0, 3, 4), _points[:1], second=False)
for _n, _places in ((0, 4), (2, 0)):
    sample("grid_sample", f("grid_sample", align_corners=False), floats(_n, 2, 3, 4), floats(_n, 3, _places, 2), second=False)
for _align in (True, False):
    sample("affine_grid", lambda t, x, a=_align: t.nn.functional.affine_grid(x, (2, 1, 3, 4), a), floats(2, 2, 3))
    sample("affine_grid", lambda t, x, a=_align: t.nn.functional.affine_grid(x, (1, 1, 2, 4, 3), a), floats(1, 3, 4))

for _kw in ({"kernel_size": 2}, {"kernel_size": (2, 3), "stride": (2, 1), "padding": (0, 1)}, {"kernel_size": (3, 1), "dilation": (2, 1), "padding": 1, "stride": 2}):
    sample("unfold_images", f("unfold", **_kw), floats(2, 2, 5, 4), dtypes=HALF)
sample("unfold_images", f("unfold", kernel_size=2), floats(2, 5, 4))
sample("unfold_images", f("unfold", kernel_size=2), floats(0, 2, 5, 4))
sample("unfold_images", f("unfold", kernel_size=2), floats(1, 2, 2))  # the image is the one window
sample("fold", f("fold", output_size=(4, 5), kernel_size=2), floats(2, 8, 12), dtypes=HALF)
sample("fold", f("fold", output_size=(5, 4), kernel_size=(2, 3), stride=(2, 1), padding=(0, 1)), floats(12, 8))
sample("fold", f("fold", output_size=6, kernel_size=(3, 1), dilation=(2, 1), padding=1, stride=2), floats(1, 6, 8))

sample("pixel_shuffle", lambda t, x: t.pixel_shuffle(x, 2), floats(2, 8, 3, 2))
sample("pixel_unshuffle", lambda t, x: t.pixel_unshuffle(x, 2), floats(2, 4, 6))
sample("channel_shuffle", lambda t, x: t.channel_shuffle(x, 3), floats(2, 6, 3, 2))
sample("bilinear", lambda t, *xs: t.bilinear(*xs), floats(2, 3, 2), floats(2, 3, 4, seed=1), floats(5, 2, 4, seed=2), floats(5, seed=3), tolerance=1e-4)
sample("bilinear", f("bilinear"), floats(3), floats(2, seed=1), floats(4, 3, 2, seed=2), tolerance=1e-4)
for _size in (1, 2, 3, 5):
    sample("local_response_norm", f("local_response_norm", size=_size, alpha=0.7, k=1.3), floats(2, 4, 3), tolerance=1e-4)
sample("local_response_norm", f("local_response_norm", size=3), floats(1, 4, 2, 3))

_index, _offsets = ints(7, low=0, high=5), np.array([0, 2, 2, 6])
for _mode, _last, _padding in itertools.product(("sum", "mean", "max"), (False, True), (None, 1)):
    _kw = {"mode": _mode, "padding_idx": _padding}
    sample("embedding_bag", lambda t, i, o, w, kw=_kw, last=_last: t.nn.functional.embedding_bag(i, w, o, include_last_offset=last, **kw),
           _index, np.append(_offsets, 7) if _last else _offsets, floats(5, 3), numeric=_padding is None)
    sample("embedding_bag", lambda t, i, w, kw=_kw: t.nn.functional.embedding_bag(i, w, **kw), _index[:6].reshape(2, 3), floats(5, 3), numeric=_padding is None)
for _padding in (None, 1):
    sample("embedding_bag", lambda t, i, o, w, s, p=_padding: t.nn.functional.embedding_bag(i, w, o, mode="sum", per_sample_weights=s, padding_idx=p),
           _index, _offsets, floats(5, 3), floats(7, seed=1), numeric=_padding is None)
for _mode in ("sum", "mean"):
    sample("embedding_bag", lambda t, i, o, w, m=_mode: t.nn.functional.embedding_bag(i, w, o, mode=m, scale_grad_by_freq=True),
           np.array([3, 1, 1, 4, 3, 4]), _offsets, floats(5, 3), numeric=False)  # each row twice: else PyTorch takes another row's count
sample("embedding_bag", lambda t, i, o, w: t.nn.functional.embedding_bag(i, w.clone(), o, max_norm=1.0), _index, _offsets, floats(5, 3), numeric=False)
