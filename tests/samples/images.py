"""Samples of transposed convolution, uneven pooling, resampling and the rest on images."""

# A table: one sample a line.
# fmt: off

from tests.samples.networks import f
from tests.samples.sample import floats, sample

for _kw in ({}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2, "dilation": 2, "output_padding": 1}):
    sample("conv_transpose2d", f("conv_transpose2d", **_kw), floats(2, 4, 3, 4), floats(4, 2, 3, 2, seed=1), floats(4 if _kw.get("groups") else 2, seed=2), tolerance=1e-4)
sample("conv_transpose1d", f("conv_transpose1d", stride=3), floats(3, 5), floats(3, 2, 2, seed=1), tolerance=1e-4)
sample("conv_transpose3d", f("conv_transpose3d", padding=1), floats(1, 2, 2, 3, 3), floats(2, 1, 2, 3, 2, seed=1), tolerance=1e-4)

sample("adaptive_max_pool1d", f("adaptive_max_pool1d", output_size=3), floats(2, 2, 7))
sample("adaptive_max_pool2d", f("adaptive_max_pool2d", output_size=(2, 3), return_indices=True), floats(2, 2, 5, 7))
sample("adaptive_max_pool2d", f("adaptive_max_pool2d", output_size=2), floats(2, 2, 4, 6))
sample("adaptive_max_pool3d", f("adaptive_max_pool3d", output_size=(1, 2, 3)), floats(1, 2, 2, 3, 5))
sample("fractional_max_pool2d", f("fractional_max_pool2d", kernel_size=2, output_size=3, return_indices=True), floats(2, 2, 7, 8), draws=True)
sample("fractional_max_pool3d", f("fractional_max_pool3d", kernel_size=2, output_size=2), floats(2, 2, 4, 5, 6), draws=True)
sample("max_unpool2d", lambda t, x: t.nn.functional.max_unpool2d(*t.nn.functional.max_pool2d(x, 2, return_indices=True), 2), floats(2, 2, 4, 6))
sample("max_unpool1d", lambda t, x: t.nn.functional.max_unpool1d(*t.nn.functional.max_pool1d(x, 2, return_indices=True), 2, output_size=(7,)), floats(2, 2, 7))
sample("max_unpool3d", lambda t, x: t.nn.functional.max_unpool3d(*t.nn.functional.max_pool3d(x, 2, return_indices=True), 2), floats(1, 2, 4, 4, 2))
sample("lp_pool2d", f("lp_pool2d", norm_type=2.0, kernel_size=2), floats(2, 2, 4, 6))
sample("instance_norm", f("instance_norm"), floats(2, 3, 4), tolerance=1e-4)
sample("instance_norm", lambda t, x, w, b: t.nn.functional.instance_norm(x, x.new_zeros(3), x.new_ones(3), w, b), floats(2, 3, 2, 2), floats(3, seed=1), floats(3, seed=2), tolerance=1e-4)

for _mode, _shape in (("nearest", (2, 3)), ("nearest-exact", (2, 3)), ("linear", (2, 3)), ("nearest", (2, 3, 4)), ("nearest-exact", (2, 3, 4)), ("bilinear", (2, 3, 4)),
                      ("bicubic", (2, 3, 4)), ("nearest", (2, 3, 2, 4)), ("nearest-exact", (2, 3, 2, 4)), ("trilinear", (2, 3, 2, 4))):
    sample(f"interpolate_{_mode}", f("interpolate", scale_factor=2, mode=_mode), floats(1, *_shape), dtypes=("float64", "bfloat16"))
    sample(f"interpolate_{_mode}", f("interpolate", size=5, mode=_mode), floats(1, *_shape))
for _mode in ("bilinear", "bicubic", "lanczos"):
    sample(f"interpolate_{_mode}", f("interpolate", size=(3, 2), mode=_mode, antialias=True), floats(1, 2, 7, 5))
