"""Steps that divide a pipe into several, which read the source together through buffers.

A ``_Divided`` reads the source and keeps what a child does not want yet. Its children are the pipes
that users get. When a child begins a second pass, all begin anew.
"""

import copy as copying
import warnings
from collections import deque
from typing import Any

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe, length
from rushlight.utils.data.datapipes.utils.common import StreamWrapper, check_function

__all__ = ["DemultiplexerIterDataPipe", "ForkerIterDataPipe"]


class _Divided(IterDataPipe):
    """What forks and demultiplexers share: the source's iterator, and who has stopped."""

    #: Attributes that belong to a pass, which pickles leave out.
    _of_a_pass: tuple = ("_datapipe_iterator", "_child_stop")

    def __init__(self, datapipe, num_instances, buffer_size, name):
        self.main_datapipe = datapipe
        self.num_instances = num_instances
        self.buffer_size = buffer_size
        if buffer_size < 0:
            warnings.warn(
                f"Unlimited buffer size is set for `{name}`, please be aware of OOM at random "
                "places",
                UserWarning,
                stacklevel=4,
            )
        self.reset()

    def reset(self):
        self._datapipe_iterator: Any = None
        self._child_stop = [True] * self.num_instances

    def _start(self, instance_id):
        """Begin to read the source, if ``instance_id`` is the first child that reads."""
        if self._datapipe_iterator is None and self._child_stop[instance_id]:
            self._datapipe_iterator = iter(self.main_datapipe)
            self._child_stop = [False] * self.num_instances

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k not in self._of_a_pass}
        return self._hooked(state)

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.reset()


class _ForkerIterDataPipe(_Divided):
    """The samples between the child that is farthest behind and the one that leads."""

    _of_a_pass = (*_Divided._of_a_pass, "buffer", "_first", "_places", "_end")

    def __init__(self, datapipe, num_instances, buffer_size=1000, copy=None):
        ways = {None: _same, "shallow": copying.copy, "deep": copying.deepcopy}
        if copy not in ways:
            raise ValueError(
                f"Unknown copy method `{copy}` requested, choose one of None, `shallow` or `deep`."
            )
        self.copy_fn = ways[copy]
        super().__init__(datapipe, num_instances, buffer_size, "fork")

    def reset(self):
        super().reset()
        self.buffer: deque = deque()
        self._first = 0  # the number of the first sample in the buffer
        self._places = [0] * self.num_instances  # the number of each child's next sample
        self._end = None  # the number of samples, once the source has ended

    def __len__(self):
        return length(self, self.main_datapipe)

    def get_length_by_instance(self, instance_id):
        return len(self.main_datapipe)

    def is_every_instance_exhausted(self):
        return self._end is not None and all(self._child_stop)

    def _read(self, place):
        """The sample with the number ``place``, from the buffer or the source."""
        if place - self._first < len(self.buffer):
            return self.buffer[place - self._first]
        sample = next(self._datapipe_iterator)
        self.buffer.append(sample)
        return sample

    def get_next_element_by_instance(self, instance_id):
        self._start(instance_id)
        try:
            while not self._child_stop[instance_id]:
                place = self._places[instance_id]
                if place == self._end:
                    break
                try:
                    sample = self._read(place)
                except StopIteration:
                    self._end, self._datapipe_iterator = place, None
                    break
                self._places[instance_id] = place + 1
                if self._first < min(self._places):
                    self.buffer.popleft()
                    self._first += 1
                if 0 <= self.buffer_size < max(self._places) - self._first:
                    raise BufferError(
                        f"ForkerIterDataPipe buffer overflow,buffer size {self.buffer_size} is "
                        "insufficient."
                    )
                yield self.copy_fn(sample)
        finally:
            self._child_stop[instance_id] = True
            if all(self._child_stop):
                self._datapipe_iterator = None
                _close(self.buffer)


class _DemultiplexerIterDataPipe(_Divided):
    """The samples that each child has not read yet."""

    _of_a_pass = (*_Divided._of_a_pass, "child_buffers", "current_buffer_usage", "_ended")

    def __init__(self, datapipe, num_instances, classifier_fn, drop_none, buffer_size):
        self.classifier_fn = classifier_fn
        self.drop_none = drop_none
        super().__init__(datapipe, num_instances, buffer_size, "demux")

    def reset(self):
        super().reset()
        self.child_buffers: list[deque] = [deque() for _ in range(self.num_instances)]
        self.current_buffer_usage = 0
        self._ended = False

    def get_length_by_instance(self, instance_id):
        raise TypeError(f"{type(self).__name__} instance doesn't have valid length")

    def is_every_instance_exhausted(self):
        return self._ended and all(self._child_stop)

    def _find_next(self, instance_id):
        """Read the source up to the next sample of ``instance_id``, and keep those of others."""
        while not self._ended:
            sample = next(self._datapipe_iterator)
            child = self.classifier_fn(sample)
            if child is None and self.drop_none:
                StreamWrapper.close_streams(sample)
                continue
            if child is None or not 0 <= child < self.num_instances:
                raise ValueError(
                    f"Output of the classification fn should be between 0 and "
                    f"{self.num_instances - 1}. {child} is returned."
                )
            if child == instance_id:
                return sample
            self.child_buffers[child].append(sample)
            self.current_buffer_usage += 1
            if 0 <= self.buffer_size < self.current_buffer_usage:
                raise BufferError(
                    f"DemultiplexerIterDataPipe buffer overflow, buffer size {self.buffer_size} is "
                    "insufficient."
                )
        raise StopIteration

    def _start(self, instance_id):
        if self._datapipe_iterator is None and self._child_stop[instance_id]:
            self._ended = False
        super()._start(instance_id)

    def get_next_element_by_instance(self, instance_id):
        self._start(instance_id)
        waiting = self.child_buffers[instance_id]
        try:
            while not self._child_stop[instance_id]:
                if waiting:
                    self.current_buffer_usage -= 1
                    sample = waiting.popleft()
                else:
                    try:
                        sample = self._find_next(instance_id)
                    except StopIteration:
                        self._ended, self._datapipe_iterator = True, None
                        break
                yield sample
        finally:
            self._child_stop[instance_id] = True
            if all(self._child_stop):
                self._datapipe_iterator = None
            _close(waiting)


