"""Which operations devices leave to the host, over all samples: no other ones may, and none less.

Whoever writes a kernel takes the operation's name out of ``HOST``. Calls with complex numbers or
with an operand without elements do not count: the host computes some of both
(``test_complex.py`` has those that need no host).
"""

import warnings
from contextlib import suppress

import pytest

import rushlight as torch
from rushlight.dtype import COMPLEX_KINDS
from rushlight.ops.core import remote_calls
from tests.device.test_conformance import _check
from tests.samples import SAMPLES

#: Names of operations, by the reason why the host computes them.
REASONS = {
    # The generators stand on the host, and the values decide how many numbers an element takes.
    "it draws": (
        "binomial", "poisson", "rrelu_slopes", "sample_dirichlet", "standard_gamma", "von_mises",
    ),
    # They iterate, or exchange rows, until numbers agree: libraries do that on the host.
    "LAPACK or SciPy computes it": (
        "linalg_ldl_factor_ex", "linalg_ldl_solve", "lobpcg", "sparse_solve",
    ),
    # Elements overlap in memory, or lie where no dims of the operand lead.
    "it reads or writes memory by strides of its own": ("collect", "patch", "pick", "seen"),
    "its windows begin at random places": ("fractional_max_positions",),
}  # fmt: skip
HOST = {name for names in REASONS.values() for name in names}


def _is_apart(x):
    return hasattr(x, "dtype") and (x.dtype.kind in COMPLEX_KINDS or not x.size)


def _met(monkeypatch, device):
    """The names of the operations on real numbers that the host computed."""
    found: set = set()
    before = remote_calls._on_host

    def on_host(d, op, operands, params):
        counted = sum(remote_calls.fallbacks.values())
        result = before(d, op, operands, params)
        values = [*operands, *params.values(), *(result if type(result) is tuple else [result])]
        if sum(remote_calls.fallbacks.values()) > counted and not any(map(_is_apart, values)):
            found.add(op.name)
        return result

    monkeypatch.setattr(remote_calls, "_on_host", on_host)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, sample in SAMPLES.items():
            for grad in (False, True)[: 1 + sample.grad]:
                with suppress(pytest.skip.Exception):
                    _check(name, device, grad)
    return found


@pytest.mark.slow
def test_operations_of_the_host(monkeypatch):
    if not torch.opencl.is_available():
        pytest.skip("no OpenCL device")
    assert _met(monkeypatch, torch.device("opencl", 0)) == HOST
