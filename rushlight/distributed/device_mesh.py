"""DeviceMesh: processes in a grid, with a group for each of its lines."""

from math import prod
from typing import Any

import numpy as np

from rushlight import late
from rushlight.distributed.groups import new_group
from rushlight.distributed.process_group import ProcessGroup, resolve
from rushlight.distributed.world import init_process_group, is_initialized
from rushlight.dtype import int32
from rushlight.tensor import Tensor, from_array

__all__ = ["DeviceMesh", "init_device_mesh"]

_current: list = []  # the meshes of ``with`` blocks


class DeviceMesh:
    """Processes in a grid.

    Args:
        device_type: The type of device of the tensors: "cpu" or "cuda".
        mesh: The ranks in a grid: a tensor or nested lists.
        mesh_dim_names: A name for each dim.
        backend_override: Accepted without effect.

    Raises:
        RuntimeError: A rank does not exist.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> mesh = dist.DeviceMesh("cpu", [0])
    >>> mesh.size()
    1
    >>> dist.destroy_process_group()
    """

    def __init__(
        self, device_type, mesh, *, mesh_dim_names=None, backend_override=None, _groups=None,
        _init_backend=True, _rank=None,
    ):  # fmt: skip
        if not is_initialized():
            init_process_group()
        grid = mesh.numpy() if isinstance(mesh, Tensor) else np.asarray(mesh)
        self.device_type = device_type
        self.mesh = from_array(np.array(grid, np.int32))
        self.mesh_dim_names: Any = tuple(mesh_dim_names) if mesh_dim_names else None
        self._rank = resolve().rank()
        self._root: DeviceMesh | None = None
        self._flattened: dict = {}
        if grid.size and int(grid.max()) >= resolve().size():
            raise RuntimeError(
                f"Mesh should not be bigger than default world size {resolve().size()}, but found "
                f"{grid.size} ranks!"
            )
        self._groups = list(_groups) if _groups else [self._line(grid, d) for d in range(grid.ndim)]

    def _line(self, grid, dim):
        """The group of the line along ``dim`` that this process is in."""
        own = None
        for ranks in np.moveaxis(grid, dim, -1).reshape(-1, grid.shape[dim]).tolist():
            everyone = ranks == list(range(resolve().size()))
            made = resolve() if everyone else new_group(ranks)
            if self._rank in ranks:
                own = made
        return own

    @property
    def shape(self):
        """The sizes of the grid, a tuple."""
        return tuple(self.mesh.shape)

    @property
    def ndim(self):
        """The number of dims."""
        return self.mesh.ndim

    @property
    def device_mesh(self):
        return self

    def size(self, mesh_dim=None):
        """The number of processes, in all or along a dim."""
        return prod(self.shape) if mesh_dim is None else self.shape[mesh_dim]

    def _dim(self, mesh_dim, what):
        if mesh_dim is None:
            if self.ndim > 1:
                raise RuntimeError(
                    f"Found the DeviceMesh have {self.ndim} dimensions: {what} needs the optional "
                    "kwarg `mesh_dim`"
                )
            return 0
        if isinstance(mesh_dim, str):
            if mesh_dim not in (self.mesh_dim_names or ()):
                raise KeyError(
                    f"Mesh dimension '{mesh_dim}' does not exist. Available mesh dimensions are: "
                    f"{self.mesh_dim_names}"
                )
            return self.mesh_dim_names.index(mesh_dim)
        return mesh_dim

    def get_group(self, mesh_dim=None):
        """The group of this process along a dim: its number or its name."""
        return self._groups[self._dim(mesh_dim, "get_group")]

    def get_all_groups(self):
        """The groups along all dims, a list."""
        return list(self._groups)

    def get_rank(self):
        """The rank of this process among all processes."""
        return self._rank

    def get_coordinate(self):
        """The place of this process in the grid, a tuple; None if it is not there."""
        found = (self.mesh == self._rank).nonzero()
        return tuple(found[0].tolist()) if len(found) else None

    def get_local_rank(self, mesh_dim=None):
        """The place of this process along a dim."""
        return self.get_coordinate()[self._dim(mesh_dim, "get_local_rank")]

    def __getitem__(self, mesh_dim_names):
        names = (mesh_dim_names,) if isinstance(mesh_dim_names, str) else tuple(mesh_dim_names)
        root = self._root or self
        if len(names) == 1 and names[0] in root._flattened:
            return root._flattened[names[0]]
        known = self.mesh_dim_names or ()
        if not known or any(name not in known for name in names):
            raise KeyError(
                f"Invalid mesh_dim_names {names} specified. Valid mesh_dim_names are {list(known)}."
            )
        if names == known:
            return self
        dims = [known.index(name) for name in names]
        at = list(self.get_coordinate())
        index = tuple(slice(None) if d in dims else at[d] for d in range(self.ndim))
        grid = self.mesh[index].permute([sorted(dims).index(d) for d in dims])
        found = DeviceMesh(
            self.device_type, grid, mesh_dim_names=names, _groups=[self._groups[d] for d in dims]
        )
        found._root = root
        return found

    def _flatten(self, mesh_dim_name=None):
        """A mesh of one dim with the same processes."""
        root = self._root or self
        name = mesh_dim_name or "_".join(self.mesh_dim_names)
        if name not in root._flattened:
            found = DeviceMesh(self.device_type, self.mesh.reshape(-1), mesh_dim_names=(name,))
            found._root = root
            root._flattened[name] = found
        return root._flattened[name]

    def _get_root_mesh(self):
        return self._root or self

    @staticmethod
    def from_group(group, device_type, mesh=None, *, mesh_dim_names=None):
        """A mesh of a group, or of a list of groups with the grid ``mesh``."""
        if isinstance(group, ProcessGroup):
            return DeviceMesh(
                device_type, group.ranks, mesh_dim_names=mesh_dim_names, _groups=[group]
            )
        if mesh is None:
            raise ValueError("Must pass mesh if passing multiple ProcessGroups")
        return DeviceMesh(device_type, mesh, mesh_dim_names=mesh_dim_names, _groups=group)

    def __enter__(self):
        _current.append(self)
        return self

    def __exit__(self, *exc):
        _current.pop()

    def __eq__(self, other):
        return self is other or (isinstance(other, DeviceMesh) and self._key() == other._key())

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        ranks = tuple(self.mesh.flatten().tolist())
        return ranks, self.shape, self.device_type, self.mesh_dim_names

    def __repr__(self):
        names = self.mesh_dim_names
        text = str(self.shape)
        if names:
            text = f"({', '.join(f'{n}={s}' for n, s in zip(names, self.shape, strict=True))})"
        return f"DeviceMesh({text}, {self.device_type!r})"


