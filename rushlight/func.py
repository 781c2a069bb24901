"""Modules as functions: ``torch.func``."""

from collections.abc import Sequence

from rushlight.nn.utils.stateless import call_with

__all__ = ["functional_call"]


def functional_call(
    module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """Call ``module(*args, **kwargs)`` with the given tensors as its parameters and buffers.

    Args:
        module: The Module. The call leaves its parameters and buffers unchanged.
        parameter_and_buffer_dicts: Tensors by name, in one dict or in several. For names that are
            not given the module's own tensors are used. If the call replaces a given buffer, the
            new buffer is put into the dict.
        args: The arguments as a tuple, or a single argument that is no tuple. Default: no
            arguments.
        kwargs: Dict of the keyword arguments. Default: none.
        tie_weights: If the module has a tensor under several names, giving one name is enough.
            Default: True.
        strict: All parameters and buffers must be given, and no other names. Default: False.

    Returns:
        The result of the module's ``forward``.

    Raises:
        ValueError: a name is in several dicts, or tied names are given different tensors.
        RuntimeError: with ``strict``, names are missing or unexpected.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> w = torch.ones(1, 2, requires_grad=True)
    >>> torch.func.functional_call(layer, {"weight": w}, torch.tensor([3.0, 4.0])).sum().backward()
    >>> w.grad
    tensor([[3., 4.]])
    """
    given = parameter_and_buffer_dicts
    if isinstance(given, dict):
        tensors = given
    elif isinstance(given, Sequence):
        if not all(isinstance(d, dict) for d in given):
            raise ValueError(
                "functional_call: expected a dict or a sequence of dicts of tensors, got "
                f"{[type(d).__name__ for d in given]}"
            )
        names = [name for d in given for name in d]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"functional_call: {repeated} appear in multiple dictionaries; the behavior is "
                "ambiguous"
            )
        tensors = {name: t for d in given for name, t in d.items()}
    else:
        raise ValueError(
            "functional_call: expected a dict or a sequence of dicts of tensors, got "
            f"{type(given).__name__}"
        )
    return call_with(module, tensors, args, kwargs, tie_weights, strict)
