"""Every operation, each defined once."""

from rushlight.ops import convert, create, pointwise, view  # noqa: F401
from rushlight.autograd import history  # noqa: F401
