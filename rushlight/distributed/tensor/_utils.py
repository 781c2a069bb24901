"""Shapes of the parts of a tensor."""

__all__ = ["compute_local_shape_and_global_offset"]


def compute_local_shape_and_global_offset(global_shape, mesh, placements):
    """Return the shape of this process's part of a tensor, and where it begins.

    Args:
        global_shape: The shape of the whole tensor.
        mesh: The ``DeviceMesh``.
        placements: One for each dim of the mesh.

    Returns:
        Tuple of two tuples.
    """
    shape, offset = list(global_shape), [0] * len(global_shape)
    place = mesh.get_coordinate()
    for i, placement in enumerate(placements):
        if placement.is_shard():
            dim, parts = placement.dim, mesh.size(i)
            size = -(-shape[dim] // parts)  # every part but the last has this size
            start = min(size * place[i], shape[dim])
            offset[dim] += start
            shape[dim] = min(size, shape[dim] - start)
    return tuple(shape), tuple(offset)
