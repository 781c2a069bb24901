"""Gradients of each sample of a batch, which ``backward()`` leaves in the parameters."""

import functools

from rushlight.func import functional_call
from rushlight.func.vmap import vmap
from rushlight.nn.modules import Module
from rushlight.tensor import Tensor
from rushlight.utils import _pytree as pytree

__all__ = ["call_for_per_sample_grads"]


def call_for_per_sample_grads(module, *, batch_size=None, loss_reduction="sum", batch_first=True):
    """Return a module's forward function, after which ``backward()`` tells samples apart.

    Each parameter gets the attribute ``grad_sample``, and its ``grad`` stays as it was. The module
    runs on one sample at a time, under ``vmap``, so every layer works that treats samples alike.

    Args:
        module: The module.
        batch_size: Number of samples. Default: the size of the tensors that are passed.
        loss_reduction: ``"mean"`` if the loss is a mean over the batch, ``"sum"`` if it is a sum.
        batch_first: Samples lie along dim 0 of inputs and outputs; False: along dim 1.

    Returns:
        Function of the module's arguments.

    Raises:
        RuntimeError: An argument is of another type or value, a parameter has ``grad_sample``
            already, or the function is called with tensors of several batch sizes, or of none.

    >>> import rushlight as torch
    >>> from rushlight.nn.utils._per_sample_grad import call_for_per_sample_grads
    >>> layer = torch.nn.Linear(4, 3)
    >>> call_for_per_sample_grads(layer)(torch.ones(5, 4)).sum().backward()
    >>> layer.weight.grad_sample.shape, layer.weight.grad
    (torch.Size([5, 3, 4]), None)
    """
    _check(module, batch_size, loss_reduction)
    dim = 0 if batch_first else 1

    @functools.wraps(module.forward)
    def forward(*args, **kwargs):
        leaves, tree = pytree.tree_flatten((args, kwargs))
        size = _size(leaves, dim) if batch_size is None else batch_size
        scale = size if loss_reduction == "mean" else 1
        named = {n: p for n, p in module.named_parameters() if p.requires_grad}
        copies = {n: _copied(p, size, scale) for n, p in named.items()}
        along = [dim if _is_batch(leaf, dim, size) else None for leaf in leaves]

        def of_sample(weights, *parts):
            whole = [p if d is None else p.unsqueeze(d) for p, d in zip(parts, along, strict=True)]
            given, named = pytree.tree_unflatten(whole, tree)
            found = functional_call(module, weights, given, named)
            return pytree.tree_map_only(Tensor, lambda t: t.squeeze(dim), found)

        run = vmap(of_sample, in_dims=(0, *along), out_dims=dim, randomness="different")
        return run(copies, *leaves)

    return forward


def _check(module, batch_size, loss_reduction):
    if loss_reduction not in ("sum", "mean"):
        raise RuntimeError(
            f"Expected loss_reduction argument to be sum or mean, got {loss_reduction}"
        )
    if not isinstance(module, Module):
        raise RuntimeError(f"Module passed must be nn.Module, got {type(module).__name__}")
    if batch_size is not None and not isinstance(batch_size, int):
        raise RuntimeError(
            f"Batch size passed must be None or an integer, got {type(batch_size).__name__}"
        )
    if batch_size is not None and batch_size < 1:
        raise RuntimeError(f"Batch size must be positive, got {batch_size}")
    for name, weight in module.named_parameters():
        if getattr(weight, "grad_sample", None) is not None:
            raise RuntimeError(
                f"call_for_per_sample_grads: {name} has a grad_sample already, and those of "
                "several calls are not added; set it to None"
            )


def _is_batch(leaf, dim, size):
    return isinstance(leaf, Tensor) and leaf.dim() > dim and leaf.shape[dim] == size


def _size(leaves, dim):
    sizes = {leaf.shape[dim] for leaf in leaves if isinstance(leaf, Tensor)}
    if len(sizes) > 1:
        raise RuntimeError(
            "When computing batch size, found at least one input with batch size "
            f"{min(sizes)} and one with batch size {max(sizes)}. Please specify it explicitly "
            "using the batch size kwarg in call_for_per_sample_grads"
        )
    if not sizes:
        raise RuntimeError(
            "Unable to find a tensor in the passed args and kwargs. Please specify the batch size "
            "explicitly"
        )
    return sizes.pop()


def _copied(parameter, size, scale):
    """The parameter once for each sample, whose gradient goes into ``grad_sample``."""
    copies = parameter.detach().expand(size, *parameter.shape).requires_grad_()

    def keep(leaf):
        found, leaf.grad = leaf.grad * scale, None
        before = getattr(parameter, "grad_sample", None)
        parameter.grad_sample = found if before is None else before + found

    copies.register_post_accumulate_grad_hook(keep)
    return copies
