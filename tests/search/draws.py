"""Random arguments that functions and modules share: of losses and of embeddings."""

from tests.search.arguments import Input, given

__all__ = ["LOSSES", "embedding", "embedding_bag"]

_REDUCTIONS = ("none", "mean", "sum")


def _weight(d, count, name="weight"):
    return {name: d.positive(count, grad=False)} if d.chance(0.4) else {}


def _classes(d, dims=2):
    """(samples, classes, dims after them)."""
    return d.size(), d.size(2, 5), d.sizes(d.randint(0, dims))


def _cross_entropy(d):
    n, k, rest = _classes(d)
    named = d.some(reduction=_REDUCTIONS, label_smoothing=(0.0, 0.1, 0.5)) | _weight(d, k)
    lead, rest = ([], []) if d.chance(0.1) else ([n], rest)
    scores = d.floats(*lead, k, *rest)
    if d.chance(0.3):
        return given(scores, d.positive(*lead, k, *rest), **named)
    return given(
        scores, d.integers(0, k, *lead, *rest), **named, **d.some(ignore_index=(-100, 0, 1))
    )


def _nll(d):
    n, k, rest = _classes(d)
    named = d.some(reduction=_REDUCTIONS, ignore_index=(-100, 0, 1)) | _weight(d, k)
    # PyTorch has no gradient for scores of images whose channels are last.
    scores = d.floats(n, k, *rest, contiguous=bool(rest))
    return given(scores, d.integers(0, k, n, *rest), **named)


def _pair(d, targets=None, least=0, **options):
    """Two tensors of one shape; the second is a float unless ``targets`` draws it."""
    shape = d.shape(least)
    target = targets(d, shape) if targets else d.floats(*shape, grad=d.chance())
    return given(d.floats(*shape), target, **d.some(reduction=_REDUCTIONS, **options))


def _signs(d, shape):
    return d.signs(*shape)


def _divergence(d):
    shape, log = d.shape(1), d.chance()
    target = d.floats(*shape) if log else d.positive(*shape)
    named = d.some(reduction=(*_REDUCTIONS, "batchmean"))
    return given(d.floats(*shape), target, log_target=log, **named)


def _poisson(d):
    shape = d.shape()
    named = d.some(reduction=_REDUCTIONS, log_input=(True, False), full=(True, False))
    return given(d.positive(*shape), d.positive(*shape, grad=False), **named)


def _gaussian(d):
    shape = d.shape(1)
    named = d.some(reduction=_REDUCTIONS, full=(True, False))
    variances = d.positive(*d.of(shape, [*shape[:-1], 1]))
    return given(d.floats(*shape), d.floats(*shape), variances, **named)


def _entropy(d):
    shape = d.shape()
    named = d.some(reduction=_REDUCTIONS) | (_weight(d, shape[-1]) if shape else {})
    return given(d.probabilities(*shape), d.probabilities(*shape), **named)


def _entropy_of_scores(d):
    shape = d.shape()
    named = d.some(reduction=_REDUCTIONS)
    if shape:
        named |= _weight(d, shape[-1]) | _weight(d, shape[-1], "pos_weight")
    return given(d.floats(*shape), d.probabilities(*shape), **named)


def _multilabel_soft(d):
    shape = [*d.sizes(d.randint(0, 2)), d.size()]
    named = d.some(reduction=_REDUCTIONS) | _weight(d, shape[-1])
    return given(d.floats(*shape), d.probabilities(*shape, grad=False), **named)


def _multi_margin(d):
    n, k, _ = _classes(d)
    named = d.some(reduction=_REDUCTIONS, p=(1, 2), margin=(0.3,)) | _weight(d, k)
    return given(d.floats(n, k), d.integers(0, k, n), **named)


def _multilabel_margin(d):
    n, k, _ = _classes(d)
    return given(d.floats(n, k), d.integers(-1, k, n, k), **d.some(reduction=_REDUCTIONS))


def _ranking(d):
    shape = d.shape(1)
    named = d.some(reduction=_REDUCTIONS, margin=(0.3,))
    return given(d.floats(*shape), d.floats(*shape), d.signs(*shape), **named)


def _cosine(d):
    n, k = d.sizes(2)
    named = d.some(reduction=_REDUCTIONS, margin=(0.3,))
    return given(d.floats(n, k), d.floats(n, k), d.signs(n), **named)


