"""Random modules of ``nn``: results, gradients, state, initial parameters and text are PyTorch's.

The compiled module gives what the eager one gives.
"""

from functools import partial

import pytest

from tests.search import draws
from tests.search.arguments import Call, Draw, Input, each, given
from tests.search.outcomes import look

#: PyTorch computes attention and convolutions of volumes by several functions, whose results lie
#: in memory differently.
_FREE_STRIDES = ("nn.MultiheadAttention", "nn.Conv3d", "nn.ConvTranspose3d")
_BOOLS = (True, False)

# Each function below draws (settings of the constructor, arguments of the call).


# Convolutions and pools ---------------------------------------------------------------------


def _image(d, dims, channels, low=3, high=9, unbatched=0.15, empty=0.0, contiguous=False):
    """An input of ``dims`` spatial dims, with samples or without."""
    lead = [] if d.chance(unbatched) else [0 if d.chance(empty) else d.size(1, 3)]
    # PyTorch's pools of volumes refuse an image whose channels are last where a volume is meant.
    contiguous = contiguous or (dims == 3 and not lead)
    return d.floats(*lead, channels, *d.sizes(dims, low, high), contiguous=contiguous)


def _channels(d):
    """(channels of the input, of the output, groups)."""
    groups = d.of(1, 1, 2, 3)
    return groups * d.size(1, 3), groups * d.size(1, 3), groups


def _convolution(dims, d):
    channels, out, groups = _channels(d)
    named = d.some(
        stride=(d.per_dim(dims, 1, 2, 3),),
        dilation=(d.per_dim(dims, 1, 2),),
        padding=("same", "valid", d.per_dim(dims, 0, 1, 2)),
        padding_mode=("zeros", "reflect", "replicate", "circular"),
        bias=_BOOLS,
    )
    settings = given(channels, out, d.per_dim(dims, 1, 2, 3), groups=groups, **named)
    return settings, given(_image(d, dims, channels, empty=0.05))


def _transposed_convolution(dims, d):
    channels, out, groups = _channels(d)
    named = d.some(
        stride=(d.per_dim(dims, 1, 2, 3),),
        dilation=(d.per_dim(dims, 1, 2),),
        padding=(d.per_dim(dims, 0, 1, 2),),
        bias=_BOOLS,
    )
    if named.get("stride") in (2, 3) and d.chance():
        named["output_padding"] = d.per_dim(dims, 0, 1)
    settings = given(channels, out, d.per_dim(dims, 1, 2, 3), groups=groups, **named)
    # From 5 elements on no output is empty: PyTorch refuses an empty one.
    return settings, given(_image(d, dims, channels, low=5, empty=0.05))


def _max_pool(dims, d):
    named = d.some(stride=(1, 2, 3), padding=(0, 1), dilation=(1, 2), ceil_mode=_BOOLS)
    named |= d.some(return_indices=_BOOLS)
    x = _image(d, dims, d.size(1, 3), low=2, high=8)
    return given(d.per_dim(dims, 1, 2, 3), **named), given(x)


def _average_pool(dims, d):
    named = d.some(stride=(1, 2, 3), padding=(0, 1), ceil_mode=_BOOLS, count_include_pad=_BOOLS)
    if dims > 1:
        named |= d.some(divisor_override=(2, 5))
    # From 3 elements on no image is smaller than the window: PyTorch's AvgPool3d refuses those.
    x = _image(d, dims, d.size(1, 3), low=3, high=8)
    return given(d.per_dim(dims, 1, 2, 3), **named), given(x)


def _power_pool(dims, d):
    named = d.some(stride=(1, 2), ceil_mode=_BOOLS)
    x = _image(d, dims, 2, low=3, high=8)
    return given(d.of(1, 2, 3.0), d.of(1, 2, 3), **named), given(x)


def _adaptive_pool(dims, d, **options):
    size = d.per_dim(dims, 1, 2, 3, 5) if dims == 1 else d.per_dim(dims, None, 1, 2, 4)
    x = _image(d, dims, d.size(1, 3), low=1, high=8)
    return given(size or 2, **d.some(**options)), given(x)


