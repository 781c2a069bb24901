"""Averages of gradients, also in half precision."""

from rushlight.distributed.collectives import all_reduce
from rushlight.distributed.process_group import resolve
from rushlight.dtype import bfloat16, float16

__all__ = [
    "allreduce_hook", "bf16_compress_hook", "bf16_compress_wrapper", "fp16_compress_hook",
    "fp16_compress_wrapper",
]  # fmt: skip


def _average(group, tensor, dtype):
    pg = resolve(group)
    sent = tensor.to(dtype).div_(pg.size())
    future = all_reduce(sent, group=pg, async_op=True).get_future()
    return future.then(lambda done: tensor.copy_(done.value()[0]))


def allreduce_hook(process_group, bucket):
    """Average a bucket.

    Args:
        process_group: The group, or None for all processes.
        bucket: A ``GradBucket``.

    Returns:
        A ``Future`` of the tensor.
    """
    return _average(process_group, bucket.buffer(), bucket.buffer().dtype)


def fp16_compress_hook(process_group, bucket):
    """Average a bucket in float16.

    Args:
        process_group: The group, or None for all processes.
        bucket: A ``GradBucket``.

    Returns:
        A ``Future`` of the tensor.
    """
    return _average(process_group, bucket.buffer(), float16)


def bf16_compress_hook(process_group, bucket):
    """Average a bucket in bfloat16.

    Args:
        process_group: The group, or None for all processes.
        bucket: A ``GradBucket``.

    Returns:
        A ``Future`` of the tensor.
    """
    return _average(process_group, bucket.buffer(), bfloat16)


def _compressed(hook, dtype):
    def wrapped(state, bucket):
        whole = bucket.buffer()
        bucket.set_buffer(whole.to(dtype))
        future = hook(state, bucket)

        def widen(done):
            found = done.value()
            return whole.copy_(found[0] if isinstance(found, (list, tuple)) else found)

        return future.then(widen)

    return wrapped


def fp16_compress_wrapper(hook):
    """Return a hook that gives another hook the gradients in float16.

    Args:
        hook: The other hook.

    Returns:
        A function of a state and a ``GradBucket``.
    """
    return _compressed(hook, float16)


def bf16_compress_wrapper(hook):
    """Return a hook that gives another hook the gradients in bfloat16.

    Args:
        hook: The other hook.

    Returns:
        A function of a state and a ``GradBucket``.
    """
    return _compressed(hook, bfloat16)
