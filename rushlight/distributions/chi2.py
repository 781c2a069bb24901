"""The chi-squared distribution: sums of squares of standard normals."""

from rushlight.distributions import constraints
from rushlight.distributions.gamma import Gamma
from rushlight.tensor import Size

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of the squares of ``df`` standard normal numbers.

    Args:
        df: The degrees of freedom: a positive number or tensor ``(*)``.

    Raises:
        ValueError: ``df`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Chi2(torch.tensor([3.0])).variance
    tensor([6.])
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df, validate_args=None):
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        shape = Size(batch_shape)
        parameters = {n: getattr(self, n).expand(shape) for n in Gamma.arg_constraints}
        return self._expanded(Chi2, shape, _instance, **parameters)

    @property
    def df(self):
        """The degrees of freedom."""
        return self.concentration * 2
