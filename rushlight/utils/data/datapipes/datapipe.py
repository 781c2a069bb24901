"""The two kinds of DataPipes, to which steps are added as methods: ``pipe.map(f).batch(4)``."""

import functools
import importlib
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from rushlight.utils.data.datapipes.iterators import begin, watched
from rushlight.utils.data.dataset import Dataset, IterableDataset

__all__ = ["DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe"]

T_co = TypeVar("T_co", covariant=True)


class _Steps:
    """What both kinds share: steps that are called as methods, and hooks of pickling.

    A hook is a function that libraries set for all pipes of a kind: ``getstate_hook`` gets the
    state of a pipe and returns what pickle takes, ``reduce_ex_hook`` gets the pipe itself, and may
    raise ``NotImplementedError`` to leave it alone.
    """

    functions: ClassVar[dict[str, Callable]]
    reduce_ex_hook: ClassVar[Callable | None] = None
    getstate_hook: ClassVar[Callable | None] = None
    str_hook: ClassVar[Callable | None] = None
    repr_hook: ClassVar[Callable | None] = None

    def __getattr__(self, name):
        step = None if name.startswith("_") else _steps(type(self)).get(name)
        if step is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        bound = functools.partial(step, self)
        functools.update_wrapper(bound, step, assigned=("__doc__",))
        return bound

    def __dir__(self):
        return [*super().__dir__(), *_steps(type(self))]

    @classmethod
    def register_function(cls, function_name, function):
        """Let ``pipe.function_name(...)`` call ``function(pipe, ...)``."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name, cls_to_register, enable_df_api_tracing=False
    ):
        """Let ``pipe.function_name(...)`` make a ``cls_to_register`` of the pipe.

        ``enable_df_api_tracing`` is accepted without effect.
        """
        if function_name in cls.functions:
            raise Exception(
                f"Unable to add DataPipe function name {function_name} as it is already taken"
            )
        step = functools.partial(_made, cls_to_register)
        functools.update_wrapper(step, cls_to_register, assigned=("__doc__",))
        cls.functions[function_name] = step

    @classmethod
    def set_getstate_hook(cls, hook_fn):
        """Set the hook that pickling calls with a pipe's state; None removes it."""
        cls._set_hook("getstate_hook", hook_fn)

    @classmethod
    def set_reduce_ex_hook(cls, hook_fn):
        """Set the hook that pickling calls with a pipe; None removes it."""
        cls._set_hook("reduce_ex_hook", hook_fn)

    @classmethod
    def _set_hook(cls, name, hook):
        kind = _kind(cls)
        if getattr(kind, name) is not None and hook is not None:
            raise RuntimeError(f"Attempt to override existing {name}")
        setattr(kind, name, hook)

    def __getstate__(self):
        return self._hooked(self.__dict__)

    def _hooked(self, state):
        """``state``, or what the hook makes of it."""
        hook = _kind(type(self)).getstate_hook
        return state if hook is None else hook(state)

    def __reduce_ex__(self, protocol):
        hook = _kind(type(self)).reduce_ex_hook
        if hook is not None:
            try:
                return hook(self)
            except NotImplementedError:
                pass
        return super().__reduce_ex__(protocol)

    def __repr__(self):
        hook = type(self).repr_hook
        return type(self).__qualname__ if hook is None else hook(self)

    def __str__(self):
        hook = type(self).str_hook
        return type(self).__qualname__ if hook is None else hook(self)


def _steps(cls):
    """All steps of pipes like ``cls``, by their names as methods."""
    package = "iter" if issubclass(cls, IterDataPipe) else "map"
    importlib.import_module(f"rushlight.utils.data.datapipes.{package}")
    return cls.functions


def _made(cls, source, *args, **kwargs):
    return cls(source, *args, **kwargs)


def _kind(cls):
    """The class that holds the hooks of all pipes like ``cls``."""
    return IterDataPipe if issubclass(cls, IterDataPipe) else MapDataPipe


class IterDataPipe(_Steps, IterableDataset[T_co]):
    """A stream of samples to which steps can be added.

    A subclass defines ``__iter__``, and ``reset`` if it keeps something for the time of a pass:
    each new iterator calls ``reset`` first. A pipe has one iterator at a time, so a new one makes
    the older one raise. Steps are classes under ``functional_datapipe``.

    Raises:
        RuntimeError: An iterator is asked for a sample after the pipe got another iterator.

    >>> import rushlight as torch
    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(5)).filter(bool).batch(3))
    [[1, 2, 3], [4]]
    """

    functions: ClassVar[dict[str, Callable]] = {}
    _valid_iterator_id: int | None = None
    _number_of_samples_yielded = 0

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__iter__" in vars(cls):
            cls.__iter__ = watched(vars(cls)["__iter__"])  # type: ignore[method-assign]

    def __iter__(self) -> Any:
        return self

    def reset(self):
        """Forget what a pass left; subclasses override it."""

    def _begin_iterator(self):
        return begin(self)

    def _is_current(self, number):
        return self._valid_iterator_id == number


class MapDataPipe(_Steps, Dataset[T_co]):
    """A data set with indices or keys to which steps can be added.

    A subclass defines ``__getitem__`` and ``__len__``. Steps are classes under
    ``functional_datapipe``.

    >>> import rushlight as torch
    >>> from rushlight.utils.data.datapipes.map import SequenceWrapper
    >>> SequenceWrapper([1, 2, 3]).map(str)[1]
    '2'
    """

    functions: ClassVar[dict[str, Callable]] = {}


class DFIterDataPipe(IterDataPipe):
    """A stream of tables; what PyTorch adds for tables of torcharrow is not there.

    >>> import rushlight as torch
    >>> issubclass(torch.utils.data.DFIterDataPipe, torch.utils.data.IterDataPipe)
    True
    """


class DataChunk(list):
    """A batch: a list of samples, whose text a prefix can be put before.

    Args:
        items: The samples, an iterable.

    >>> from rushlight.utils.data.datapipes.datapipe import DataChunk
    >>> list(DataChunk([1, 2]).raw_iterator())
    [1, 2]
    """

    def __init__(self, items):
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent=""):
        """The samples as text, between brackets, behind ``indent``."""
        return indent + "[" + ", ".join([str(i) for i in iter(self)]) + "]"

    def raw_iterator(self):
        """Yield the samples."""
        yield from self.items


def length(pipe, *sources, of=sum):
    """Combine the lengths of ``sources`` by ``of``; raise TypeError if one has none."""
    if not all(hasattr(type(source), "__len__") for source in sources):
        raise TypeError(f"{type(pipe).__name__} instance doesn't have valid length")
    return of([len(source) for source in sources])
