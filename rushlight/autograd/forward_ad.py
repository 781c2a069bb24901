"""Forward-mode derivatives with dual tensors: ``torch.autograd.forward_ad``.

A dual tensor is a tensor that wants a gradient. Its level keeps its tangent. ``unpack_dual`` finds
the tangent of a result: it moves the level's tangents forward along the tape (``tangents.py``).
"""

import threading
import weakref
from typing import NamedTuple

from rushlight.autograd.mode import enable_grad, is_grad_enabled
from rushlight.autograd.tangents import check_tangent, pushed
from rushlight.autograd.tape import Leaf, Output
from rushlight.tensor import Tensor

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip


def reaches_outside(outputs, inputs):
    """Whether ``outputs`` depend on a leaf that is none of ``inputs``.

    The inputs are leaves, or views of outer tensors that want gradients.
    """
    own = {id(t.node) for t in inputs}
    todo, seen = [t.node for t in outputs if t.node is not None], set()
    while todo:
        node = todo.pop()
        if id(node) in own and type(node) is not Leaf:
            return True
        if id(node) in seen or id(node) in own:
            continue
        seen.add(id(node))
        source = node.source if type(node) is Output else node
        if type(source) is Leaf:
            if source.variable is not None:  # that of a transform inside the function is gone
                return True
            continue
        todo += [p for p in source.parents if p is not None]
    return False


class _Levels(threading.local):
    def __init__(self):
        # For each level: (leaf, tangent, reference to the dual tensor, its version when made)
        self.open: list[list] = []


_levels = _Levels()


def __getattr__(name):
    if name == "_current_level":  # PyTorch's variable; -1 outside of all levels
        return len(_levels.open) - 1
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class UnpackedDualTensor(NamedTuple):
    """The two parts of a dual tensor.

    Args:
        primal: Tensor ``(*)``: the value.
        tangent: Tensor ``(*)``: the derivative; None if the tensor depends on no dual tensor.

    >>> import rushlight as torch
    >>> torch.autograd.forward_ad.UnpackedDualTensor(torch.ones(1), None).primal
    tensor([1.])
    """

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level():
    """Open a level for dual tensors.

    Returns:
        The number of the level.

    Raises:
        RuntimeError: a level is open already, because nested forward mode is not supported.

    >>> import rushlight as torch
    >>> level = torch.autograd.forward_ad.enter_dual_level()
    >>> torch.autograd.forward_ad.exit_dual_level(level=level)
    """
    if _levels.open:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment; torch.func.jvp nests"
        )
    _levels.open.append([])
    return 0


def exit_dual_level(*, level=None):
    """Close the level; its dual tensors become ordinary ones.

    Args:
        level: The number of the level. Default: the one that is open.

    Raises:
        RuntimeError: the level is not open.

    >>> import rushlight as torch
    >>> level = torch.autograd.forward_ad.enter_dual_level()
    >>> torch.autograd.forward_ad.exit_dual_level()
    """
    if not _levels.open or level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    _levels.open.pop()


class dual_level:
    """Context manager in which dual tensors have tangents.

    >>> import rushlight as torch
    >>> fw = torch.autograd.forward_ad
    >>> with fw.dual_level():
    ...     x = fw.make_dual(torch.tensor(3.0), torch.tensor(1.0))
    ...     fw.unpack_dual(x * x).tangent
    tensor(6.)
    """

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *_):
        exit_dual_level()


def make_dual(tensor, tangent, *, level=None):
    """Return a dual tensor.

    Args:
        tensor: Tensor ``(*)``, floating point or complex: the value.
        tangent: Tensor of the shape and dtype of ``tensor``: its derivative.
        level: The number of the level. Default: the one that is open.

    Returns:
        Tensor ``(*)`` with the value of ``tensor``. What is computed from it has a tangent.

    Raises:
        RuntimeError: no level is open, shapes differ, or ``tensor`` has a tangent already.
        ValueError: one of the tensors is neither floating point nor complex.

    >>> import rushlight as torch
    >>> fw = torch.autograd.forward_ad
    >>> with fw.dual_level():
    ...     fw.unpack_dual(fw.make_dual(torch.zeros(2), torch.ones(2)).sin()).tangent
    tensor([1., 1.])
    """
    if not _levels.open:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for name, t in (("primal", tensor), ("tangent", tangent)):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {t.dtype}")
    check_tangent(tensor, tangent)
    if tensor.node is not None and not tensor.is_leaf and unpack_dual(tensor).tangent is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            f"same level {len(_levels.open) - 1} is not supported; pass unpack_dual(tensor).primal"
        )
    with enable_grad():
        own = tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
        dual = own.clone()  # which may be written in place
        _levels.open[-1].append((own, tangent, weakref.ref(dual), dual._version))
        return dual


def unpack_dual(tensor, *, level=None):
    """Return the value and the tangent of a tensor.

    Args:
        tensor: Tensor ``(*)``.
        level: The number of the level. Default: the one that is open.

    Returns:
        ``UnpackedDualTensor`` of tensors ``(*)``. The tangent is None if the tensor depends on no
        dual tensor, or if no level is open. The two have a history if the tensor depends on others
        that want gradients.

    >>> import rushlight as torch
    >>> torch.autograd.forward_ad.unpack_dual(torch.ones(1)).tangent is None
    True
    """
    duals = _levels.open[-1] if _levels.open else []
    if not duals or not tensor.requires_grad:
        return UnpackedDualTensor(tensor, None)
    inputs, tangents, made, versions = zip(*duals, strict=True)
    for tangent, dual, version in zip(tangents, made, versions, strict=True):
        if dual() is tensor and tensor._version == version:  # as make_dual gave it
            return UnpackedDualTensor(tensor.detach(), tangent)
    outer = is_grad_enabled() and reaches_outside([tensor], inputs)
    graph = outer or (is_grad_enabled() and any(t.requires_grad for t in tangents))
    (found,) = pushed([tensor], inputs, tangents, graph)
    if found is None:
        return UnpackedDualTensor(tensor, None)
    primal = tensor if outer else tensor.detach()
    if type(found) is Tensor is not type(primal):
        found = found.as_subclass(type(primal))
    return UnpackedDualTensor(primal, found)
