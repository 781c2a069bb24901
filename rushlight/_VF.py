"""torch._VF: the functions of ``torch`` that PyTorch defines in C, such as ``lstm`` and ``gru``."""

import rushlight

__all__: list[str] = []


def __getattr__(name):
    if name in rushlight.__all__ or name in dir(rushlight):
        return getattr(rushlight, name)
    raise AttributeError(f"torch has no function {name!r}")
