"""torch.utils._foreach_utils: how optimizers sort tensors for the ``_foreach_`` functions."""

__all__: list[str] = []


def _get_foreach_kernels_supported_devices():
    return ["cuda", "xpu", "mtia"]  # PyTorch's optimizers loop over tensors on the CPU


def _has_foreach_support(tensors, device):
    return device.type in _get_foreach_kernels_supported_devices()


def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices=False):
    """Group what stands at the same place of several lists by the first list's tensors.

    Args:
        tensorlistlist: Lists of equal length; other lists than the first may hold None.
        with_indices: Also tell the places of each group. Default: False.

    Returns:
        Dict: (device, dtype) → (the lists' parts of this group, their places, or []).

    >>> import rushlight as torch
    >>> x, y = torch.ones(1), torch.ones(1, dtype=torch.float64)
    >>> found = _group_tensors_by_device_and_dtype([[x, y, x]], with_indices=True)
    >>> [(dtype, places) for (_, dtype), (_, places) in found.items()]
    [(torch.float32, [0, 2]), (torch.float64, [1])]
    """
    groups: dict = {}
    for i, tensor in enumerate(tensorlistlist[0]):
        groups.setdefault((tensor.device, tensor.dtype), []).append(i)
    return {
        key: (
            [[part[i] for i in places] for part in tensorlistlist],
            places if with_indices else [],
        )
        for key, places in groups.items()
    }
