"""Layers of networks for jagged nested tensors: linear, norms, softmax, dropout, embedding."""

import rushlight
from rushlight import shapes
from rushlight.errors import LayoutError
from rushlight.nested.jagged import NestedTensor, inner_dim, rule
from rushlight.nested.padding import from_padded, padded

__all__: list[str] = []  # the rules are found by name


def _functional():
    return rushlight.nn.functional


@rule
def linear(input, weight, bias=None):
    if not isinstance(input, NestedTensor):
        raise LayoutError("linear(): only the input may be nested, not the weight or the bias")
    if input.ragged == input.ndim - 1:
        raise LayoutError("linear(): the ragged dim of a nested tensor cannot be the last one")
    return input.with_values(_functional().linear(input.stored, weight, bias))


# Norms ------------------------------------------------------------------------------------


def _normalized(input, normalized_shape, name):
    """Refuse a norm along the batch; tell whether it runs along the ragged dim."""
    given = normalized_shape
    size = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    n = input.ndim - len(size)
    if input.ndim <= 2:
        raise LayoutError(
            f"{name}(): not supported for NestedTensor objects with 2 or fewer dimensions"
        )
    if n <= 0:
        raise LayoutError(
            f"{name}(): not supported when normalizing over the batch dimension for NestedTensor"
        )
    if n > input.ragged:
        return False
    if size != input.sizes[n:]:
        raise RuntimeError(
            f"{name}(): Given normalized_shape={list(size)}, expected input with shape "
            f"[*, {', '.join(map(str, size))}], but got input of size {list(input.sizes)}"
        )
    return True


@rule
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    if not _normalized(input, normalized_shape, "layer_norm"):
        norm = _functional().layer_norm(input.stored, normalized_shape, weight, bias, eps)
        return input.with_values(norm)
    if input.pattern.lengths is not None:
        raise LayoutError(
            "layer_norm(): not supported where lengths is not None if operating on the ragged "
            "dimension for NestedTensor"
        )
    if weight is not None or bias is not None:
        raise LayoutError("layer_norm(): no weight or bias along the ragged dim of a NestedTensor")
    dims = list(range(input.ndim - len(normalized_shape), input.ndim))
    r, pattern = input.ragged, input.pattern
    x, inside = padded(input, 0.0), padded(input.with_values(input.stored.new_ones(
        input.stored.shape)), 0.0)  # fmt: skip
    count = inside.sum(dims, True)
    centred = (x - x.sum(dims, True) / count) * inside
    scaled = centred / (centred.square().sum(dims, True) / count + eps).sqrt()
    return input.with_values(from_padded(scaled, pattern, r, input.stored.shape[r - 1]))


@rule
def rms_norm(input, normalized_shape, weight=None, eps=None):
    if len(tuple(normalized_shape)) > input.ndim - input.ragged - 1:
        raise ValueError(
            "rms_norm(): Normalization over the ragged dim not supported for nested tensors"
        )
    return input.with_values(_functional().rms_norm(input.stored, normalized_shape, weight, eps))


# Softmax and others along a dim -----------------------------------------------------------


def _along(name, call, padding):
    """The rule of a function along one dim of floats, which may be the ragged one."""

    @rule(name=name)
    def apply(input, dim=None, *args, **named):
        if dim is None:
            raise LayoutError(f"{name}(): dim= is needed for nested tensors")
        k = shapes.dim(dim, input.ndim, name)
        if k == 0:
            raise LayoutError(
                f"{name}(): not supported when reducing across the batch dimension for NestedTensor"
            )
        if k != input.ragged:
            return input.with_values(call()(input.stored, k - 1, *args, **named))
        if input.pattern.lengths is not None:
            raise LayoutError(
                f"{name}(): not supported where lengths is not None if reducing across the ragged "
                "dimension for NestedTensor"
            )
        x, total = padded(input, padding), input.stored.shape[k - 1]
        found = call()(x, k, *args, **named)
        return input.with_values(from_padded(found, input.pattern, k, total))


def _torch(name):
    return lambda: getattr(rushlight, name)


def _of_functional(name):
    return lambda: getattr(_functional(), name)


for _name in ("softmax", "log_softmax"):
    _along(_name, _of_functional(_name), float("-inf"))
_along("cumsum", _torch("cumsum"), 0)


def _softmin(input, dim=None, _stacklevel=3, dtype=None):
    return rushlight.nn.functional.softmax(-input, dim, dtype=dtype)


rule(_softmin, name="softmin")


def _along_values(module, name):
    """The rule of a function along one dim that is neither the batch nor the ragged one."""

    @rule(name=name)
    def apply(input, *args, **named):
        named["dim"] = inner_dim(input, named.get("dim", -1), name)
        return input.with_values(getattr(module(), name)(input.stored, *args, **named))


for _name in ("glu", "normalize"):
    _along_values(_functional, _name)


# Functions of the values ------------------------------------------------------------------


def _of_values(module, name):
    """The rule of a function that treats each element, or each vector, on its own."""

    @rule(name=name)
    def apply(input, *args, **named):
        if not isinstance(input, NestedTensor):
            raise LayoutError(f"{name}(): only the first argument may be nested")
        return input.with_values(getattr(module(), name)(input.stored, *args, **named))


for _name in ("dropout", "alpha_dropout", "feature_alpha_dropout", "rrelu", "gumbel_softmax"):
    _of_values(_functional, _name)
_of_values(lambda: rushlight, "bernoulli")


@rule
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):  # fmt: skip
    if not isinstance(input, NestedTensor):
        raise LayoutError("embedding(): only the indices may be nested, not the weight")
    found = _functional().embedding(
        input.stored, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
    )
    return input.with_values(found)
