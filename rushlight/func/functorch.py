"""The package functorch, which comes with PyTorch: the older names of ``torch.func``."""

import copy

from rushlight.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)
from rushlight.fx.experimental.proxy_tensor import make_fx
from rushlight.nn.modules.module import Module

__all__ = [
    "FunctionalModule", "FunctionalModuleWithBuffers", "combine_state_for_ensemble",
    "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
    "make_functional", "make_functional_with_buffers", "make_fx", "vjp", "vmap",
]  # fmt: skip


class FunctionalModuleWithBuffers(Module):
    """A module as a function: it is called with its parameters, its buffers, and the arguments.

    Args:
        stateless_model: The Module. Its own parameters and buffers are not used.

    >>> import rushlight as torch
    >>> function, params, buffers = make_functional_with_buffers(torch.nn.Linear(1, 1, bias=False))
    >>> function((torch.full((1, 1), 3.0),), buffers, torch.ones(1))
    tensor([3.])
    """

    def __init__(self, stateless_model):
        super().__init__()
        self.stateless_model = stateless_model
        self.param_names = tuple(name for name, _ in stateless_model.named_parameters())
        self.buffer_names = tuple(name for name, _ in stateless_model.named_buffers())

    def forward(self, params, buffers, *args, **kwargs):  # type: ignore[override]
        """Run the module with these parameters and buffers."""
        state = dict(zip(self.param_names, params, strict=True))
        state.update(zip(self.buffer_names, buffers, strict=True))
        return functional_call(self.stateless_model, state, args, kwargs)


class FunctionalModule(FunctionalModuleWithBuffers):
    """A module without buffers as a function: it is called with its parameters and the arguments.

    Args:
        stateless_model: The Module. Its own parameters are not used.

    >>> import rushlight as torch
    >>> function, params = make_functional(torch.nn.Linear(1, 1, bias=False))
    >>> function((torch.full((1, 1), 3.0),), torch.ones(1))
    tensor([3.])
    """

    def forward(self, params, *args, **kwargs):  # type: ignore[override]
        """Run the module with these parameters."""
        return super().forward(params, (), *args, **kwargs)


def make_functional_with_buffers(model, disable_autograd_tracking=False):
    """Return a module as a function, its parameters and its buffers.

    Args:
        model: The Module, which is copied.
        disable_autograd_tracking: The parameters require no gradients. Default: False.

    Returns:
        Tuple of the function ``f(params, buffers, *args)`` and two tuples of tensors.

    >>> import rushlight as torch
    >>> _, params, buffers = make_functional_with_buffers(torch.nn.BatchNorm1d(2))
    >>> len(params), len(buffers)
    (2, 3)
    """
    params = [p.detach().requires_grad_(p.requires_grad) for p in model.parameters()]
    if disable_autograd_tracking:
        params = [p.detach() for p in params]
    return FunctionalModuleWithBuffers(copy.deepcopy(model)), tuple(params), tuple(model.buffers())


def make_functional(model, disable_autograd_tracking=False):
    """Return a module without buffers as a function, and its parameters.

    Args:
        model: The Module, which is copied.
        disable_autograd_tracking: The parameters require no gradients. Default: False.

    Returns:
        Tuple of the function ``f(params, *args)`` and a tuple of tensors.

    Raises:
        ValueError: The module has buffers.

    >>> import rushlight as torch
    >>> function, params = make_functional(torch.nn.Linear(2, 3))
    >>> [tuple(p.shape) for p in params]
    [(3, 2), (3,)]
    """
    if any(True for _ in model.buffers()):
        raise ValueError(
            "make_functional(model): `model` has buffers. Please use "
            "make_functional_with_buffers(model) instead."
        )
    found, params, _ = make_functional_with_buffers(model, disable_autograd_tracking)
    return FunctionalModule(found.stateless_model), params


def combine_state_for_ensemble(models):
    """Return several modules of one kind as one function, with their stacked states.

    Args:
        models: A list of Modules with the same layers.

    Returns:
        Tuple of the function ``f(params, buffers, *args)`` and two tuples of stacked tensors.

    >>> import rushlight as torch
    >>> _, params, _ = combine_state_for_ensemble([torch.nn.Linear(2, 3) for _ in range(4)])
    >>> params[0].shape
    torch.Size([4, 3, 2])
    """
    params, buffers = stack_module_state(list(models))
    function = FunctionalModuleWithBuffers(copy.deepcopy(models[0]))
    return function, tuple(params.values()), tuple(buffers.values())