def _same(sample):
    return sample


def _close(buffer):
    while buffer:
        StreamWrapper.close_streams(buffer.popleft())


class _ChildDataPipe(IterDataPipe):
    """One of the pipes into which a source is divided."""

    _is_child_datapipe = True

    def __init__(self, main_datapipe, instance_id):
        if not isinstance(main_datapipe, _Divided):
            raise AssertionError("main_datapipe must implement _ContainerTemplate")
        self.main_datapipe = main_datapipe
        self.instance_id = instance_id

    def __iter__(self):
        # No generator: the pass must begin now, as it does in PyTorch, not with the first sample.
        return self.main_datapipe.get_next_element_by_instance(self.instance_id)

    def __len__(self):
        return self.main_datapipe.get_length_by_instance(self.instance_id)

    def _begin_iterator(self):
        """Take part in the current pass of all children, or begin the next one."""
        main = self.main_datapipe
        if main._valid_iterator_id is None:
            main._valid_iterator_id = 0
        elif main._valid_iterator_id == self._valid_iterator_id:
            main._valid_iterator_id += 1
            if not main.is_every_instance_exhausted():
                warnings.warn(
                    "Some child DataPipes are not exhausted when __iter__ is called. We are "
                    "resetting the buffer and each child DataPipe will read from the start again.",
                    UserWarning,
                    stacklevel=3,
                )
            main.reset()
        self._valid_iterator_id = main._valid_iterator_id
        return self._valid_iterator_id

    def _is_current(self, number):
        return number == self._valid_iterator_id == self.main_datapipe._valid_iterator_id


@functional_datapipe("fork")
class ForkerIterDataPipe(IterDataPipe):
    """Make several pipes that each give all samples: ``pipe.fork(2)``.

    Args:
        datapipe: The source.
        num_instances: Number of pipes; for 1 the source itself is returned.
        buffer_size: How many samples one may be ahead of another; -1 for any. Default: 1000.
        copy: ``"shallow"`` or ``"deep"`` to give copies of samples. Default: None, the same
            objects in all pipes.

    Returns:
        List of the pipes.

    Raises:
        ValueError: ``num_instances`` is not positive, or ``copy`` is something else.
        BufferError: While reading: one is too far ahead.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> first, second = IterableWrapper([1, 2]).fork(2)
    >>> list(first), list(second)
    ([1, 2], [1, 2])
    """

    def __new__(cls, datapipe, num_instances, buffer_size=1000, copy=None):
        _check_number(num_instances)
        if num_instances == 1:
            return datapipe
        source = _ForkerIterDataPipe(datapipe, num_instances, buffer_size, copy)
        return [_ChildDataPipe(source, i) for i in range(num_instances)]


@functional_datapipe("demux")
class DemultiplexerIterDataPipe(IterDataPipe):
    """Divide the samples among several pipes: ``pipe.demux(2, fn)``.

    Args:
        datapipe: The source.
        num_instances: Number of pipes.
        classifier_fn: The function that gives the number of a sample's pipe, from 0 on.
        drop_none: Leave out samples for which it gives None. Default: False, they raise.
        buffer_size: How many samples may wait in all; -1 for any. Default: 1000.

    Returns:
        List of the pipes.

    Raises:
        ValueError: ``num_instances`` is not positive. While reading: a number is out of range.
        BufferError: While reading: too many samples wait.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> even, odd = IterableWrapper(range(5)).demux(2, (2).__rmod__)
    >>> list(even), list(odd)
    ([0, 2, 4], [1, 3])
    """

    def __new__(cls, datapipe, num_instances, classifier_fn, drop_none=False, buffer_size=1000):
        _check_number(num_instances)
        check_function(classifier_fn)
        source = _DemultiplexerIterDataPipe(
            datapipe, num_instances, classifier_fn, drop_none, buffer_size
        )
        return [_ChildDataPipe(source, i) for i in range(num_instances)]


def _check_number(n):
    if n < 1:
        raise ValueError(f"Expected `num_instances` larger than 0, but {n} is found")
