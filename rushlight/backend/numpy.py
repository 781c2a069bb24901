"""NumPy as the namespace ``xp`` that an operation's forward computes with.

A forward sees the arrays of one operation and this module: NumPy's functions by their own names,
and SciPy's special functions, which are imported when one is first used.
"""

import warnings

import numpy as np

# NumPy warns of overflow, division by zero and invalid values where PyTorch returns inf or nan
# in silence. A NumPy warning belongs to the module of the line that computed, so this silences
# rushlight's own lines and leaves the user's as they are.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"rushlight\.")

_SPECIAL = {
    "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "gammaln": "gammaln", "digamma": "digamma",
    "polygamma": "polygamma", "i0": "i0", "i0e": "i0e", "i1": "i1", "i1e": "i1e", "ndtr": "ndtr",
    "ndtri": "ndtri", "log_ndtr": "log_ndtr", "expit": "expit", "zeta": "zeta",
    "gammainc": "gammainc", "gammaincc": "gammaincc", "xlogy": "xlogy", "xlog1py": "xlog1py",
}  # fmt: skip


def __getattr__(name):
    # Asked once for each name: what is found stays in this module.
    if name in _SPECIAL:
        import scipy.special

        found = getattr(scipy.special, _SPECIAL[name])
    else:
        found = getattr(np, name)
    globals()[name] = found
    return found


def reshape_view(x, shape):
    """``x.reshape(shape)`` as a view; None where only a copy has that shape."""
    try:
        return np.reshape(x, shape, copy=False)
    except ValueError:
        return None
