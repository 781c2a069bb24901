"""Samples of functions of ``nn.functional`` with the arguments that they have in ``torch``."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import floats, ints, sample

_LOSSES = {
    "binary_cross_entropy_with_logits": lambda t, x, y, r: t.binary_cross_entropy_with_logits(x, y.sigmoid(), x.new_ones(4), None, r),
    "cosine_embedding_loss": lambda t, x, y, r: t.cosine_embedding_loss(x, y, t.tensor([1, -1, 1]), 0.1, r),
    "hinge_embedding_loss": lambda t, x, y, r: t.hinge_embedding_loss(x + 0.01, t.tensor([1.0, -1, 1, -1]).expand(3, 4), 1.1, r),
    "kl_div": lambda t, x, y, r: t.kl_div(x, y, r, log_target=True),
    "margin_ranking_loss": lambda t, x, y, r: t.margin_ranking_loss(x, y, t.tensor([1.0, -1, 1, -1]).expand(3, 4), 0.1, r),
    "poisson_nll_loss": lambda t, x, y, r: t.poisson_nll_loss(x, y.abs() + 1.5, True, True, 1e-8, r),
    "triplet_margin_loss": lambda t, x, y, r: t.triplet_margin_loss(x, y, y.flip(0), 1.0, 2.0, 1e-6, True, r),
}
for _name, _call in _LOSSES.items():
    for _reduction in (0, 1, 2):
        sample(_name, lambda t, x, y, f=_call, r=_reduction: f(t, x, y, r), floats(3, 4), floats(3, 4, seed=1),
               second=False, tolerance=1e-4)
sample("kl_div", lambda t, x, y: t.kl_div(x, y), floats(2, 3), floats(2, 3, low=0.1, seed=1), second=False)
sample("ctc_loss", lambda t, x, y: t.ctc_loss(x.log_softmax(2), y, (4, 3), (2, 1), 0, 0), floats(4, 2, 3), ints(2, 2, low=1, high=3),
       grad=False, tolerance=1e-4)
sample("ctc_loss", lambda t, x, y: t.ctc_loss(x.log_softmax(2), y, t.tensor([4, 3]), t.tensor([2, 1]), reduction=2), floats(4, 2, 3),
       ints(2, 2, low=1, high=3), grad=False, tolerance=1e-4)

_X, _W = floats(2, 3, 6), floats(4, 3, 2, seed=1)
sample("conv1d", lambda t, x, w: t.conv1d(x, w, None, 2, 1), _X, _W, tolerance=1e-4)
sample("conv2d", lambda t, x, w: t.conv2d(x[:, :, None], w[:, :, None], padding="same"), _X, _W[:, :, 1:], tolerance=1e-4)
sample("conv3d", lambda t, x, w: t.conv3d(x[:, :, None, None], w[:, :, None, None]), _X, _W, tolerance=1e-4)
sample("conv_transpose1d", lambda t, x, w: t.conv_transpose1d(x, w.transpose(0, 1), stride=2, output_padding=1), _X, _W, tolerance=1e-4)
sample("conv_transpose2d", lambda t, x, w: t.conv_transpose2d(x[:, :, None], w.transpose(0, 1)[:, :, None]), _X, _W, tolerance=1e-4)
sample("conv_tbc", lambda t, x, w: t.conv_tbc(x, w, x[0, 0, 0].expand(2), 1), floats(5, 2, 3), floats(2, 3, 2, seed=1), tolerance=1e-4)
sample("convolution", lambda t, x, w: t.convolution(x, w, None, [2], [1], [2], False, [0], 1), _X, _W, tolerance=1e-4)
sample("convolution", lambda t, x, w: t.convolution(x, w.transpose(0, 1), x[0, 0, :4], (2,), (0,), (1,), True, (1,), 1), _X, _W, tolerance=1e-4)
sample("convolution", lambda t, x, w: t.convolution(x[:, :, None], w[:, :, None], None, [1, 1], [0, 1], [1, 1], False, [0, 0], 1), _X, _W, tolerance=1e-4)

sample("batch_norm", lambda t, x, w: t.batch_norm(x, w, None, None, None, True, 0.1, 1e-5, True), _X, floats(3), tolerance=1e-4)
sample("batch_norm", lambda t, x, w: t.batch_norm(x, None, w, x.new_ones(3), x.new_ones(3) * 2, False, 0.1, 1e-5, False), _X, floats(3), tolerance=1e-4)
sample("instance_norm", lambda t, x, w: t.instance_norm(x, w, w, None, None, True, 0.1, 1e-5, True), _X, floats(3), tolerance=1e-4)
sample("layer_norm", lambda t, x, w: t.layer_norm(x, (6,), w, None, 1e-5, False), _X, floats(6), tolerance=1e-4)
sample("layer_norm", lambda t, x: t.layer_norm(x, [3, 6]), _X, tolerance=1e-4)
sample("group_norm", lambda t, x, w: t.group_norm(x, 3, w, w, cudnn_enabled=False), _X, floats(3), tolerance=1e-4)
sample("rms_norm", lambda t, x: t.rms_norm(x, (6,), eps=1e-5), _X, tolerance=1e-4)

_INDEX, _TABLE = np.array([1, 2, 0, 1, 3]), floats(5, 4)
sample("embedding", lambda t, w, i: t.embedding(w, i), _TABLE, _INDEX)
sample("embedding", lambda t, w, i: t.embedding(w, i, 1, True), _TABLE, _INDEX, numeric=False)
sample("embedding_renorm_", lambda t, w, i: t.embedding_renorm_(w.clone(), i, 1.0, 2.0), _TABLE, _INDEX, grad=False)
for _mode in (0, 1, 2):
    sample("embedding_bag", lambda t, w, i, o, m=_mode: t.embedding_bag(w, i, o, False, m)[:4 if m else 1], _TABLE, _INDEX, np.array([0, 2, 2]))
    sample("embedding_bag", lambda t, w, i, o, m=_mode: t.embedding_bag(w, i, o, False, m, False, None, False, 1), _TABLE, _INDEX,
           np.array([0, 2, 2]), numeric=False)
sample("embedding_bag", lambda t, w, p, i, o: t.embedding_bag(w, i, o, per_sample_weights=p)[0], _TABLE, floats(5, seed=1), _INDEX, np.array([0, 2]))

sample("max_pool1d", lambda t, x: t.max_pool1d(x, 2, 1), _X, grad=False)
sample("max_pool1d_with_indices", lambda t, x: t.max_pool1d_with_indices(x, 2, (2,), 1, 1, True), _X, dtypes=())
sample("max_pool2d", lambda t, x: t.max_pool2d(x, 2), _X)
sample("max_pool3d", lambda t, x: t.max_pool3d(x[None], 2), _X)
sample("avg_pool1d", lambda t, x: t.avg_pool1d(x, 4, 1, 1, count_include_pad=False), _X)
sample("adaptive_avg_pool1d", lambda t, x: t.adaptive_avg_pool1d(x, 4), _X)
sample("adaptive_max_pool1d", lambda t, x: t.adaptive_max_pool1d(x, 4), _X)

sample("celu", lambda t, x: t.celu(x, 0.7), floats(3, 4))
sample("celu", lambda t, x: t.celu_(x * 1), floats(3, 4))
sample("selu", lambda t, x: t.selu(x), floats(3, 4))
sample("selu", lambda t, x: t.selu_(x * 1), floats(0, 4))
sample("threshold", lambda t, x: t.threshold(x, 0.1, 3.0), floats(3, 4))
sample("threshold", lambda t, x: t.threshold_(x * 1, 0.1, 3), floats())
sample("rrelu", lambda t, x: t.rrelu_(x * 1, 0.1, 0.3), floats(3, 4), second=False)
sample("constant_pad_nd", lambda t, x: t.constant_pad_nd(x, (1, -1, 0, 2), 2.5), _X)
sample("constant_pad_nd", lambda t, x: t.constant_pad_nd(x, [1, 0]), ints(3))
sample("pdist", lambda t, x: t.pdist(x, 3.0), floats(4, 3), second=False, tolerance=1e-4)
sample("pairwise_distance", lambda t, x, y: t.pairwise_distance(x, y, 2, 1e-6, True), floats(3, 4), floats(4, seed=1))
sample("cosine_similarity", lambda t, x, y: t.cosine_similarity(x, y, dim=0), floats(3, 4), floats(3, 1, seed=1), second=False)
for _name in ("alpha_dropout", "feature_alpha_dropout", "feature_dropout"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, 0.4, True), _X, draws=True)
    sample(_name, lambda t, x, n=_name: getattr(t, n + "_")(x * 1, 0.4, train=True), _X, draws=True)
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, 0.4, False), _X)

_IMAGE, _GRID = floats(2, 2, 3, 4), floats(2, 2, 2, 2, low=-1.2, high=1.2, seed=1)
for _mode in (0, 1, 2):
    sample("grid_sampler_2d", lambda t, x, g, m=_mode: t.grid_sampler_2d(x, g, m, m, False), _IMAGE, _GRID, second=False, tolerance=1e-4, numeric=False)
    sample("grid_sampler", lambda t, x, g, m=_mode: t.grid_sampler(x, g, m, 0, True), _IMAGE, _GRID, second=False, tolerance=1e-4, numeric=False)
sample("grid_sampler_3d", lambda t, x, g: t.grid_sampler_3d(x, g, 0, 1, False), floats(1, 2, 3, 3, 2), floats(1, 1, 2, 2, 3, low=-0.9, high=0.9, seed=1),
       second=False, tolerance=1e-4, numeric=False)
sample("affine_grid_generator", lambda t, x: t.affine_grid_generator(x, (2, 1, 3, 2), False), floats(2, 2, 3))
sample("affine_grid_generator", lambda t, x: t.affine_grid_generator(x, [1, 1, 2, 3, 2], True), floats(1, 3, 4))
