"""``torch.autograd.profiler``: the older interface of the profiler."""

from rushlight.profiler import session
from rushlight.profiler.events import EventList, FunctionEvent, FunctionEventAvg
from rushlight.profiler.recorder import record_function

__all__ = [
    "EventList", "FunctionEvent", "FunctionEventAvg", "emit_itt", "emit_nvtx", "profile",
    "record_function",
]  # fmt: skip


class profile(session.profile):
    """Context in which this thread's operations are timed, unless ``enabled`` is False.

    Args:
        enabled: Record the operations. Default: True.
        use_cuda, use_device, with_flops, with_modules: Accepted without effect.
        record_shapes: Record the shapes of the inputs. Default: False.
        profile_memory: Record the bytes of the results. Default: False.
        with_stack: Record the lines of the program that led to each event. Default: False.
        use_kineto, use_cpu, experimental_config, acc_events: Accepted without effect.
        custom_trace_id_callback, post_processing_timeout_s, activity_filters: Accepted without
            effect.

    >>> import rushlight as torch
    >>> with torch.autograd.profiler.profile() as profiled:
    ...     x = torch.ones(2) + 1
    >>> [event.key for event in profiled.key_averages()]
    ['aten::full', 'aten::add']
    """

    def __init__(
        self, enabled=True, *, use_cuda=False, use_device=None, record_shapes=False,
        with_flops=False, profile_memory=False, with_stack=False, with_modules=False,
        use_kineto=False, use_cpu=True, experimental_config=None, acc_events=False,
        custom_trace_id_callback=None, post_processing_timeout_s=None, activity_filters=None,
    ):  # fmt: skip
        super().__init__(
            record_shapes=record_shapes, profile_memory=profile_memory, with_stack=with_stack
        )
        self.enabled = enabled

    def start(self):
        """Start the profile, unless ``enabled`` is False."""
        if self.enabled:
            super().start()

    @property
    def function_events(self):
        """All events of the profile."""
        return self.events()

    @property
    def self_cpu_time_total(self):
        """The sum of the events' times in microseconds, each without the events inside it."""
        return self.events().self_cpu_time_total

    def table(self, sort_by=None, **options):
        """The events as a table."""
        return self.events().table(sort_by, **options)

    def total_average(self):
        """All events combined into one."""
        return self.events().total_average()

    def __str__(self):
        return "<unfinished torch.autograd.profile>" if self._events is None else str(self._events)


class emit_nvtx:
    """A context that marks operations for NVIDIA's profiler. Rushlight does not have it.

    Args:
        enabled: Mark operations. Default: True.
        record_shapes: PyTorch's option.

    Raises:
        NotImplementedError: It is entered with ``enabled``.

    >>> import rushlight as torch
    >>> with torch.autograd.profiler.emit_nvtx(enabled=False):
    ...     x = torch.ones(2)
    """

    def __init__(self, enabled=True, record_shapes=False):
        self.enabled = enabled

    def __enter__(self):
        if self.enabled:
            raise NotImplementedError(
                f"torch.autograd.profiler.{type(self).__name__}: rushlight marks no operations for "
                "other profilers; use torch.profiler.profile"
            )
        return self

    def __exit__(self, *error):
        return None


class emit_itt(emit_nvtx):
    """A context that marks operations for Intel's profiler. Rushlight does not have it.

    Args:
        enabled: Mark operations. Default: True.
        record_shapes: PyTorch's option.

    Raises:
        NotImplementedError: It is entered with ``enabled``.

    >>> import rushlight as torch
    >>> with torch.autograd.profiler.emit_itt(enabled=False):
    ...     x = torch.ones(2)
    """
