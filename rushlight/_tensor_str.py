"""torch._tensor_str: what subclasses of Tensor print themselves with."""

from rushlight.printing import OPTIONS as PRINT_OPTS  # noqa: F401
from rushlight.printing import append, contents
from rushlight.printing import printoptions as printoptions

__all__: list[str] = []


def _tensor_str(self, indent):
    """The elements of a tensor in brackets, for a line on which ``indent`` columns are taken."""
    return contents(self.detach().numpy(force=True), self.dtype, indent)


def _add_suffixes(tensor_str, suffixes, indent, force_newline):
    """Add suffixes such as ``dtype=torch.int32``, and close the parenthesis.

    >>> _add_suffixes("tensor([1, 2]", ["dtype=torch.int32"], 7, False)
    'tensor([1, 2], dtype=torch.int32)'
    """
    if force_newline and suffixes:
        tensor_str += ",\n" + " " * indent + suffixes[0]
        suffixes = suffixes[1:]
    return append(tensor_str, suffixes, indent) + ")"
