"""``as_sparse_gradcheck``: numeric checks of gradients for sparse operands."""

from functools import wraps

from rushlight.sparse.container import SparseTensor

__all__ = ["as_sparse_gradcheck"]


def as_sparse_gradcheck(gradcheck):
    """Extend ``torch.autograd.gradcheck`` to functions with sparse operands and results.

    The check runs on the values of the sparse operands, and on the dense form of sparse results.

    Args:
        gradcheck: ``torch.autograd.gradcheck``, or a function of the same arguments.

    Returns:
        A function of the same arguments. It takes ``masked`` too, without effect: a gradient is
        computed at the indices that an operand stores.

    >>> import rushlight as torch
    >>> check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    >>> x = torch.eye(2, dtype=torch.float64).to_sparse().requires_grad_()
    >>> check(lambda s: torch.sparse.sum(s * s), x)
    True
    """

    @wraps(gradcheck)
    def checked(func, inputs, *args, masked=True, **named):
        inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        plain = [
            x.coalesce().stored.detach().requires_grad_(x.requires_grad)
            if isinstance(x, SparseTensor) and x.is_sparse
            else x.stored.detach().requires_grad_(x.requires_grad)
            if isinstance(x, SparseTensor)
            else x
            for x in inputs
        ]
        patterns = [
            (x.coalesce() if x.is_sparse else x) if isinstance(x, SparseTensor) else None
            for x in inputs
        ]

        def of_values(*values):
            given = [
                v if p is None else p.with_values(v) for v, p in zip(values, patterns, strict=True)
            ]
            found = func(*given)
            if isinstance(found, (tuple, list)):
                return tuple(map(_dense, found))
            return _dense(found)

        return gradcheck(of_values, tuple(plain), *args, **named)

    return checked


def _dense(x):
    return x.to_dense() if isinstance(x, SparseTensor) else x
