"""A hook that averages gradients within a subgroup, after some steps in all processes."""

from rushlight.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

__all__ = ["PostLocalSGDState", "post_localSGD_hook"]


class PostLocalSGDState:
    """The groups of the hook, and the step at which it changes from one to the other.

    Args:
        process_group: The group of all processes.
        subgroup: The smaller group.
        start_localSGD_iter: The number of calls that average in all processes.
        post_local_gradient_allreduce: Whether the smaller group averages gradients later.
    """

    def __init__(
        self, process_group, subgroup, start_localSGD_iter, post_local_gradient_allreduce=True
    ):
        self.process_group, self.subgroup = process_group, subgroup
        self.start_localSGD_iter = start_localSGD_iter
        self.post_local_gradient_allreduce = post_local_gradient_allreduce
        self.iter = 0

    def maybe_increase_iter(self, bucket):
        """Count a backward pass."""
        self.iter += bucket.is_last()


def post_localSGD_hook(state, bucket):
    """Average gradients: in all processes at first, later in the smaller group.

    Args:
        state: A ``PostLocalSGDState``.
        bucket: A ``GradBucket``.

    Returns:
        A ``Future`` of the tensor.
    """
    from rushlight.futures import Future

    early = state.iter < state.start_localSGD_iter
    state.maybe_increase_iter(bucket)
    if not early and not state.post_local_gradient_allreduce:
        found = Future()
        found.set_result(bucket.buffer())
        return found
    return allreduce_hook(state.process_group if early else state.subgroup, bucket)
