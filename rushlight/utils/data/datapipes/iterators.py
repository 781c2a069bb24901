"""The iterators of DataPipes: a pipe has one at a time, and counts what it gives."""

import inspect
from functools import wraps

__all__ = ["begin", "described", "watched"]


def begin(pipe):
    """Make a new iterator of ``pipe`` the current one: reset the pipe, and return its number."""
    last = pipe._valid_iterator_id
    pipe._valid_iterator_id = 0 if last is None else last + 1
    pipe._number_of_samples_yielded = 0
    pipe.reset()
    return pipe._valid_iterator_id


def described(pipe):
    """The class of ``pipe`` and the arguments that it was made with, as text."""
    names = inspect.signature(type(pipe)).parameters
    values = {n: v for n, v in sorted(vars(pipe).items()) if n in names}
    told = [f"{n}={v.__name__ if inspect.isfunction(v) else repr(v)}" for n, v in values.items()]
    return f"{type(pipe).__name__}({', '.join(told)})"


def _check(pipe, number):
    if pipe._is_current(number):
        return
    if hasattr(pipe, "main_datapipe") and getattr(pipe, "_is_child_datapipe", False):
        raise RuntimeError(
            "This iterator has been invalidated, because a new iterator has been created from one "
            f"of the ChildDataPipes of {described(pipe.main_datapipe)}. A single iterator per "
            "IterDataPipe is allowed"
        )
    raise RuntimeError(
        "This iterator has been invalidated because another iterator has been created from the "
        f"same IterDataPipe: {described(pipe)}. A single iterator per IterDataPipe is allowed; use "
        "`.fork()` for several"
    )


def watched(call):
    """The method ``__iter__`` of a pipe, which numbers its iterators."""
    if inspect.isgeneratorfunction(call):

        @wraps(call)
        def iterate(self):
            # The pass begins with the first sample, as a generator does.
            samples = call(self)
            number = self._begin_iterator()
            try:
                for sample in samples:
                    self._number_of_samples_yielded += 1
                    yield sample
                    _check(self, number)
            except Exception as error:
                _tell(error, self)
                raise

    else:

        @wraps(call)
        def iterate(self):
            samples = call(self)
            return _Iterator(samples, self, self._begin_iterator())

    return iterate


def _tell(error, pipe):
    """Add the pipe's description to the message of ``error``, unless a pipe added its own."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else ""
    if "thrown by __iter__ of" in text or "single iterator per IterDataPipe" in text:
        return
    rest = error.args[1:] if text else ()
    error.args = (f"{text}\nThis exception is thrown by __iter__ of {described(pipe)}", *rest)


class _Iterator:
    """An iterator whose pipe's ``__iter__`` returned it, with the checks of a pipe's iterator."""

    def __init__(self, samples, pipe, number):
        self.iterator = samples
        self.datapipe = pipe
        self.iterator_id = number

    def __iter__(self):
        return self

    def __next__(self):
        _check(self.datapipe, self.iterator_id)
        sample = next(self.iterator)
        self.datapipe._number_of_samples_yielded += 1
        return sample

    def __getattr__(self, name):
        return getattr(self.iterator, name)
