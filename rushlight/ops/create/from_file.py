"""``from_file``: a tensor whose memory is a file."""

from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.create.filled import options
from rushlight.storage import UntypedStorage
from rushlight.tensor import from_array


@function(method=False)
@takes(
    "filename: str, shared: bool?=, size: int?=, *, dtype?=, layout?=, device?=, pin_memory?=, "
    "requires_grad=", asks=False,
)  # fmt: skip
def from_file(
    filename, shared=None, size=0, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Map a file to memory, and return it as a tensor.

    Args:
        filename: The path of the file, which holds elements of ``dtype`` and nothing else.
        shared: Let writes change the file, and create or extend a file that is missing or too
            short. Default: False, writes stay in memory.
        size: Number of elements. Default: 0.
        dtype: The dtype of the elements. Default: ``torch.get_default_dtype()``.

    Returns:
        Tensor ``(size,)``.

    Raises:
        RuntimeError: The file is too short and ``shared`` is False, or it cannot be opened.

    >>> import rushlight as torch, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "numbers")
    >>> torch.from_file(path, shared=True, size=2).fill_(3)
    tensor([3., 3.])
    >>> torch.from_file(path, size=1)
    tensor([3.])
    """
    dtype = options(dtype, layout, device, "from_file")
    size = size or 0
    try:
        storage = UntypedStorage.from_file(filename, bool(shared), size * dtype.itemsize)
    except OSError as error:
        raise RuntimeError(f"from_file: unable to open file <{filename}>: {error}") from error
    found = from_array(storage.bytes[: size * dtype.itemsize].view(dtype.numpy))
    return found.requires_grad_() if requires_grad else found
