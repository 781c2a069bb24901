"""The CPU."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability():
    """The vectors that compiled code uses: "AVX512", "AVX2", or "DEFAULT" for others and none."""
    try:
        from rushlight.compiler.cpu.target import host

        features = host().features
    except ImportError:
        return "DEFAULT"
    return next((n for f, n in (("+avx512f", "AVX512"), ("+avx2", "AVX2")) if f in features),
                "DEFAULT")  # fmt: skip
