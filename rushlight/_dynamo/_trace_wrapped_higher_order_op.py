"""torch._dynamo._trace_wrapped_higher_order_op: a mode that libraries enter around ``vmap``."""

import contextlib

__all__ = ["TransformGetItemToIndex"]


class TransformGetItemToIndex(contextlib.AbstractContextManager):
    """Context in which ``vmap`` takes ``x[i]`` for a position ``i`` of the batch.

    ``vmap`` takes it outside the context, too, so the context has no effect.

    >>> import rushlight as torch
    >>> x = torch.tensor([4, 5, 6])
    >>> with TransformGetItemToIndex():
    ...     torch.vmap(lambda i: x[i])(torch.tensor([2, 0]))
    tensor([6, 4])
    """

    def __exit__(self, *error):
        return None