def _triplet(d):
    shape = [*d.sizes(d.randint(0, 2)), d.size()]
    named = d.some(reduction=_REDUCTIONS, margin=(0.3,), p=(1.0, 2.0, 3.0), swap=(True, False))
    return given(*[d.floats(*shape) for _ in range(3)], **named)


def _triplet_by_a_distance(d):
    args, named = _triplet(d)
    named.pop("p", None)
    return given(*args, **named)


def _ctc(d):
    steps, n, k, most = d.size(4, 8), d.size(1, 3), d.size(2, 5), d.size(1, 3)
    scores = d.floats(steps, n, k, use="{}.log_softmax(-1)")
    targets = d.integers(1, k, n, most)
    lengths = [[d.randint(low, high) for _ in range(n)] for low, high in ((most, steps), (0, most))]
    if d.chance():
        lengths = [Input(f"torch.tensor({one})") for one in lengths]
    named = d.some(reduction=_REDUCTIONS, zero_infinity=(True, False), blank=(0,))
    return given(scores, targets, *lengths, **named)


#: The function's name: (the module's, what draws a call's arguments). Tensors by name and options
#: are arguments of the module's constructor.
LOSSES = {
    "binary_cross_entropy": ("BCELoss", _entropy),
    "binary_cross_entropy_with_logits": ("BCEWithLogitsLoss", _entropy_of_scores),
    "cosine_embedding_loss": ("CosineEmbeddingLoss", _cosine),
    "cross_entropy": ("CrossEntropyLoss", _cross_entropy),
    "ctc_loss": ("CTCLoss", _ctc),
    "gaussian_nll_loss": ("GaussianNLLLoss", _gaussian),
    "hinge_embedding_loss": ("HingeEmbeddingLoss", lambda d: _pair(d, _signs, margin=(0.3,))),
    "huber_loss": ("HuberLoss", lambda d: _pair(d, delta=(0.5, 2.0))),
    "kl_div": ("KLDivLoss", _divergence),
    "l1_loss": ("L1Loss", _pair),
    "margin_ranking_loss": ("MarginRankingLoss", _ranking),
    "mse_loss": ("MSELoss", _pair),
    "multi_margin_loss": ("MultiMarginLoss", _multi_margin),
    "multilabel_margin_loss": ("MultiLabelMarginLoss", _multilabel_margin),
    "multilabel_soft_margin_loss": ("MultiLabelSoftMarginLoss", _multilabel_soft),
    "nll_loss": ("NLLLoss", _nll),
    "poisson_nll_loss": ("PoissonNLLLoss", _poisson),
    "smooth_l1_loss": ("SmoothL1Loss", lambda d: _pair(d, beta=(0.0, 0.5, 2.0))),
    "soft_margin_loss": ("SoftMarginLoss", lambda d: _pair(d, _signs)),
    "triplet_margin_loss": ("TripletMarginLoss", _triplet),
    "triplet_margin_with_distance_loss": ("TripletMarginWithDistanceLoss", _triplet_by_a_distance),
}


def embedding(d):
    """(rows, columns, indices, options) of an embedding."""
    rows = d.size(2, 6)
    options = d.some(padding_idx=(0, 1, -1), scale_grad_by_freq=(True, False))
    if d.chance(0.3):
        options |= {"max_norm": 0.7} | d.some(norm_type=(1.0, 2.0, 3.0))
    return rows, d.size(), d.integers(0, rows, *d.shape()), options


def embedding_bag(d):
    """(rows, columns, indices, more inputs by name, options) of bags of embeddings."""
    rows, mode, inputs = d.size(2, 6), d.of("sum", "mean", "max"), {}
    # PyTorch's scale_grad_by_freq divides by the count of another index.
    options = {"mode": mode} | d.some(padding_idx=(0, 1))
    if d.chance():
        shape = d.sizes(2)
    else:
        shape = d.sizes(1, 1, 7)
        offsets = [0, *sorted(d.randint(0, *shape) for _ in range(d.randint(0, 2)))]
        if d.chance(0.3):
            options["include_last_offset"] = True
            offsets += shape
        inputs["offsets"] = Input(f"torch.tensor({offsets})")
    if mode == "sum" and d.chance(0.4):
        inputs["per_sample_weights"] = d.floats(*shape)
    return rows, d.size(), d.integers(0, rows, *shape), inputs, options
