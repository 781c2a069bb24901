"""DTensor: a tensor on several processes. On one process the local tensor is the whole."""

from typing import TYPE_CHECKING, Any

from rushlight.autograd import mode
from rushlight.composite import Composite, is_elementwise
from rushlight.distributed.device_mesh import current_mesh
from rushlight.distributed.tensor.placement_types import Partial, Replicate, Shard
from rushlight.tensor import Size, Tensor

__all__ = ["DTensor"]

_new = object.__new__


def checked(placements, mesh, ndim):
    """The placements, one for each dim of the mesh, with dims that count from the beginning."""
    if placements is None:
        return (Replicate(),) * mesh.ndim
    placements = tuple(placements)
    if len(placements) != mesh.ndim:
        raise ValueError(
            "`placements` must have the same length as `device_mesh.ndim`! Found placements "
            f"length: {len(placements)}, and device_mesh.ndim: {mesh.ndim}."
        )
    found = []
    for p in placements:
        if p.is_shard() and not -ndim <= p.dim < ndim:
            raise RuntimeError(f"{p!r} is not a dim of a tensor with {ndim} dims")
        found.append(Shard(p.dim % ndim) if p.is_shard() and p.dim < 0 else p)
    return tuple(found)


def made(values, mesh, placements):
    """A DTensor of the local tensor ``values``."""
    self = _new(DTensor)
    self.stored, self.mesh, self._placements = values, mesh, tuple(placements)
    return self