def current_mesh():
    """The mesh of the innermost ``with`` block.

    Raises:
        RuntimeError: There is none.
    """
    if not _current:
        raise RuntimeError("No device mesh is currently active!")
    return _current[-1]


def init_device_mesh(device_type, mesh_shape, *, mesh_dim_names=None, backend_override=None):
    """Put all processes in a grid. If there is no process group, ``init_process_group`` makes it.

    Args:
        device_type: The type of device of the tensors: "cpu" or "cuda".
        mesh_shape: The sizes of the grid, a tuple.
        mesh_dim_names: A name for each dim.
        backend_override: Accepted without effect.

    Returns:
        A ``DeviceMesh``.

    Raises:
        RuntimeError: The sizes do not fit the names or the number of processes.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> dist.init_device_mesh("cpu", (1, 1), mesh_dim_names=("dp", "tp"))
    DeviceMesh((dp=1, tp=1), 'cpu')
    >>> dist.destroy_process_group()
    """
    names = mesh_dim_names
    if names is not None and len(set(names)) != len(names):
        raise RuntimeError(
            f"Each mesh_dim_name must be unique. Found repeated mesh_dim_name in {names}"
        )
    if names is not None and len(mesh_shape) != len(names):
        raise RuntimeError(
            "mesh_shape and mesh_dim_names should have same length! Found len(mesh_dim_names): "
            f"{len(names)} and len(mesh_shape):{len(mesh_shape)}."
        )
    if not device_type.isalpha():
        raise RuntimeError(
            f"Device type with index is not supported but got {device_type}: pass 'device.type'"
        )
    ranks = late.framework.arange(prod(mesh_shape), dtype=int32).view(tuple(mesh_shape))
    return DeviceMesh(device_type, ranks, mesh_dim_names=names)
