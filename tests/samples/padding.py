"""Samples of pooling and padding in one and three dims, of embeddings and of losses over images."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.networks import f
from tests.samples.sample import floats, ints, sample

for _mode in ("reflect", "replicate", "circular"):
    sample("pad", f("pad", pad=(1, 2, 2, 0), mode=_mode), floats(2, 1, 3, 4))
    sample("pad", f("pad", pad=(1, 1, 0, 1, 1, 0), mode=_mode), floats(1, 1, 2, 3, 3))
sample("pad", f("pad", pad=(2, 1)), floats(3, t=True))
sample("pad", f("pad", pad=(1, 1), value=2.0), floats(2, 0))

sample("adaptive_avg_pool1d", f("adaptive_avg_pool1d", output_size=3), floats(2, 2, 7))
sample("adaptive_avg_pool3d", f("adaptive_avg_pool3d", output_size=(1, 2, 3)), floats(1, 2, 2, 3, 5))
sample("adaptive_avg_pool2d", f("adaptive_avg_pool2d", output_size=(None, 2)), floats(2, 3, 4))
sample("avg_pool3d", f("avg_pool3d", kernel_size=2, stride=1), floats(1, 2, 2, 3, 4))
sample("avg_pool2d", f("avg_pool2d", kernel_size=(2, 3), ceil_mode=True, divisor_override=4), floats(2, 5, 5))
sample("max_pool3d", f("max_pool3d", kernel_size=2, stride=1), floats(1, 2, 2, 3, 3))
sample("max_pool2d", f("max_pool2d", kernel_size=2, dilation=2, stride=1), floats(2, 5, 4))
sample("max_pool2d", f("max_pool2d", kernel_size=2), floats(0, 2, 4, 4), second=False)

sample("embedding", f("embedding", scale_grad_by_freq=True), ints(2, 3, low=0, high=3), floats(4, 3), numeric=False)
sample("embedding", lambda t, i, w: t.nn.functional.embedding(i, w.clone(), max_norm=1.0), ints(4, low=0, high=5),
       floats(5, 4), numeric=False)
sample("embedding", f("embedding"), ints(0, low=0, high=5), floats(5, 4))

_image = ints(2, 3, 2, low=0, high=4)
for _kw in ({}, {"reduction": "none"}, {"ignore_index": 1}):
    sample("nll_loss", lambda t, x, y, kw=_kw: t.nn.functional.nll_loss(t.log_softmax(x, 1), y, **kw),
           floats(2, 4, 3, 2), _image)
sample("cross_entropy", f("cross_entropy", label_smoothing=0.2, reduction="none"), floats(2, 4, 3, 2), _image)
sample("cross_entropy", f("cross_entropy"), floats(4), np.array(2))
sample("binary_cross_entropy_with_logits", lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(
    x, y, pos_weight=x.new_full((4,), 2.0), reduction="none"), floats(3, 4), floats(3, 4, low=0.1, high=0.9, seed=1))
