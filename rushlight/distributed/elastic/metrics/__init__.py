"""Measurements of the launcher."""

__all__ = ["prof", "put_metric"]


def prof(fn=None, group="torchelastic"):
    """Return a function as it is: nothing is measured.

    Args:
        fn: The function.
        group: Accepted without effect.
    """
    return fn if fn is not None else lambda f: f


def put_metric(metric_name, metric_value, metric_group="torchelastic"):
    """Do nothing with a measurement.

    Args:
        metric_name, metric_value, metric_group: Accepted without effect.
    """