class DTensor(Composite, intercepts=False):
    """A tensor of several processes. ``distribute_tensor`` and ``from_local`` make one.

    Functions of ``torch`` compute on the local tensors, and give DTensors. Its other operands must
    be DTensors or numbers.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.tensor import DTensor, Shard
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> mesh = dist.init_device_mesh("cpu", (1,))
    >>> x = DTensor.from_local(torch.ones(2), mesh, [Shard(0)])
    >>> (x + 1).to_local()
    tensor([2., 2.])
    >>> dist.destroy_process_group()
    """

    __slots__ = ("_placements", "mesh")
    noun, remedy = "DTensors", "take .to_local() or .full_tensor()"
    if TYPE_CHECKING:
        mesh: Any
        _placements: tuple

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Compute on the local tensors."""
        name = func.__name__
        cls.refuse_trace(name)
        first = cls.first((*args, *(kwargs or {}).values()))
        args = [_local(x, name) for x in args]
        found = func(*args, **{k: _local(x, name) for k, x in (kwargs or {}).items()})
        if hasattr(func, "is_in_place") or name in ("__setitem__", "copy_"):
            return first
        return _wrapped(found, first, func, name)

    # What a tensor tells about itself -----------------------------------------------------

    shape = property(lambda self: Size(self.stored.shape))
    ndim = property(lambda self: self.stored.ndim)
    layout = property(lambda self: self.stored.layout)
    nbytes = property(lambda self: self.stored.nbytes)
    is_sparse = property(lambda self: self.stored.is_sparse)
    device_mesh = property(lambda self: self.mesh)
    placements = property(lambda self: self._placements)
    _local_tensor = property(lambda self: self.stored)
    grad_fn = property(lambda self: self.stored.grad_fn)

    def _set_grad(self, value):
        self.stored.grad = value.stored if isinstance(value, DTensor) else value

    @property
    def grad(self):
        """The gradient, a DTensor with the same placements."""
        g = self.stored.grad
        return None if g is None else made(g, self.mesh, self._placements)

    @grad.setter
    def grad(self, value):
        self._set_grad(value)

    _grad = grad

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[dim]

    def dim(self):
        return self.ndim

    def numel(self):
        return self.stored.numel()

    def stride(self, dim=None):
        return self.stored.stride() if dim is None else self.stored.stride(dim)

    def is_contiguous(self, memory_format=None):
        return self.stored.is_contiguous()

    def item(self):
        return self.full_tensor().item()

    def tolist(self):
        return self.full_tensor().tolist()

    def numpy(self, *, force=False):
        raise RuntimeError(f"numpy() of {self.noun}: {self.remedy} first")

    def __len__(self):
        return len(self.stored)

    def __iter__(self):
        return iter(self.unbind(0))

    def __bool__(self):
        return bool(self.full_tensor())

    def __float__(self):
        return float(self.full_tensor())

    def __int__(self):
        return int(self.full_tensor())

    def __repr__(self, *, tensor_contents=None):
        return (
            f"DTensor(local_tensor={self.stored.detach()!r}, device_mesh={self.mesh!r}, "
            f"placements={self._placements!r})"
        )

    # From and to local tensors -------------------------------------------------------------

    @staticmethod
    def from_local(
        local_tensor, device_mesh=None, placements=None, *, run_check=False, shape=None,
        stride=None, grad_placements=None,
    ):  # fmt: skip
        """Make a DTensor of what this process has. Gradients go to the local tensor.

        Args:
            local_tensor: A tensor.
            device_mesh: The mesh. Default: that of the ``with`` block.
            placements: One for each dim of the mesh. Default: ``Replicate()``.
            run_check, shape, stride, grad_placements: Accepted without effect.

        Returns:
            A DTensor.
        """
        if isinstance(local_tensor, DTensor):
            raise RuntimeError(
                "the local_tensor argument only accepts torch.Tensor but got DTensor"
            )
        mesh = device_mesh or current_mesh()
        placements = checked(placements, mesh, local_tensor.ndim)
        return made(local_tensor.view_as(local_tensor), mesh, placements)

    def to_local(self, *, grad_placements=None):
        """The tensor of this process. Gradients go through."""
        return self.stored.view_as(self.stored) if mode.state.grad else self.stored

    def redistribute(self, device_mesh=None, placements=None, *, async_op=False, **dtypes):
        """The same tensor with other placements.

        Args:
            device_mesh: Accepted if it is the tensor's mesh.
            placements: One for each dim of the mesh.
            async_op: Accepted without effect.
            dtypes: ``forward_dtype`` and ``backward_dtype``: accepted without effect.

        Returns:
            A DTensor.
        """
        if placements is None:
            raise RuntimeError("placements is needed for redistribute!")
        mesh = device_mesh or self.mesh
        if mesh != self.mesh:
            raise NotImplementedError("Cross device mesh comm not supported yet!")
        placements = checked(placements, mesh, self.ndim)
        for old, new in zip(self._placements, placements, strict=True):
            if new.is_partial() and old != new:
                raise RuntimeError(
                    f"Can not redistribute from {old} to {new}, redistributing to Partial is for "
                    "internal use only!"
                )
        return made(self.stored.view_as(self.stored), mesh, placements)

    def full_tensor(self, *, grad_placements=None):
        """The whole tensor. Gradients go through."""
        return self.redistribute(placements=[Replicate()] * self.mesh.ndim).to_local()

    # History ------------------------------------------------------------------------------

    def _set_requires_grad(self, value):
        self.stored.requires_grad = value

    requires_grad = property(lambda self: self.stored.requires_grad, _set_requires_grad)

    def with_values(self, values):
        return made(values, self.mesh, self._placements)

    def copied(self, memo):
        return self.with_values(self.stored.detach().clone())

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        gradient = gradient.stored if isinstance(gradient, DTensor) else gradient
        self.stored.backward(gradient, retain_graph, create_graph, inputs)

    def like(self, other):
        return other.stored if isinstance(other, DTensor) else other

    def register_post_accumulate_grad_hook(self, hook):
        return self.stored.register_post_accumulate_grad_hook(lambda _: hook(self))

    def retain_grad(self):
        self.stored.retain_grad()

    def _set_data(self, value):
        self.stored.data = value.stored if isinstance(value, DTensor) else value

    data = property(lambda self: self.detach(), _set_data)

    def __reduce_ex__(self, protocol):
        raise NotImplementedError(
            f"pickle: a DTensor cannot be written yet; {self.remedy}, or use "
            "torch.distributed.checkpoint"
        )

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        found = self.copied(memo).requires_grad_(self.requires_grad)
        memo[id(self)] = found
        found.__dict__.update(self.__dict__)
        return found


def _local(value, name):
    """An argument with the local tensors in the place of DTensors."""
    if isinstance(value, DTensor):
        return value.stored
    if isinstance(value, Tensor) and value.ndim and name not in ("__getitem__", "__setitem__"):
        raise RuntimeError(
            f"{name} got mixed torch.Tensor and DTensor, need to convert all torch.Tensor to "
            "DTensor before calling distributed operators! Please see "
            "torch.distributed.tensor.distribute_tensor or DTensor.from_local"
        )
    if type(value) in (list, tuple):
        return type(value)(_local(v, name) for v in value)
    return value


def _in_place(name):
    """The method ``name_`` of DTensor: that of the local tensor."""

    def method(self, *args, **kwargs):
        getattr(self.stored, name)(
            *(_local(x, name) for x in args), **{k: _local(x, name) for k, x in kwargs.items()}
        )
        return self

    method.__name__ = name
    method.__doc__ = f"``{name}`` of the local tensor."
    return method


for _name in [n for n in dir(Tensor) if n.endswith("_") and not n.startswith("_")]:
    if _name not in vars(Composite):
        setattr(DTensor, _name, _in_place(_name))
for _name in [n for n in dir(Tensor) if n.startswith("__i") and f"__{n[3:]}" in dir(Tensor)]:
    setattr(DTensor, _name, _in_place(_name))


def _wrapped(found, first, func, name):
    if isinstance(found, Tensor):
        return made(found, first.mesh, _placed(found, first, func, name))
    if isinstance(found, tuple) and hasattr(found, "_fields"):
        return type(found)(_wrapped(x, first, func, name) for x in found)
    if isinstance(found, (list, tuple)) and not isinstance(found, Size):
        return type(found)(_wrapped(x, first, func, name) for x in found)
    return found


def _placed(found, first, func, name):
    """The placements of a result: the operand's where they make sense, else replicated."""
    if is_elementwise(func, name) or tuple(found.shape) == tuple(first.shape):
        return first._placements
    if name in ("sum", "mean") and found.ndim == 0:
        reduced = Partial("sum" if name == "sum" else "avg")
        return [reduced if p.is_shard() else p for p in first._placements]
    return [
        p if p.is_shard() and p.dim < found.ndim and found.shape[p.dim] == first.shape[p.dim]
        else Replicate()
        for p in first._placements
    ]  # fmt: skip
