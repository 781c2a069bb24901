"""The CPU."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability():
    """Return which vectors compiled code uses.

    Returns:
        ``"AVX512"``, ``"AVX2"``, or ``"DEFAULT"`` for others and none.

    >>> import rushlight as torch
    >>> torch.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
    True
    """
    try:
        from rushlight.compiler.cpu.target import host

        features = host().features
    except ImportError:
        return "DEFAULT"
    return next((n for f, n in (("+avx512f", "AVX512"), ("+avx2", "AVX2")) if f in features),
                "DEFAULT")  # fmt: skip
