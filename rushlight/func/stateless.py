"""Modules as functions."""

from collections.abc import Sequence
from functools import wraps

from rushlight.nn.modules.batchnorm import _BatchNorm
from rushlight.nn.utils.stateless import call_with
from rushlight.ops.shape.join import stack

__all__ = [
    "functional_call", "functionalize", "replace_all_batch_norm_modules_", "stack_module_state",
]  # fmt: skip


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


def stack_module_state(models):
    """Stack the parameters and buffers of modules of one structure, for ``vmap`` over the models.

    Args:
        models: List of Modules of one class and structure, all in training or all in evaluation.

    Returns:
        Tuple of two dicts by name: the parameters and the buffers. Each tensor has the models as
        its dim 0. The parameters are new leaves.

    Raises:
        RuntimeError: the list is empty, or the models differ in class or mode.

    >>> import rushlight as torch
    >>> models = [torch.nn.Linear(2, 3) for _ in range(5)]
    >>> torch.func.stack_module_state(models)[0]["weight"].shape
    torch.Size([5, 3, 2])
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = _stacked([dict(m.named_parameters()) for m in models])
    for name, t in models[0].named_parameters():
        parameters[name] = parameters[name].detach().requires_grad_(t.requires_grad)
    return parameters, _stacked([dict(m.named_buffers()) for m in models])


def _stacked(states):
    return {name: stack([s[name] for s in states]) for name in states[0]}


def replace_all_batch_norm_modules_(root):
    """Let the batch norms of a module use the statistics of the batch alone, in place.

    Running statistics cannot be updated for single samples inside ``vmap``.

    Args:
        root: The Module, which is changed.

    Returns:
        ``root``.

    >>> import rushlight as torch
    >>> net = torch.func.replace_all_batch_norm_modules_(torch.nn.BatchNorm1d(2))
    >>> net.running_mean is None
    True
    """
    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def functionalize(func, *, remove="mutations"):
    """Return a function like ``func``; the writes in it change only its arguments.

    Recordings of functions (``torch.compile``, ``torch.export``, ``vmap``) turn writes into new
    values by themselves, so the function itself stays as it is.

    Args:
        func: A function of tensors.
        remove: ``"mutations"`` or ``"mutations_and_views"``. Both have the same effect.

    Returns:
        Function with the arguments and results of ``func``.

    Raises:
        RuntimeError: ``remove`` has another value.

    >>> import rushlight as torch
    >>> torch.func.functionalize(lambda x: x.clone().add_(1))(torch.zeros(2))
    tensor([1., 1.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove= "
            f"{remove!r}"
        )

    @wraps(func)
    def wrapped(*args, **kwargs):
        return func(*args, **kwargs)

    return wrapped