def _unpool(dims, d):
    """Maxima and their places, which are different ones as those of windows side by side are."""
    kernel, lead, small = d.size(1, 3), d.sizes(2, 1, 3), d.sizes(dims, 1, 3)
    count, total = 1, 1
    for n in small:
        count, total = count * n, total * n * kernel
    places = d.places(count, total, *lead).used(f"{{}}.reshape({(*lead, *small)})")
    return given(kernel), given(d.floats(*lead, *small), places)


def _unfold(d):
    named = d.some(dilation=(1, 2), padding=(0, 1), stride=(1, 2))
    return given(d.per_dim(2, 1, 2, 3), **named), given(d.floats(2, 2, 6, 5))


def _fold(d):
    kernel, stride, padding = d.per_dim(2, 1, 2, 3), d.size(1, 2), d.size(0, 1)
    height, width = d.sizes(2, 3, 6)
    high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
    blocks = 1
    for size, window in ((height, high), (width, wide)):
        blocks *= (size + 2 * padding - window) // stride + 1
    x = d.floats(*d.sizes(d.randint(0, 1)), 2 * high * wide, blocks)
    return given((height, width), kernel, stride=stride, padding=padding), given(x)


def _upsample(d):
    dims_of = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
    mode = d.of("nearest", "nearest-exact", *dims_of)
    dims = dims_of.get(mode) or d.size(1, 3)
    named = {"mode": mode}
    if d.chance():
        named["scale_factor"] = d.per_dim(dims, 2, 0.5, 1.5, 0.7, 1.3)
        named |= d.some(recompute_scale_factor=_BOOLS)
    else:
        named["size"] = d.per_dim(dims, 1, 2, 3, 5, 7, 8)
    if mode in dims_of:
        named |= d.some(align_corners=_BOOLS)
    return given(**named), given(_image(d, dims, d.size(1, 3), low=2, high=6, unbatched=0))


def _upsample_2d(d):
    settings = d.of({"size": (3, 5)}, {"scale_factor": 2}, {"scale_factor": (2, 3)})
    return given(**settings), given(_image(d, 2, 2, low=2, high=5, unbatched=0))


