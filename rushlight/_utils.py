"""``torch._utils``: the helpers that programs for several processes take from it."""

from rushlight.ops.shape.join import cat

__all__: list[str] = []


def _flatten_dense_tensors(tensors):
    """Join tensors of one dtype to a single one-dim tensor.

    >>> import rushlight as torch
    >>> torch._utils._flatten_dense_tensors([torch.ones(1, 2), torch.zeros(1)])
    tensor([1., 1., 0.])
    """
    return cat([t.reshape(-1) for t in tensors])


def _unflatten_dense_tensors(flat, tensors):
    """Return the parts of ``flat``, a result of ``_flatten_dense_tensors``, as views.

    The parts have the shapes of ``tensors``.

    >>> import rushlight as torch
    >>> torch._utils._unflatten_dense_tensors(torch.arange(3), [torch.ones(1, 2), torch.zeros(1)])
    (tensor([[0, 1]]), tensor([2]))
    """
    parts, start = [], 0
    for t in tensors:
        parts.append(flat.narrow(0, start, t.numel()).view(t.shape))
        start += t.numel()
    return tuple(parts)


def _take_tensors(tensors, size_limit):
    """Yield lists of consecutive tensors of one dtype, each of at most ``size_limit`` bytes."""
    taken: dict = {}
    for t in tensors:
        held, size = taken.get(t.dtype, ([], 0))
        own = t.numel() * t.element_size()
        if held and size + own > size_limit:
            yield held
            held, size = [], 0
        taken[t.dtype] = ([*held, t], size + own)
    for held, _ in taken.values():
        yield held
