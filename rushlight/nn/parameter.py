"""Parameter and Buffer: tensors that become part of the state of the module that holds them."""

from collections import OrderedDict
from typing import Any

import rushlight
from rushlight.tensor import Tensor, TensorMeta, disabled_torch_function

__all__ = ["Buffer", "Parameter"]


class _ParameterMeta(TensorMeta):
    """Makes ``isinstance(t, Parameter)`` true for tensors of any class that have ``_is_param``."""

    def __instancecheck__(cls, instance):
        if cls is Parameter and isinstance(instance, Tensor) and hasattr(instance, "_is_param"):
            return True
        return super().__instancecheck__(instance)


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor that a module registers as a parameter when it is assigned to the module.

    The parameter shares the memory of ``data``.

    Args:
        data: Tensor of any shape ``(*)``. Default: a new tensor without elements.
        requires_grad: Record the parameter's use, for gradients. Default: True.

    Raises:
        AttributeError: ``data`` is no Tensor.
        RuntimeError: ``detach`` of a subclass of Tensor gives another class.

    >>> import rushlight as torch
    >>> torch.nn.Parameter(torch.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __torch_function__ = disabled_torch_function
    _printed_name = "tensor"

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = rushlight.empty(0)
        if not isinstance(data, Tensor):
            raise AttributeError(
                f"Parameter: data must be a Tensor, got a {type(data).__name__}; "
                "make one with torch.tensor(data)"
            )
        if type(data) is Tensor or type(data) is Parameter:
            return Tensor._make_subclass(cls, data, requires_grad)
        # A tensor of another class keeps its class and is marked as a parameter.
        parameter: Any = data.detach()
        kind = type(parameter)
        if kind is Tensor:  # ``super().detach()`` of a subclass gives a plain tensor
            parameter = parameter.as_subclass(type(data))
        elif kind is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires "
                "that detach() returns an instance of the same type, but it returned a "
                f"{kind.__name__}"
            )
        parameter.requires_grad_(requires_grad)
        parameter._is_param = True
        return parameter

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            data = self.data.clone(memory_format=rushlight.preserve_format)
            memo[id(self)] = type(self)(data, self.requires_grad)
        return memo[id(self)]

    def __repr__(self, *, tensor_contents=None):
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol):
        args: tuple = (self.data, self.requires_grad, OrderedDict())
        if self.__dict__:
            return _rebuild_parameter_with_state, (*args, self.__dict__)
        return _rebuild_parameter, args


def _rebuild_parameter(data, requires_grad, backward_hooks):
    return Parameter(data, requires_grad)


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    parameter = Parameter(data, requires_grad)
    parameter.__dict__.update(state)
    return parameter


class _BufferMeta(TensorMeta):
    def __instancecheck__(cls, instance):
        if cls is Buffer and isinstance(instance, Tensor) and hasattr(instance, "_is_buffer"):
            return True
        return super().__instancecheck__(instance)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A tensor that a module registers as a buffer when it is assigned to the module.

    The result is a plain Tensor that is marked as a buffer. It shares the memory of ``data``.

    Args:
        data: Tensor of any shape ``(*)``. Default: a new tensor without elements.
        persistent: Save the buffer in the module's ``state_dict``. Default: True.

    >>> import rushlight as torch
    >>> module = torch.nn.Module()
    >>> module.mean = torch.nn.Buffer(torch.zeros(2))
    >>> dict(module.named_buffers())
    {'mean': tensor([0., 0.])}
    """

    __torch_function__ = disabled_torch_function

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = rushlight.empty(0)
        buffer = data.detach().requires_grad_(data.requires_grad)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer


def __getattr__(name):
    # The uninitialized classes are in another file, which imports this file.
    from rushlight.nn import uninitialized

    if name in uninitialized.__all__:
        return getattr(uninitialized, name)
    raise AttributeError(f"module 'rushlight.nn.parameter' has no attribute {name!r}")
