"""``torch.futures``: results that another thread will give."""

import logging
import threading
from types import GenericAlias
from typing import Any

from rushlight import locks

__all__ = ["Future", "collect_all", "wait_all"]

_log = logging.getLogger(__name__)


class Future:
    """A result that may not be there yet.

    Args:
        devices: Accepted without effect: all results are on the CPU.

    >>> import rushlight as torch
    >>> future = torch.futures.Future()
    >>> double = future.then(lambda done: done.value() * 2)
    >>> future.set_result(3)
    >>> double.wait()
    6
    """

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, *, devices=None):
        self._lock = locks.new_lock()
        self._there = threading.Event()
        self._result = self._error = None
        self._callbacks: list = []

    def done(self):
        """Tell whether the result or an error is there.

        Returns:
            A bool.
        """
        return self._there.is_set()

    def wait(self):
        """Wait for the result.

        Returns:
            The result. If an error was set instead, it is raised.
        """
        self._there.wait()
        return self.value()

    def value(self):
        """Return the result, which must be there.

        Returns:
            The result. If an error was set instead, it is raised.

        Raises:
            RuntimeError: The result is not there yet.
        """
        if not self.done():
            raise RuntimeError("Future: value() before the future is completed; use wait()")
        if self._error is not None:
            raise self._error
        return self._result

    def then(self, callback):
        """Call a function when the result is there.

        Args:
            callback: A function of this future.

        Returns:
            ``Future`` of the function's result. If the function raises an error, that future raises
            a RuntimeError whose text names the error.
        """
        found = Future()

        def call(done):
            try:
                found.set_result(callback(done))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                failed = RuntimeError(f"Got the following error when running the callback: {text}")
                failed.__cause__ = error
                found.set_exception(failed)

        self.add_done_callback(call)
        return found

    def add_done_callback(self, callback):
        """Call a function when the result is there, at once if it is there already.

        Args:
            callback: A function of this future. Its result is dropped, and its error is logged.
        """
        with self._lock:
            if not self.done():
                self._callbacks.append(callback)
                return
        self._call(callback)

    def __reduce__(self):
        raise RuntimeError("Can not pickle torch.futures.Future")

    def _call(self, callback):
        try:
            callback(self)
        except Exception:  # it has no place in a call that completes the future
            _log.exception("Future: a callback raised an error, which is ignored")

    def set_result(self, result):
        """Complete the future with a result.

        Args:
            result: Any object.

        Raises:
            RuntimeError: The future is complete already.
        """
        self._complete(result, None)

    def set_exception(self, result):
        """Complete the future with an error, which ``wait`` and ``value`` raise.

        Args:
            result: An exception.

        Raises:
            AssertionError: ``result`` is not an exception.
            RuntimeError: The future is complete already.
        """
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(None, result)

    def _complete(self, result, error):
        with self._lock:
            if self.done():
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future "
                    "can only be marked completed once."
                )
            self._result, self._error = result, error
            self._there.set()
        for callback in self._callbacks:
            self._call(callback)


def collect_all(futures):
    """Return a future that completes when all the given futures have.

    Args:
        futures: A list of futures.

    Returns:
        ``Future`` of the list of futures. If an error was set in one of them, the ``Future`` raises
        the first one's in the list.

    Raises:
        RuntimeError: One of ``futures`` is None.
        TypeError: One of them is no ``Future``.

    >>> import rushlight as torch
    >>> first, second = torch.futures.Future(), torch.futures.Future()
    >>> both = torch.futures.collect_all([first, second])
    >>> first.set_result(1), second.set_result(2)
    (None, None)
    >>> [future.value() for future in both.wait()]
    [1, 2]
    """
    futures = _given(futures)
    found, lock, left = Future(), locks.new_lock(), [len(futures)]

    def count(done):
        with lock:
            left[0] -= 1
            last = not left[0]
        if not last:
            return
        failed = [future for future in futures if future._error is not None]
        if failed:
            found.set_exception(failed[0]._error)
        else:
            found.set_result(futures)

    for future in futures:
        future.add_done_callback(count)
    if not futures:
        found.set_result(futures)
    return found


def wait_all(futures):
    """Wait for all the given futures.

    Args:
        futures: A list of futures.

    Returns:
        List of their results. If an error was set in one of them, it is raised.

    Raises:
        RuntimeError: One of ``futures`` is None.
        TypeError: One of them is no ``Future``.

    >>> import rushlight as torch
    >>> future = torch.futures.Future()
    >>> future.set_result(1)
    >>> torch.futures.wait_all([future])
    [1]
    """
    return [future.wait() for future in _given(futures)]


def _given(futures):
    futures = list(futures)
    for i, future in enumerate(futures):
        if future is None:
            raise RuntimeError(f"Future can't be None, but number {i} is")
        if not isinstance(future, Future):
            raise TypeError(f"number {i} must be a Future, not {type(future).__name__}")
    return futures
