"""torch._higher_order_ops: functions that take functions, by the names that libraries import."""

from rushlight._higher_order_ops.associative_scan import associative_scan
from rushlight._higher_order_ops.cond import cond
from rushlight._higher_order_ops.while_loop import while_loop

__all__ = ["associative_scan", "cond", "while_loop"]
