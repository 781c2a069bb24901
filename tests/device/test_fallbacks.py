"""Which operations devices leave to the host, over all samples: no other ones may, and none less.

Whoever writes a kernel takes the operation's name out of ``HOST``. Calls with complex numbers or
with an operand without elements do not count: the host computes all of the former, and some of the
latter.
"""

import warnings
from contextlib import suppress

import pytest

import rushlight as torch
from rushlight.dtype import COMPLEX_KINDS
from rushlight.ops.core import remote_calls
from tests.device.test_conformance import _check
from tests.samples import SAMPLES

#: Names of operations.
HOST = frozenset({
    "bag_maxima", "bernoulli", "binomial",
    "collect", "ctc_loss", "ctc_loss_backward", "fractional_max_positions",
    "frexp", "histogram_counts", "histogram_edges",
    "ldexp",
    "linalg_ldl_factor_ex", "linalg_ldl_solve",
    "lobpcg", "multinomial",
    "normal", "patch", "pick", "poisson", "polygamma", "rrelu_slopes", "sample_dirichlet", "seen",
    "sparse_product", "sparse_sampled_product", "sparse_solve", "special_airy_ai",
    "special_bessel_j0", "special_bessel_j1", "special_bessel_y0", "special_bessel_y1",
    "special_chebyshev_polynomial_t", "special_chebyshev_polynomial_u",
    "special_chebyshev_polynomial_v", "special_chebyshev_polynomial_w",
    "special_hermite_polynomial_h", "special_hermite_polynomial_he",
    "special_laguerre_polynomial_l", "special_legendre_polynomial_p", "special_modified_bessel_i0",
    "special_modified_bessel_i1", "special_modified_bessel_k0", "special_modified_bessel_k1",
    "special_scaled_modified_bessel_k0", "special_scaled_modified_bessel_k1",
    "special_shifted_chebyshev_polynomial_t", "special_shifted_chebyshev_polynomial_u",
    "special_shifted_chebyshev_polynomial_v", "special_shifted_chebyshev_polynomial_w",
    "standard_gamma", "unique", "upsample_backward", "upsample_bicubic2d_aa",
    "upsample_bilinear2d_aa", "upsample_lanczos2d_aa", "von_mises", "zeta",
})  # fmt: skip


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
