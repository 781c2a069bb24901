"""The rules by which operations of each kind run on batches; see ``batching.py``.

A rule gets the batch, the equation, the operands as (tensor, whether it is batched) and the
parameters, and returns the results with the batch as dim 0. It raises ``Loops`` where it does not
serve.
"""

from rushlight.compiler.ir import roles
from rushlight.ops.linear.matmul import matmul
from rushlight.tensor import Tensor

__all__ = ["Loops", "SameNumbers", "rule_of"]


class Loops(Exception):
    """The rule does not serve these operands."""


class SameNumbers(RuntimeError):
    """One draw was to serve samples whose parameters differ."""

    def __init__(self, name):
        super().__init__(
            f"vmap: {name} cannot draw the same numbers for samples whose parameters differ: Vmap "
            "does not currently support same randomness with a batched tensor input. Use "
            "randomness='different'"
        )


def rule_of(e):
    """The rule for the equation ``e``, or None."""
    op = e.op
    if op.batching is not None and op.kind != "view":
        return _BY_NAME.get(op.batching, op.batching)
    if op.kind in _BY_KIND:
        return _BY_KIND[op.kind]
    if op.role in _BY_ROLE:
        return _BY_ROLE[op.role]
    if type(op.keeps_order) is tuple and not op.params:  # the forward works element by element
        return _elementwise
    if op.raises:
        return _whole
    if "dim" in op.params:
        return _along
    return _leading if op.name.startswith("linalg_") else None


def _per_sample(tensor, batched):
    return tensor.ndim - batched


def _expanded(batch, x, batched):
    """``x`` with the batch as dim 0."""
    return x if batched or not isinstance(x, Tensor) else x.expand(batch.size, *x.shape)


# Elementwise --------------------------------------------------------------------------------


def _elementwise(batch, e, operands, params):
    """Operands get dims of size 1 behind the batch, so that they broadcast as samples do."""
    ndim = e.outs[0].ndim
    if all(b and x.ndim - 1 == ndim for x, b in operands):
        return batch.apply(e.op, [x for x, _ in operands], params)
    whole = [x for x, b in operands if isinstance(x, Tensor) and _per_sample(x, b)]
    found = []
    for x, batched in operands:
        if batched:
            own = _per_sample(x, batched)
            if not own and whole and x.dtype is not whole[0].dtype:
                x = _like_a_number(x, whole)
            if own < ndim:
                x = x.reshape(x.shape[0], *[1] * (ndim - own), *x.shape[1:])
        found.append(x)
    return batch.apply(e.op, found, params)


def _like_a_number(x, others):
    """A batch of 0-dim tensors, whose dtype counts less than that of tensors with dims."""
    categories = [t.dtype.category for t in others]
    return (
        x
        if x.dtype.category > max(categories)
        else x.to(next(t.dtype for t in others if t.dtype.category == max(categories)))
    )


def _of_draw(batch, e, operands, params):
    """An operation on parameters and the random numbers that were drawn for them."""
    if batch.randomness == "same" and any(b for _, b in operands[:-1]):
        raise SameNumbers(e.op.name)
    return _elementwise(batch, e, operands, params)


# Dims counted from 1 ------------------------------------------------------------------------


def _reduction(batch, e, operands, params):
    ((x, _),) = operands
    dims, ndim = params["dim"], x.ndim - 1
    if not ndim:
        x, dims = x.unsqueeze(1), (0,)
    elif dims is None or dims == ():
        dims = tuple(range(ndim))
    found = batch.apply(e.op, [x], {**params, "dim": tuple([d + 1 for d in dims])})
    if not ndim and params["keepdim"]:
        return found.reshape(batch.size)
    return found


#: Parameters of views and kernels that are dims, tuples of dims, or shapes.
_DIMS, _TUPLES, _SHAPES = {"dim", "dim0", "dim1", "dim2", "dimension"}, {"dims"}, {"shape", "size"}


def _shifted(batch, params, count):
    """``params`` with dims counted from 1, for samples of ``count`` dims."""
    found = dict(params)
    for name, value in params.items():
        if name in _DIMS and isinstance(value, int):
            found[name] = value + 1 if value >= 0 else value
        elif (name in _DIMS and isinstance(value, tuple)) or name in _TUPLES:
            found[name] = tuple([d + 1 if d >= 0 else d for d in value])
        elif name in _SHAPES and isinstance(value, tuple):
            found[name] = (batch.size, *value)
    return found


def view(batch, op, x, params):
    """The view ``op`` of each sample of the batch ``x``."""
    if op.of_storage:
        raise Loops
    if "shape" in params:  # the batch may lie in memory in another way than a sample
        return x.reshape(batch.size, *params["shape"])
    if op.batching is not None:
        return op.batching(x, **params)
    params = _shifted(batch, params, x.ndim - 1)
    if "index" in params:
        params = {**params, "index": _indexed(params["index"])}
    return batch.apply(op, [x], params)


def _indexed(index):
    if not isinstance(index, tuple):
        raise Loops
    return (slice(None), *index)


def _view(batch, e, operands, params):
    return view(batch, e.op, operands[0][0], params)


def _patch(batch, e, operands, params):
    """A copy of the base, whose part is written through the views that lead to it."""
    base, value = [_expanded(batch, x, b) for x, b in operands]
    whole = base.clone()
    part = whole
    for op, args, own in params["path"]:
        if args or op.of_storage:
            raise Loops
        part = view(batch, op, part, own)
    if isinstance(value, Tensor) and operands[1][1]:
        own = value.ndim - 1
        value = value.reshape(batch.size, *[1] * (part.ndim - 1 - own), *value.shape[1:])
    part.copy_(value) if isinstance(value, Tensor) else part.fill_(value)
    return whole


