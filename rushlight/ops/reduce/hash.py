"""A number that tells whether two tensors have the same elements."""

from rushlight import shapes
from rushlight.dtype import bool as bool_
from rushlight.dtype import complex64, complex128, float64, int64, uint8, uint64
from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.shape.join import cat

__all__ = ["hash_tensor"]


@function
@takes(kinds={"dim": "ints", "mode": "int"})
def hash_tensor(input, dim=(), *, keepdim=False, mode=0, out=None):
    """Combine the bits of all elements over ``dim`` by exclusive or.

    Equal tensors have equal hashes. Floating-point elements count as float64, others as int64.

    Args:
        input: Tensor of any shape ``(*)``, not complex.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.
        mode: The kind of hash: 0, the only one.

    Returns:
        Tensor without the reduced dims, uint64; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` is complex or an unsigned integer of more than 8 bits, ``mode`` is
            another number, or a reduced dim is empty and the result is not.
        IndexError: ``dim`` is out of range.

    >>> import rushlight as torch
    >>> torch.hash_tensor(torch.tensor([1, 2, 4]))
    tensor(7, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"hash_tensor: Unknown hash_tensor mode: {mode}; 0 is the only one")
    kind = input.dtype
    unsigned = not kind.is_signed and kind not in (uint8, bool_)
    if kind in (complex64, complex128) or unsigned:
        raise UnsupportedDtypeError(f"hash_tensor: not implemented for {kind}")
    dims = shapes.dims(dim, input.ndim, "hash_tensor")
    _check_empty(input, dims, dim)
    values = input.detach()
    bits = values.to(float64).view(int64) if kind.is_floating_point else values.to(int64)
    kept = [d for d in range(input.ndim) if d not in dims]
    whole = [input.shape[d] for d in kept]
    found = _combined(bits.permute((*kept, *dims)).reshape(*whole, -1) if 0 not in whole
                      else bits.new_empty((*whole, 1)))  # fmt: skip
    if keepdim:
        found = found.reshape([1 if d in dims else n for d, n in enumerate(input.shape)])
    found = found.view(uint64)
    return found if out is None else out.resize_(found.shape).copy_(found)


def _check_empty(input, dims, given):
    if input.numel() or any(not n for d, n in enumerate(input.shape) if d not in dims):
        return
    if given in ((), [], None):
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    empty = next(d for d in dims if not input.shape[d])
    raise IndexError(f"hash_tensor: Expected reduction dim {empty} to have non-zero size.")


def _combined(bits):
    """The exclusive or along the last dim, by halves."""
    while (n := bits.shape[-1]) > 1:
        half = n // 2
        pairs = bits[..., :half] ^ bits[..., half : 2 * half]
        bits = cat([pairs, bits[..., 2 * half :]], -1) if n % 2 else pairs
    return bits[..., 0]
