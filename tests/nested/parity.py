"""Nested tensors of the same elements in rushlight and in PyTorch, and one description of both."""

import numpy as np

import rushlight

LENGTHS = (3, 1, 4)


def random_parts(seed, *rest, lengths=LENGTHS, axis=0, dtype=np.float64):
    """Arrays whose dim ``axis`` has the lengths, and whose other dims are ``rest``."""
    rng = np.random.default_rng(seed)
    shapes = [(*rest[:axis], n, *rest[axis:]) for n in lengths]
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def jagged(torch, parts, requires_grad=False):
    tensors = [torch.tensor(p) for p in parts]
    return torch.nested.nested_tensor(tensors, layout=torch.jagged, requires_grad=requires_grad)


def counted(requires_grad=False, lengths=(2, 4)):
    """A jagged tensor of rushlight, whose sequences (n, 3) count from 0."""
    parts = [rushlight.arange(3.0 * n).view(n, 3) for n in lengths]
    layout = rushlight.jagged
    return rushlight.nested.nested_tensor(parts, layout=layout, requires_grad=requires_grad)


def aligned(torch, x, parts):
    """A nested tensor with the offsets of ``x``."""
    values = torch.tensor(np.concatenate(parts, x._ragged_idx - 1))
    return torch.nested.nested_tensor_from_jagged(values, x.offsets(), jagged_dim=x._ragged_idx)


def told(x):
    """What a result tells: plain data, the same for both libraries if the results agree."""
    if isinstance(x, (tuple, list)):
        return [told(item) for item in x]
    if not hasattr(x, "is_nested"):
        return x
    kind = str(x.dtype)
    if not x.is_nested:
        return "dense", kind, tuple(x.shape), x.detach().numpy()
    parts = [t.detach().numpy() for t in x.unbind()]
    size = None if str(x.layout) == "torch.strided" else _size(x)
    return "nested", kind, str(x.layout), size, parts


def _size(x):
    """The shape with 'j' for the ragged size."""
    return tuple(n if isinstance(n, int) and k != x._ragged_idx else "j"
                 for k, n in enumerate(x.shape))  # fmt: skip


def assert_same(found, expected, rtol=1e-9, atol=1e-11):
    if isinstance(expected, (tuple, list)):
        assert type(found) in (tuple, list), (found, expected)
        assert len(found) == len(expected), (found, expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b, rtol, atol)
    elif isinstance(expected, np.ndarray):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol, atol)
    else:
        assert found == expected, (found, expected)


def with_gradients(torch, F, call, *operands):
    """The result of ``call``, and the gradient of its weighted sum for each floating operand."""
    found = call(torch, F, *operands)
    outputs = [t for t in (found if isinstance(found, (tuple, list)) else [found])
               if getattr(t, "requires_grad", False)]  # fmt: skip
    total = 0
    for t in outputs:
        values = t.values() if t.is_nested else t
        weights = torch.arange(values.numel(), dtype=values.dtype).reshape(values.shape) % 7 - 2
        total = total + (values * weights).sum()
    if outputs:
        total.backward()
    grads = [t.grad for t in operands if getattr(t, "requires_grad", False)]
    return [found, *grads]
