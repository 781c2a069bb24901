"""replicate: DistributedDataParallel of a module that stays what it is."""

from rushlight.distributed.process_group import resolve

__all__ = ["replicate"]


def replicate(module, ignored_modules=None, **options):
    """Average the gradients of a module over all processes; one process has nothing to average.

    Args:
        module: The module.
        ignored_modules: Modules inside that are left out.
        options: As of ``DistributedDataParallel``.

    Returns:
        ``module``.
    """
    mesh = options.get("device_mesh")
    pg = mesh.get_group(0) if mesh is not None else resolve(options.get("process_group"))
    if pg.size() > 1:
        raise NotImplementedError("torch.distributed._composable.replicate of several processes")
    return module
