"""After ``import rushlight.as_torch``, ``import torch`` gives rushlight in this process.

For a notebook's first cell or a conftest.py; ``rushlight run`` does it for a program::

    import rushlight.as_torch
    import torch
    from torch.nn.functional import relu
"""

from rushlight.programs.finder import install

__all__: list[str] = []

install()
