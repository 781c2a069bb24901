"""torch._higher_order_ops: functions that take functions, by the names that libraries import."""

from rushlight._higher_order_ops.associative_scan import associative_scan

__all__ = ["associative_scan"]