CONVOLUTIONS = {
    **{f"Conv{n}d": partial(_convolution, n) for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": partial(_transposed_convolution, n) for n in (1, 2, 3)},
}
POOLS = {
    **{f"MaxPool{n}d": partial(_max_pool, n) for n in (1, 2, 3)},
    **{f"AvgPool{n}d": partial(_average_pool, n) for n in (1, 2, 3)},
    **{f"LPPool{n}d": partial(_power_pool, n) for n in (1, 2, 3)},
    **{f"AdaptiveAvgPool{n}d": partial(_adaptive_pool, n) for n in (1, 2, 3)},
    **{
        f"AdaptiveMaxPool{n}d": partial(_adaptive_pool, n, return_indices=_BOOLS) for n in (1, 2, 3)
    },
    **{f"MaxUnpool{n}d": partial(_unpool, n) for n in (1, 2, 3)},
}
IMAGES = {
    "Unfold": _unfold,
    "Fold": _fold,
    "Upsample": _upsample,
    "UpsamplingNearest2d": _upsample_2d,
    "UpsamplingBilinear2d": _upsample_2d,
    "PixelShuffle": lambda d: (given(2), given(d.floats(*d.sizes(d.size(0, 1)), 8, 2, 3))),
    "PixelUnshuffle": lambda d: (given(2), given(d.floats(*d.sizes(d.size(0, 1)), 2, 4, 6))),
    "ChannelShuffle": lambda d: (given(d.of(1, 2, 4)), given(d.floats(2, 4, *d.sizes(2)))),
}


# Norms and dropout --------------------------------------------------------------------------


def _batch_norm(dims, d):
    channels = d.size()
    named = d.some(
        affine=_BOOLS, track_running_stats=_BOOLS, momentum=(None, 0.3, 0.0, 1.0), eps=(1e-3,)
    )
    rest = d.sizes(dims if dims > 1 else d.of(0, 1), 1, 5)
    return given(channels, **named), given(d.floats(d.size(2, 4), channels, *rest))


def _instance_norm(dims, d):
    channels = d.size()
    named = d.some(affine=_BOOLS, track_running_stats=_BOOLS, momentum=(0.3,))
    return given(channels, **named), given(_image(d, dims, channels, low=2, high=5))


def _group_norm(d):
    groups = d.size(1, 3)
    channels = groups * d.size(1, 3)
    x = d.floats(d.size(1, 3), channels, *d.sizes(d.randint(0, 3), 1, 5))
    return given(groups, channels, **d.some(affine=_BOOLS, eps=(1e-3,))), given(x)


def _layer_norm(d, **options):
    shape = d.sizes(d.size(1, 3), 1, 5)
    named = d.some(elementwise_affine=_BOOLS, eps=(1e-3,), **options)
    return given(shape, **named), given(d.floats(*d.sizes(d.randint(0, 2), 1, 3), *shape))


def _response_norm(d):
    named = d.some(alpha=(0.1, 1e-4), beta=(0.5,), k=(2.0,))
    # PyTorch asks for a view of its input that other layouts do not have.
    x = d.floats(2, d.size(1, 6), *[3] * d.size(1, 3), contiguous=True)
    return given(d.size(1, 5), **named), given(x)


NORMS = {
    **{f"BatchNorm{n}d": partial(_batch_norm, n) for n in (1, 2, 3)},
    **{f"InstanceNorm{n}d": partial(_instance_norm, n) for n in (1, 2, 3)},
    "GroupNorm": _group_norm,
    "LayerNorm": partial(_layer_norm, bias=_BOOLS),
    "RMSNorm": _layer_norm,
    "LocalResponseNorm": _response_norm,
}
DROPOUTS = {
    "Dropout": lambda d: (given(d.of(0.0, 0.3, 1.0)), given(d.floats(*d.shape()))),
    "AlphaDropout": lambda d: (given(0.3), given(d.floats(*d.shape()))),
    "FeatureAlphaDropout": lambda d: (given(0.3), given(d.floats(*d.shape(2)))),
    "Dropout1d": lambda d: (given(0.4), given(_image(d, 1, 3))),
    "Dropout2d": lambda d: (given(0.4), given(_image(d, 2, 3, unbatched=0))),
    "Dropout3d": lambda d: (given(0.4), given(_image(d, 3, 3))),
}


# Recurrent modules --------------------------------------------------------------------------


def _recurrent(name, d):
    features, hidden = d.size(1, 5), d.size(2, 5)
    named = d.some(num_layers=(1, 2, 3), bias=_BOOLS, batch_first=_BOOLS, bidirectional=_BOOLS)
    if name == "RNN":
        named |= d.some(nonlinearity=("relu", "tanh"))
    if name == "LSTM" and d.chance(0.3):
        named["proj_size"] = d.randint(1, hidden - 1)
    steps, batch = d.size(1, 5), [d.size()]
    packed = d.chance(0.3)
    if not packed and d.chance(0.15):
        batch = []
    if packed:
        x = _packed(d, steps, batch[0], features, named.get("batch_first", False))
    elif named.get("batch_first"):
        x = d.floats(*batch, steps, features)
    else:
        x = d.floats(steps, *batch, features)
    args = [x]
    if d.chance():
        layers = named.get("num_layers", 1) * (1 + named.get("bidirectional", False))
        states = [
            d.floats(layers, *batch, size) for size in (named.get("proj_size", hidden), hidden)
        ]
        args.append(tuple(states) if name == "LSTM" else d.floats(layers, *batch, hidden))
    return given(features, hidden, **named), given(*args)


def _packed(d, steps, batch, features, batch_first):
    """A packed sequence; of enforced order where its lengths happen to fall."""
    lengths = [d.size(1, steps) for _ in range(batch)]
    lengths[d.randrange(batch)] = steps
    ordered = lengths == sorted(lengths, reverse=True)
    shape = (batch, steps) if batch_first else (steps, batch)
    use = f"torch.nn.utils.rnn.pack_padded_sequence({{}}, {lengths}, {batch_first}, {ordered})"
    return d.floats(*shape, features, use=use)


def _cell(name, d):
    features, hidden, batch = d.size(1, 5), d.size(1, 5), d.sizes(d.of(0, 1, 1))
    args = [d.floats(*batch, features)]
    if d.chance():
        state = lambda: d.floats(*batch, hidden)
        args.append((state(), state()) if name == "LSTM" else state())
    return given(features, hidden, **d.some(bias=_BOOLS)), given(*args)


RECURRENT = {name: partial(_recurrent, name) for name in ("RNN", "LSTM", "GRU")}
CELLS = {f"{name}Cell": partial(_cell, name) for name in ("RNN", "LSTM", "GRU")}


# Attention ----------------------------------------------------------------------------------


def _attention(d):
    heads = d.size(1, 3)
    width = heads * d.size()
    named = d.some(bias=_BOOLS, add_bias_kv=_BOOLS, add_zero_attn=_BOOLS, batch_first=_BOOLS)
    named |= d.some(kdim=(d.size(1, 5),), vdim=(d.size(1, 5),))
    batch, queries, keys = d.size(1, 3), d.size(), d.size(1, 5)

    def sequence(length, width):
        lead = (batch, length) if named.get("batch_first") else (length, batch)
        return d.floats(*lead, width)

    q, k = sequence(queries, width), sequence(keys, named.get("kdim", width))
    v = sequence(keys, named.get("vdim", width))
    options = d.some(need_weights=_BOOLS, average_attn_weights=_BOOLS)
    if d.chance(0.3):
        masks = (d.bools(queries, keys), d.floats(queries, keys, grad=False))
        options["attn_mask"] = d.choice(masks)
    if d.chance(0.3):
        options["key_padding_mask"] = d.bools(batch, keys)
    return given(width, heads, **named), given(q, k, v, **options)


def _layer(d, inputs, **options):
    heads = d.of(1, 2)
    width = heads * d.size(1, 3)
    named = d.some(
        activation=("relu", "gelu"),
        batch_first=_BOOLS,
        norm_first=_BOOLS,
        bias=_BOOLS,
        layer_norm_eps=(1e-3,),
        **options,
    )
    settings = given(width, heads, dim_feedforward=d.size(2, 6), dropout=0.0, **named)
    args = [d.floats(3, 2, width) for _ in range(inputs)]
    masks = {}
    if inputs == 1 and d.chance(0.3):
        length = 2 if named.get("batch_first") else 3
        masks["src_mask"] = Input(f"torch.ones({length}, {length}).tril() == 0")
    return settings, given(*args, **masks)


def _transformer(d):
    counts = {"num_encoder_layers": d.size(1, 2), "num_decoder_layers": 1}
    (args, named), call = _layer(d, 2)
    return given(*args, **counts, **named), call


ATTENTION = {
    "MultiheadAttention": _attention,
    "TransformerEncoderLayer": lambda d: _layer(d, 1),
    "TransformerDecoderLayer": lambda d: _layer(d, 2),
    "Transformer": _transformer,
}


# Others -------------------------------------------------------------------------------------


def _linear(d):
    features = d.size(0 if d.chance(0.05) else 1, 5)
    x = d.floats(*d.shape(), features)
    return given(features, d.size(1, 5), **d.some(bias=_BOOLS)), given(x)


def _bilinear(d):
    a, b, lead = d.size(), d.size(), d.sizes(d.randint(0, 2), 1, 3)
    inputs = given(d.floats(*lead, a), d.floats(*lead, b))
    return given(a, b, d.size(1, 3), **d.some(bias=_BOOLS)), inputs


def _embedding(d):
    rows, columns, indices, options = draws.embedding(d)
    return given(rows, columns, **options), given(indices)


def _embedding_bag(d):
    rows, columns, indices, inputs, options = draws.embedding_bag(d)
    return given(rows, columns, **options), given(indices, **inputs)


def _pad(kind, dims, d):
    low = -1 if kind in ("Constant", "Zero", "Replication") else 0
    amounts = d.of(d.size(low, 2), tuple(d.sizes(2 * dims, low, 2)))
    settings = given(amounts, *[d.of(0.0, 1.5)] * (kind == "Constant"))
    return settings, given(_image(d, dims, d.size(1, 3), high=6))


def _activation(*draws):
    """An activation whose arguments ``draws`` give one by one."""
    return lambda d: (given(*[draw(d) for draw in draws]), given(d.floats(*d.shape(0, 4))))


def _between(low, high):
    return lambda d: d.uniform(low, high)


def _over_a_dim(d, dims=(0, 1, -1)):
    return given(d.choice(dims)), given(d.floats(2, 4, *d.sizes(d.randint(0, 2))))


def _prelu(d):
    channels = d.size(1, 3)
    x = d.floats(2, channels, *d.sizes(d.randint(0, 2)))
    return given(d.of(1, channels), **d.some(init=(0.1,))), given(x)


def _distance(*options):
    def draw(d):
        shape = d.sizes(d.size(1, 3))
        named = {name: d.choice(values) for name, values in options}
        return given(**named), given(d.floats(*shape), d.floats(*shape))

    return draw


def _loss(draw, d):
    """A loss's options and weights belong to its constructor."""
    args, named = draw(d)
    return given(**named), given(*args)


PADS = {
    f"{kind}Pad{n}d": partial(_pad, kind, n)
    for kind in ("Reflection", "Replication", "Constant", "Zero", "Circular")
    for n in (1, 2, 3)
}
ACTIVATIONS = {
    **each(
        (
            "Hardsigmoid Hardswish Identity LogSigmoid Mish ReLU ReLU6 SELU SiLU Sigmoid Softsign "
            "Tanh Tanhshrink"
        ),
        _activation(),
    ),
    # PyTorch rounds other alphas to float32 in the gradient for float64.
    "CELU": _activation(lambda d: d.of(0.5, 2.0)),
    "ELU": _activation(_between(0, 2)),
    "GELU": _activation(lambda d: d.of("none", "tanh")),
    "Hardshrink": _activation(_between(0, 1)),
    "Hardtanh": _activation(_between(-1, 0), _between(0, 1)),
    "LeakyReLU": _activation(_between(-0.3, 0.7)),
    "PReLU": _prelu,
    "RReLU": _activation(lambda d: 0.2, lambda d: 0.2),
    "Softplus": _activation(_between(0.5, 1.5), lambda d: d.of(1, 20)),
    "Softshrink": _activation(_between(0, 1)),
    "Threshold": _activation(_between(-0.5, 0.5), lambda d: d.of(0.0, 3.0)),
    "GLU": lambda d: _over_a_dim(d, (1, 0)),
    "LogSoftmax": _over_a_dim,
    "Softmax": _over_a_dim,
    "Softmin": _over_a_dim,
    "Softmax2d": lambda d: (given(), given(_image(d, 2, 3))),
}
OTHERS = {
    "Linear": _linear,
    "Bilinear": _bilinear,
    "Embedding": _embedding,
    "EmbeddingBag": _embedding_bag,
    "Flatten": lambda d: (given(d.size(0, 2), d.of(-1, 2)), given(d.floats(2, 3, 2, 2))),
    "Unflatten": lambda d: (given(1, d.of((2, 3), (6, 1), (-1, 2))), given(d.floats(2, 6, 3))),
    "CosineSimilarity": _distance(("dim", (0, -1))),
    "PairwiseDistance": _distance(("p", (1.0, 2.0, 3.0)), ("keepdim", _BOOLS)),
}
FAMILIES = {
    "convolutions": CONVOLUTIONS,
    "pools": POOLS,
    "images": IMAGES,
    "norms": NORMS,
    "dropouts": DROPOUTS,
    "recurrent": RECURRENT,
    "cells": CELLS,
    "attention": ATTENTION,
    "pads": PADS,
    "activations": ACTIVATIONS,
    "others": OTHERS,
    "losses": {module: partial(_loss, draw) for module, draw in draws.LOSSES.values()},
}


def draw_call(seed):
    d = Draw(seed)
    family = d.choice([*FAMILIES])
    name = d.choice([*FAMILIES[family]])
    settings, arguments = FAMILIES[family][name](d)
    train = family != "dropouts" and d.chance()  # dropout in training is another search's
    return Call(f"nn.{name}", arguments, settings, train, d.double)


@pytest.mark.parity
def test_random_modules():
    look(draw_call, 12, _FREE_STRIDES)


@pytest.mark.search
@pytest.mark.parity
def test_many_random_modules():
    look(draw_call, 500, _FREE_STRIDES)
