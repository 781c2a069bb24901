"""Moving a module's tensors to another dtype, device or memory."""

import warnings

from rushlight import __future__ as conversions
from rushlight.autograd import mode
from rushlight.autograd.mode import no_grad
from rushlight.device import require
from rushlight.dtype import dtype as dtype_type
from rushlight.dtype import from_python
from rushlight.handled import is_handled
from rushlight.meta import NoData
from rushlight.nn.modules.registry import Registry
from rushlight.nn.parameter import Parameter
from rushlight.nn.uninitialized import is_lazy
from rushlight.ops.tensor.swap import swap_tensors
from rushlight.tensor import Tensor

__all__ = ["Conversion"]


class Conversion(Registry):
    """The part of Module that converts its parameters and buffers, in place."""

    def _apply(self, fn, recurse=True):
        """Replace every parameter, gradient and buffer ``t`` by ``fn(t)``."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, parameter in self._parameters.items():
            if parameter is None:
                continue
            with no_grad():
                found = fn(parameter)
                grad = None if parameter.grad is None else fn(parameter.grad)
                known = mode.intercept and not is_lazy(parameter)
                own = known and (is_handled(parameter) or is_handled(found))
                if own or conversions.get_swap_module_params_on_conversion():
                    self._swap(name, parameter, found, grad)
                    continue
                # A tensor cannot get or lose its elements: the module gets another parameter.
                if (
                    known and found.is_meta != parameter.is_meta
                ) or conversions.get_overwrite_module_params_on_conversion():
                    made = self._parameters[name] = Parameter(found, parameter.requires_grad)
                    made._grad = grad
                    continue
                parameter.data = found
                if grad is not None:
                    parameter.grad.data = grad
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def _swap(self, name, parameter, found, grad):
        """Let ``parameter`` and its gradient change places with ``found`` and ``grad``."""
        before, parameter.grad = parameter.grad, None
        try:
            swap_tensors(parameter, Parameter(found, parameter.requires_grad))
            if before is not None:
                grad.requires_grad_(before.requires_grad)
                swap_tensors(before, grad)
        except Exception as error:
            parameter.grad = before
            raise RuntimeError(
                f"Module._apply(): Couldn't swap {type(self).__name__}.{name}: {error}"
            ) from error
        parameter.grad = before

    def to(self, *args, **kwargs):
        """Convert the module to a dtype, to a device, or to a tensor's dtype and device, in place.

        The call is to(device, dtype), to(dtype) or to(tensor). Integer tensors keep their dtype.
        To or from the device ``meta``, the module gets new parameters.

        Args:
            *args, **kwargs: ``device``, ``dtype``, ``tensor``, ``non_blocking`` (accepted without
                effect) and, by name only, ``memory_format`` for the parameters and buffers with 4
                or 5 dims.

        Raises:
            TypeError: The dtype is neither floating point nor complex.
            NotImplementedError: The module is on the device ``meta``, and ``device`` is the CPU.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).to(torch.float64).weight.dtype
        torch.float64
        """
        device, dtype, non_blocking, memory_format = parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"Module.to: only floating point or complex dtypes are accepted, got dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Module.to: complex parameters are new, and some modules may not work with them",
                stacklevel=2,
            )

        def convert(t):
            target = dtype if t.is_floating_point() or t.is_complex() else None
            laid_out = memory_format is not None and t.dim() in (4, 5)
            named = {"memory_format": memory_format} if laid_out else {}
            try:
                return t.to(device, target, non_blocking, **named)
            except NoData as error:
                raise NotImplementedError(
                    f"{error} Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different device."
                ) from None

        return self._apply(convert)

    def float(self):
        """Convert the floating point parameters and buffers to float32, in place.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).float().weight.dtype
        torch.float32
        """
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self):
        """Convert the floating point parameters and buffers to float64, in place.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).double().weight.dtype
        torch.float64
        """
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self):
        """Convert the floating point parameters and buffers to float16, in place.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).half().weight.dtype
        torch.float16
        """
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self):
        """Convert the floating point parameters and buffers to bfloat16, in place.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).bfloat16().weight.dtype
        torch.bfloat16
        """
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def type(self, dst_type):
        """Convert every parameter and buffer to a dtype, in place.

        Args:
            dst_type: The dtype.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).type(torch.float64).weight.dtype
        torch.float64
        """
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self):
        """Move the parameters and buffers to the CPU, in place.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).cpu().weight.device
        device(type='cpu')
        """
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Move the parameters and buffers to a GPU, in place.

        Args:
            device: The number of the GPU. Default: the current one.

        Raises:
            AssertionError: No GPU is available.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> layer = layer.cuda() if torch.cuda.is_available() else layer
        >>> layer.weight.is_cuda == torch.cuda.is_available()
        True
        """
        return self._apply(lambda t: t.cuda(device))

    def xpu(self, device=None):
        """Move the parameters and buffers to a GPU of Intel's, in place.

        Args:
            device: The number of the GPU. Default: the current one.

        Raises:
            AssertionError: No such GPU is available.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> layer = layer.xpu() if torch.xpu.is_available() else layer
        """
        return self._apply(lambda t: t.xpu(device))

    def to_empty(self, *, device, recurse=True):
        """Give the parameters and buffers new memory with arbitrary values.

        Args:
            device: Where the memory lies.
            recurse: Include the submodules. Default: True.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).to_empty(device="cpu").weight.shape
        torch.Size([3, 2])
        """
        from rushlight import empty_like

        return self._apply(lambda t: empty_like(t, device=device), recurse=recurse)

    def share_memory(self):
        """Move the parameters and buffers to memory that other processes can share.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).share_memory().weight.is_shared()
        True
        """
        return self._apply(lambda t: t.share_memory_())


def parse_to(*args, **kwargs):
    """Parse the arguments of ``to`` into ``(device, dtype, non_blocking, memory_format)``.

    The allowed forms are to(device, dtype, non_blocking), to(dtype, non_blocking) and
    to(tensor, non_blocking), each with the keyword memory_format.

    Raises:
        TypeError: The arguments have none of these forms.
        RuntimeError: ``copy=True`` is given, but a module is converted in place.
    """
    args, kwargs = tuple(map(from_python, args)), {k: from_python(v) for k, v in kwargs.items()}
    names = ["device", "dtype", "non_blocking", "copy"]
    if "tensor" in kwargs or (args and isinstance(args[0], Tensor)):
        names[:2] = ["tensor"]
    elif args and isinstance(args[0], dtype_type):
        names[:2] = ["dtype"]
    given = dict(zip(names, args, strict=False))
    unknown = [k for k in kwargs if k in given or k not in (*names, "memory_format")]
    given.update(kwargs)
    dtype = given.get("dtype")
    if len(args) > len(names) or unknown or not isinstance(dtype, dtype_type | None):
        raise TypeError(
            "Module.to: expected (device, dtype, non_blocking), (dtype, non_blocking) or "
            f"(tensor, non_blocking), got {args} {kwargs}"
        )
    if given.get("copy"):
        raise RuntimeError("Module.to: copy=True is not possible, a module is converted in place")
    like = given.get("tensor")
    if like is not None:
        given.update(device=like.device, dtype=like.dtype)
    device = given.get("device")
    if device is not None:
        device = require(device)
    return device, given.get("dtype"), given.get("non_blocking", False), given.get("memory_format")
