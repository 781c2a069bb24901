"""Calls whose results' dtypes autocast chooses: on each of its lists, and on none."""

__all__ = ["CASES"]


def F(t):
    return t.nn.functional


def _rnn(t, a, name):
    return getattr(t.nn, name)(3, 4, 2)(a(2, 1, 3).float())[0]


def _rnn_of_half(t, a, name):
    return getattr(t.nn, name)(3, 4)(a(2, 1, 3).to(t.get_autocast_dtype("cpu")))[0]


# fmt: off
#: name → call(t, a), where a(*shape) makes an input.
CASES = {
    "linear": lambda t, a: F(t).linear(a(2,3), a(4,3), a(4)),
    "linear3": lambda t, a: F(t).linear(a(2,5,3), a(4,3)),
    "bilinear": lambda t, a: F(t).bilinear(a(2,3), a(2,4), a(5,3,4)),
    "mm": lambda t, a: t.mm(a(2,3), a(3,2)),
    "matmul": lambda t, a: a(2,3) @ a(3,2),
    "matvec": lambda t, a: a(2,3) @ a(3),
    "vecvec": lambda t, a: t.matmul(a(3), a(3)),
    "mv": lambda t, a: t.mv(a(2,3), a(3)),
    "dot": lambda t, a: t.dot(a(3), a(3)),
    "outer": lambda t, a: t.outer(a(3), a(3)),
    "inner": lambda t, a: t.inner(a(2,3), a(2,3)),
    "bmm": lambda t, a: t.bmm(a(2,2,3), a(2,3,2)),
    "addmm": lambda t, a: t.addmm(a(2,2), a(2,3), a(3,2)),
    "addmv": lambda t, a: t.addmv(a(2), a(2,3), a(3)),
    "addbmm": lambda t, a: t.addbmm(a(2,2), a(2,2,3), a(2,3,2)),
    "baddbmm": lambda t, a: t.baddbmm(a(2,2,2), a(2,2,3), a(2,3,2)),
    "addr": lambda t, a: t.addr(a(2,2), a(2), a(2)),
    "einsum": lambda t, a: t.einsum("ij,jk->ik", a(2,3), a(3,2)),
    "tensordot": lambda t, a: t.tensordot(a(2,3), a(3,2), 1),
    "conv1d": lambda t, a: F(t).conv1d(a(1,2,6), a(3,2,3), a(3)),
    "conv2d": lambda t, a: F(t).conv2d(a(1,2,6,6), a(3,2,3,3), padding="same"),
    "conv3d": lambda t, a: F(t).conv3d(a(1,2,4,4,4), a(3,2,3,3,3)),
    "conv_t1": lambda t, a: F(t).conv_transpose1d(a(1,2,6), a(2,3,3)),
    "conv_t2": lambda t, a: F(t).conv_transpose2d(a(1,2,6,6), a(2,3,3,3)),
    "prelu": lambda t, a: F(t).prelu(a(2,3), a(3)),
    "sdpa": lambda t, a: F(t).scaled_dot_product_attention(a(1,4,3), a(1,4,3), a(1,4,3)),
    "sdpa_mask": lambda t, a: F(t).scaled_dot_product_attention(a(1,4,3), a(1,4,3), a(1,4,3), a(4,4)),
    "relu": lambda t, a: t.relu(a(3)), "gelu": lambda t, a: F(t).gelu(a(3)), "exp": lambda t, a: a(3).exp(),
    "softmax": lambda t, a: F(t).softmax(a(2,3), -1), "log_softmax": lambda t, a: F(t).log_softmax(a(2,3), -1),
    "layer_norm": lambda t, a: F(t).layer_norm(a(2,3), (3,), a(3), a(3)),
    "batch_norm": lambda t, a: F(t).batch_norm(a(2,3,4), None, None, a(3), a(3), True),
    "group_norm": lambda t, a: F(t).group_norm(a(2,4,3), 2),
    "cat": lambda t, a: t.cat([a(2,3), a(2,3)]), "stack": lambda t, a: t.stack([a(2), a(2)]),
    "cat_mixed": lambda t, a: t.cat([a(2,3), a(2,3).float()]),
    "index_copy": lambda t, a: t.index_copy(a(3), 0, t.tensor([0]), a(1)),
    "sum": lambda t, a: a(3).sum(), "mean": lambda t, a: a(3).mean(), "prod": lambda t, a: a(3).prod(), "prod_dim": lambda t, a: a(2,3).prod(1),
    "cumprod": lambda t, a: a(3).cumprod(0), "norm": lambda t, a: a(3).norm(),
    "avg_pool1d": lambda t, a: F(t).avg_pool1d(a(1,2,6), 2), "avg_pool2d": lambda t, a: F(t).avg_pool2d(a(1,2,6,6), 2),
    "avg_pool3d": lambda t, a: F(t).avg_pool3d(a(1,2,4,4,4), 2),
    "max_pool2d": lambda t, a: F(t).max_pool2d(a(1,2,6,6), 2), "max_pool3d": lambda t, a: F(t).max_pool3d(a(1,2,4,4,4), 2),
    "adaptive_avg3": lambda t, a: F(t).adaptive_avg_pool3d(a(1,2,4,4,4), 2), "adaptive_avg2": lambda t, a: F(t).adaptive_avg_pool2d(a(1,2,4,4), 2),
    "adaptive_max2": lambda t, a: F(t).adaptive_max_pool2d(a(1,2,4,4), 2),
    "adaptive_max3": lambda t, a: F(t).adaptive_max_pool3d(a(1,2,4,4,4), 2),
    "max_unpool2d": lambda t, a: F(t).max_unpool2d(a(1,1,2,2), t.tensor([[[[0,2],[8,10]]]]), 2),
    "reflect1": lambda t, a: F(t).pad(a(1,2,4), (1,1), "reflect"), "reflect2": lambda t, a: F(t).pad(a(1,2,4,4), (1,1,1,1), "reflect"),
    "replicate1": lambda t, a: F(t).pad(a(1,2,4), (1,1), "replicate"), "replicate3": lambda t, a: F(t).pad(a(1,2,4,4,4), (1,)*6, "replicate"),
    "reflect3": lambda t, a: F(t).pad(a(1,2,4,4,4), (1,)*6, "reflect"),
    "constant": lambda t, a: F(t).pad(a(1,2,4), (1,1)), "circular": lambda t, a: F(t).pad(a(1,2,4), (1,1), "circular"),
    "nearest": lambda t, a: F(t).interpolate(a(1,2,4,4), scale_factor=2), "bilinear_up": lambda t, a: F(t).interpolate(a(1,2,4,4), scale_factor=2, mode="bilinear"),
    "grid_sample": lambda t, a: F(t).grid_sample(a(1,2,4,4), a(1,3,3,2), align_corners=False),
    "affine_grid": lambda t, a: F(t).affine_grid(a(1,2,3), (1,1,2,2), align_corners=False),
    "mse": lambda t, a: F(t).mse_loss(a(3), a(3)), "l1": lambda t, a: F(t).l1_loss(a(3), a(3)),
    "smooth_l1": lambda t, a: F(t).smooth_l1_loss(a(3), a(3)), "huber": lambda t, a: F(t).huber_loss(a(3), a(3)),
    "bce": lambda t, a: F(t).binary_cross_entropy(a(3).sigmoid(), a(3).sigmoid()),
    "bce_logits": lambda t, a: F(t).binary_cross_entropy_with_logits(a(3), a(3).sigmoid()),
    "ce": lambda t, a: F(t).cross_entropy(a(2,3), t.tensor([0,1])), "ce2d": lambda t, a: F(t).cross_entropy(a(2,3,2), t.tensor([[0,1],[1,1]])),
    "ce_soft": lambda t, a: F(t).cross_entropy(a(2,3), a(2,3).softmax(1)),
    "nll": lambda t, a: F(t).nll_loss(a(2,3), t.tensor([0,1])), "nll2d": lambda t, a: F(t).nll_loss(a(2,3,2,2), t.zeros(2,2,2,dtype=t.int64)),
    "kl": lambda t, a: F(t).kl_div(a(2,3), a(2,3).softmax(1), reduction="batchmean"),
    "poisson_nll": lambda t, a: F(t).poisson_nll_loss(a(3), a(3)), "gaussian_nll": lambda t, a: F(t).gaussian_nll_loss(a(3), a(3), a(3).exp()),
    "hinge_embed": lambda t, a: F(t).hinge_embedding_loss(a(3), t.tensor([1,-1,1])),
    "cos_embed": lambda t, a: F(t).cosine_embedding_loss(a(2,3), a(2,3), t.tensor([1,-1])),
    "margin_rank": lambda t, a: F(t).margin_ranking_loss(a(3), a(3), t.tensor([1,-1,1])),
    "soft_margin": lambda t, a: F(t).soft_margin_loss(a(3), t.tensor([1.,-1.,1.])),
    "triplet": lambda t, a: F(t).triplet_margin_loss(a(2,3), a(2,3), a(2,3)),
    "triplet_d": lambda t, a: F(t).triplet_margin_with_distance_loss(a(2,3), a(2,3), a(2,3)),
    "multi_margin": lambda t, a: F(t).multi_margin_loss(a(2,3), t.tensor([0,1])),
    "ml_margin": lambda t, a: F(t).multilabel_margin_loss(a(2,3), t.tensor([[0,1,-1],[2,-1,-1]])),
    "ml_soft": lambda t, a: F(t).multilabel_soft_margin_loss(a(2,3), t.ones(2,3)),
    "ctc": lambda t, a: F(t).ctc_loss(F(t).log_softmax(a(5,2,3),-1), t.tensor([[1,2],[2,1]]), t.tensor([5,5]), t.tensor([2,2])),
    "cosine": lambda t, a: F(t).cosine_similarity(a(2,3), a(2,3)), "pairwise": lambda t, a: F(t).pairwise_distance(a(2,3), a(2,3)),
    "view_as_complex": lambda t, a: t.view_as_complex(a(2,2)),
    "cholesky": lambda t, a: t.linalg.cholesky(a(2,2).float() @ a(2,2).float().t() * 0 + t.eye(2)),
    "embedding": lambda t, a: F(t).embedding(t.tensor([1]), a(3,2)),
    "dropout": lambda t, a: F(t).dropout(a(3), 0.0),
    "add": lambda t, a: a(3) + a(3), "addcmul": lambda t, a: t.addcmul(a(3), a(3), a(3)),
    "mixed_mm": lambda t, a: t.mm(a(2,3).bfloat16(), a(3,2)),
    "mixed_linear": lambda t, a: F(t).linear(a(2,3).half(), a(4,3), a(4)),
    "mixed_conv": lambda t, a: F(t).conv2d(a(1,2,4,4).bfloat16(), a(3,2,3,3), a(3)),
    "rnn": lambda t, a: _rnn(t, a, "RNN"), "gru": lambda t, a: _rnn(t, a, "GRU"), "lstm": lambda t, a: _rnn(t, a, "LSTM"),
    "rnn_of_half": lambda t, a: _rnn_of_half(t, a, "RNN"), "gru_of_half": lambda t, a: _rnn_of_half(t, a, "GRU"), "lstm_of_half": lambda t, a: _rnn_of_half(t, a, "LSTM"),
    "lstm_cell": lambda t, a: t.nn.LSTMCell(3,4)(a(2,3).float())[0], "gru_cell": lambda t, a: t.nn.GRUCell(3,4)(a(2,3).float()), "rnn_cell": lambda t, a: t.nn.RNNCell(3,4)(a(2,3).float()),
    "mha": lambda t, a: (lambda m, x: m(x,x,x)[0])(t.nn.MultiheadAttention(4,2), a(3,2,4).float()),
    "encoder": lambda t, a: t.nn.TransformerEncoderLayer(4,2,8,0.0)(a(3,2,4).float()),
    "double_mm": lambda t, a: t.mm(a(2,2).double(), a(2,2).double()),
    "local_response": lambda t, a: F(t).local_response_norm(a(1,4,3), 2),
    "normalize": lambda t, a: F(t).normalize(a(2,3)),
    "weight_norm": lambda t, a: t.nn.utils.parametrizations.weight_norm(t.nn.Linear(3,2))(a(2,3).float()),
    "solve": lambda t, a: t.linalg.solve(a(2,2) + 3 * t.eye(2, dtype=a(1).dtype), a(2,1)),
    "qr": lambda t, a: t.linalg.qr(a(3,2))[1].abs(),
    "householder": lambda t, a: t.linalg.householder_product(a(3,2), a(2)),
    "eigh": lambda t, a: t.linalg.eigh(a(2,2) * 0 + t.eye(2, dtype=a(1).dtype))[0],
}
# fmt: on
