"""How several processes compute a layer together."""

import fnmatch
import warnings

from rushlight.distributed.device_mesh import current_mesh

__all__ = [
    "ColwiseParallel", "ParallelStyle", "PrepareModuleInput", "PrepareModuleInputOutput",
    "PrepareModuleOutput", "RowwiseParallel", "SequenceParallel", "parallelize_module",
]  # fmt: skip


class ParallelStyle:
    """The base of styles.

    In a mesh of one process a style changes nothing: parameters, inputs and outputs are whole, and
    plain tensors. (In PyTorch the parameters become DTensors of one part.)

    Args:
        options: ``input_layouts``, ``output_layouts``, ``use_local_output`` and the like; they are
            remembered.
    """

    src_data_rank = 0

    def __init__(self, *args, **options):
        self.options = args, options

    def _apply(self, module, device_mesh):
        """Return the module that the processes of the mesh compute together."""
        if device_mesh.size() > 1:
            raise NotImplementedError(f"{type(self).__name__} of several processes")
        return module


class ColwiseParallel(ParallelStyle):
    """Each process has some outputs of a ``Linear``, or some columns of an ``Embedding``."""


class RowwiseParallel(ParallelStyle):
    """Each process has some inputs of a ``Linear``, or some rows of an ``Embedding``."""


class SequenceParallel(ParallelStyle):
    """Each process has a part of the sequence, for norms and dropout."""


class PrepareModuleInput(ParallelStyle):
    """The inputs of a module are laid on the processes."""


class PrepareModuleOutput(ParallelStyle):
    """The outputs of a module are laid on the processes."""


class PrepareModuleInputOutput(ParallelStyle):
    """The inputs and outputs of a module are laid on the processes."""


def parallelize_module(module, device_mesh=None, parallelize_plan=None, *, src_data_rank=0):
    """Let several processes compute a module together.

    Args:
        module: The module.
        device_mesh: The mesh. Default: that of the ``with`` block.
        parallelize_plan: A style, or a dict from names of modules (with ``*`` and ``?``) to styles.
        src_data_rank: The process whose parameters count.

    Returns:
        ``module``.

    Raises:
        TypeError: The plan is something else.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.tensor.parallel import ColwiseParallel, parallelize_module
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> mesh = dist.init_device_mesh("cpu", (1,))
    >>> parallelize_module(torch.nn.Linear(2, 4), mesh, ColwiseParallel())
    Linear(in_features=2, out_features=4, bias=True)
    >>> dist.destroy_process_group()
    """
    mesh = device_mesh or current_mesh()
    if parallelize_plan is None:
        warnings.warn("No parallelize_plan is provided; the module stays as it is.", stacklevel=2)
        return module
    if isinstance(parallelize_plan, ParallelStyle):
        return parallelize_plan._apply(module, mesh)
    if not isinstance(parallelize_plan, dict):
        raise TypeError(
            "Expect Union[ParallelStyle, Dict[str, ParallelStyle]] for parallelize_plan, "
            f"{type(parallelize_plan)} found!"
        )
    names = dict(module.named_modules())
    for pattern, style in parallelize_plan.items():
        if pattern == "":
            style._apply(module, mesh)
            continue
        found = [n for n in names if _matches(n, pattern)]
        if not found:
            warnings.warn(f"Parallelize plan key '{pattern}' could not be resolved", stacklevel=2)
        for name in found:
            style._apply(names[name], mesh)
    return module


def _matches(name, pattern):
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
