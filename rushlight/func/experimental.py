"""``functorch.experimental``: older names of ``torch.func``, and ``vmap`` in chunks."""

from rushlight.func import (
    functionalize,
    hessian,
    jacfwd,
    jvp,
    replace_all_batch_norm_modules_,
    vmap,
)

__all__ = [
    "chunk_vmap", "functionalize", "hessian", "jacfwd", "jvp", "replace_all_batch_norm_modules_",
]  # fmt: skip


def chunk_vmap(func, in_dims=0, out_dims=0, randomness="error", chunks=2):
    """Return ``torch.vmap(func)``, which maps over a ``chunks``-th part of the samples at a time.

    Raises:
        ValueError: ``chunks`` is below 1.

    >>> import rushlight as torch
    >>> chunk_vmap(torch.sum)(torch.ones(5, 3))
    tensor([3., 3., 3., 3., 3.])
    """
    if chunks < 1:
        raise ValueError(f"chunk_vmap: chunks must be at least 1, but got {chunks}")

    def mapped(*args, **kwargs):
        dims = in_dims if isinstance(in_dims, tuple) else (in_dims,) * len(args)
        sizes = [x.shape[d] for x, d in zip(args, dims, strict=False) if isinstance(d, int)]
        size = -(-sizes[0] // chunks) if sizes else None
        return vmap(func, in_dims, out_dims, randomness, chunk_size=size)(*args, **kwargs)

    return mapped if chunks > 1 else vmap(func, in_dims, out_dims, randomness)
