"""What an asynchronous collective gives back, and options of collectives."""

import datetime

from rushlight.distributed.reduce_op import RedOpType, ReduceOp
from rushlight.futures import Future

__all__ = [
    "AllToAllOptions", "AllreduceCoalescedOptions", "AllreduceOptions", "BarrierOptions",
    "BroadcastOptions", "GatherOptions", "ReduceOptions", "ReduceScatterOptions",
    "ScatterOptions", "Work", "finished",
]  # fmt: skip


class Work:
    """A collective that has been started.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> work = dist.all_reduce(torch.ones(2), async_op=True)
    >>> work.wait()
    True
    >>> dist.destroy_process_group()
    """

    _future: Future
    _source: int | None = None

    def is_completed(self):
        """Whether the collective is done."""
        return self._future.done()

    def is_success(self):
        """Whether it is done without an error."""
        return self.is_completed() and self.exception() is None

    def exception(self):
        """The error of the collective; None without one."""
        return self._future._error

    def wait(self, timeout=datetime.timedelta(0)):
        """Wait until it is done, and raise its error if there is one.

        Args:
            timeout: How long to wait.

        Returns:
            True.
        """
        self._future.wait()
        return True

    def synchronize(self):
        """Wait, as ``wait`` does."""
        self._future.wait()

    block_current_stream = synchronize

    def result(self):
        """The tensors that the collective wrote, a list."""
        return self._future.value()

    def get_future(self):
        """A ``Future`` of ``result()``."""
        return self._future

    def source_rank(self):
        """The rank that a tensor was received from."""
        if self._source is None:
            raise RuntimeError(
                "sourceRank() may only be called on work objects that correspond to a recv or "
                "recv-from-any call."
            )
        return self._source

    _source_rank = source_rank


def finished(tensors, source=None):
    """Return the Work of a collective that is done, and wrote ``tensors``."""
    work = Work()
    work._future = Future()
    work._future.set_result(tensors)
    work._source = source
    return work


class _Options:
    """Options of a collective: plain attributes, with PyTorch's names."""

    _defaults: dict = {}

    def __init__(self):
        self.timeout = datetime.timedelta(milliseconds=-1)
        self.asyncOp = True
        vars(self).update(self._defaults)


def _options(name, **defaults):
    text = f"Options of {name}, for methods of ``ProcessGroup``.\n\n    "
    example = f">>> import rushlight as torch\n    >>> options = torch.distributed.{name}()\n    "
    members = {"__doc__": text + example, "__module__": __name__, "_defaults": defaults}
    return type(name, (_Options,), members)


_SUM = ReduceOp(RedOpType.SUM)
AllreduceOptions = _options("AllreduceOptions", reduceOp=_SUM)
AllreduceCoalescedOptions = _options("AllreduceCoalescedOptions", reduceOp=_SUM)
AllToAllOptions = _options("AllToAllOptions")
BarrierOptions = _options("BarrierOptions", device_ids=[], device=None)
BroadcastOptions = _options("BroadcastOptions", rootRank=0, rootTensor=0)
GatherOptions = _options("GatherOptions", rootRank=0)
ReduceOptions = _options("ReduceOptions", reduceOp=_SUM, rootRank=0, rootTensor=0)
ReduceScatterOptions = _options("ReduceScatterOptions", reduceOp=_SUM)
ScatterOptions = _options("ScatterOptions", rootRank=0)