def _along(batch, e, operands, params):
    """A kernel along a dim: all operands have the batch as dim 0."""
    ranks = {_per_sample(x, b) for x, b in operands if isinstance(x, Tensor)}
    if len(ranks) > 1 or 0 in ranks:
        raise Loops
    whole = [_expanded(batch, x, b) for x, b in operands]
    return batch.apply(e.op, whole, _shifted(batch, params, ranks.pop()))


def _whole(batch, e, operands, params):
    """A check of each element, whose result has no meaning."""
    return batch.apply(e.op, [x for x, _ in operands], params).expand(batch.size)


def _copy(batch, e, operands, params):
    params = {k: None if k == "memory_format" else v for k, v in params.items()}
    return batch.apply(e.op, [operands[0][0]], params)


# More matrices, more images -----------------------------------------------------------------


def _product(batch, e, operands, params):
    x, y = [t if b or t.ndim < 3 else t.unsqueeze(0) for t, b in operands]
    return matmul(x, y)


def _leading(batch, e, operands, params):
    """Linear algebra on the last two dims: the samples are more matrices."""
    if any(isinstance(x, Tensor) and _per_sample(x, b) < 2 for x, b in operands):
        raise Loops
    return _more_matrices(batch, e, operands, params)


def _more_matrices(batch, e, operands, params):
    """``_leading`` for operations that take vectors, too, and whose leading dims say which."""
    return batch.apply(e.op, [_expanded(batch, x, b) for x, b in operands], params)


def _sets_of_rows(batch, e, operands, params):
    """Operations on two matrices, whose leading dims broadcast."""
    ndim = e.outs[0].ndim
    whole = [
        x.reshape(batch.size, *[1] * (ndim + 1 - x.ndim), *x.shape[1:]) if b else x
        for x, b in operands
    ]
    return batch.apply(e.op, whole, params)


def _loss(batch, e, operands, params):
    """A loss of each element, and the mean or sum over each sample."""
    ndim = max([_per_sample(x, b) for x, b in operands if isinstance(x, Tensor)])
    whole = [
        x.reshape(batch.size, *[1] * (ndim + 1 - x.ndim), *x.shape[1:]) if b else x
        for x, b in operands
    ]
    found = batch.apply(e.op, whole, {**params, "reduction": "none"})
    if params["reduction"] == "none" or not ndim:
        return found
    dims = tuple(range(1, ndim + 1))
    return found.mean(dims) if params["reduction"] == "mean" else found.sum(dims)


def _last_dims(batch, e, operands, params):
    """An operation on the last dims, such as padding, whose parameters count no other dims."""
    return batch.apply(e.op, [operands[0][0]], params)


def _merged(x):
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _images(batch, e, operands, params):
    """Samples of several images (N, …) become one sample of more images."""
    ranks = {_per_sample(x, b) for x, b in operands if isinstance(x, Tensor)}
    if ranks != {e.outs[0].ndim}:
        raise Loops
    whole = [_merged(_expanded(batch, x, b)) for x, b in operands]
    found = batch.apply(e.op, whole, params)
    apart = lambda t: t.reshape(batch.size, t.shape[0] // batch.size, *t.shape[1:])
    return [apart(t) for t in found] if isinstance(found, (tuple, list)) else apart(found)


def _convolution(batch, e, operands, params):
    """More images if all samples share the weight; else the samples become more channels."""
    if e.op.form == "weight_grad":
        whole = [_as_channels(_expanded(batch, x, b)) for x, b in operands]
        found = batch.apply(e.op, whole, _more_groups(batch, params))
        return found.reshape(batch.size, found.shape[0] // batch.size, *found.shape[1:])
    if any(b for _, b in operands[1:]):
        return _more_channels(batch, e, operands, params)
    (x, _), *rest = operands
    found = batch.apply(e.op, [_merged(x), *[t for t, _ in rest]], params)
    return found.reshape(batch.size, found.shape[0] // batch.size, *found.shape[1:])


def _more_channels(batch, e, operands, params):
    """Images of more channels, where each sample has its own numbers for the channels."""
    x, *others = [_expanded(batch, t, b) for t, b in operands]
    if x.ndim - 1 != e.outs[0].ndim:
        raise Loops
    others = [t if t is None else _merged(t) for t in others]
    found = batch.apply(e.op, [_as_channels(x), *others], _more_groups(batch, params))
    channels = found.shape[1] // batch.size
    return found.reshape(found.shape[0], batch.size, channels, *found.shape[2:]).transpose(0, 1)


def _more_groups(batch, params):
    return {k: v * batch.size if k == "groups" else v for k, v in params.items()}


def _as_channels(images):
    """Images (N, batch x C, ...) of a batch (batch, N, C, ...) of them."""
    images = images.transpose(0, 1)
    return images.reshape(images.shape[0], images.shape[1] * images.shape[2], *images.shape[3:])


#: Names that an operation's ``batching`` may state.
_BY_NAME = {
    "along": _along, "channels": _more_channels, "convolution": _convolution, "images": _images,
    "draw": _of_draw, "last dims": _last_dims, "loss": _loss, "matrices": _more_matrices,
    "sets of rows": _sets_of_rows,
}  # fmt: skip
_BY_KIND = {"elementwise": _elementwise, "reduction": _reduction, "view": _view}
_BY_ROLE = {
    "product": _product, "convolution": _convolution, "pooling": _images, "copy": _copy,
    "view": _view, "patch": _patch, "scan": _along, "extremum": _along, "gather": _along,
    "scatter": _along, "padding": _last_dims,
}  # fmt: skip
assert {"product", "convolution", "pooling"} <= roles.CONTRACTIONS
