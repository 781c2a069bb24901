"""List the names in a pickle by walking through it without building its objects."""

import io
import os
import pickle
from typing import Any

from rushlight.serialization.archive import MAGIC, Archive
from rushlight.serialization.budget import Budget, file_name
from rushlight.serialization.guard import GuardedUnpickler
from rushlight.serialization.names import MISSING, VALUES
from rushlight.serialization.safety import is_safe

__all__ = ["Survey", "get_unsafe_globals_in_checkpoint"]


class _Nothing:
    """Stands for every object that a stream names, calls or builds; it ignores added items."""

    def _take(self, *args):
        return None

    __setitem__ = append = extend = add = _take


_NOTHING: Any = _Nothing()


class Survey(GuardedUnpickler):
    """Walks through a pickle and collects its names.

    Attributes:
        names: The (module, name) pairs in the pickle.
        ids: The persistent ids in the pickle. Dtypes and storage classes in the ids are real, other
            objects are replaced by a placeholder.
    """

    def __init__(self, file, budget, **options):
        super().__init__(file, budget, **options)
        self.names = set()
        self.ids = []

    def load(self):
        """Walk through the pickle to its end.

        Raises:
            pickle.UnpicklingError: the stream is damaged, or has opcodes that ``load`` refuses.
        """
        try:
            super().load()
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # a damaged stream may lead to any error
            raise pickle.UnpicklingError(
                f"load: a damaged pickle: {type(error).__name__}: {error}"
            ) from error

    def may_fill(self, owner):
        return owner is _NOTHING

    def load_reduce(self):
        self.stack[-2:] = [_NOTHING]

    def load_build(self):
        self.stack.pop()

    dispatch = {
        **GuardedUnpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.BUILD[0]: load_build,
    }

    def find_class(self, module, name):
        found = self.current_name(module, name)
        self.names.add(found)
        return VALUES.get(found, _NOTHING)

    def persistent_load(self, pid):
        self.ids.append(pid)
        return _NOTHING


def get_unsafe_globals_in_checkpoint(f):
    """Return the names in a file that ``load(weights_only=True)`` would refuse.

    Names of PyTorch's features that rushlight lacks are left out.

    Args:
        f: The path of the file, or a binary file object.

    Returns:
        Sorted list of names such as ``"collections.deque"``.

    Raises:
        ValueError: ``f`` is no zip file of ``save``.

    >>> import collections, io, rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.save(collections.deque([1]), file)
    >>> torch.serialization.get_unsafe_globals_in_checkpoint(file)
    ['collections.deque']
    """
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    f.seek(0)
    if f.read(len(MAGIC)) != MAGIC:
        raise ValueError(
            "get_unsafe_globals_in_checkpoint: Expected input to be a checkpoint returned by "
            "torch.save"
        )
    budget = Budget(file_name(f), f.seek(0, io.SEEK_END), "get_unsafe_globals_in_checkpoint")
    f.seek(0)
    source = Archive(f, budget)
    survey = Survey(io.BytesIO(source.pickle()), budget)
    survey.load()
    return sorted(".".join(n) for n in survey.names if not is_safe(*n) and n not in MISSING)
