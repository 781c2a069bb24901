"""The types that programs import from ``torch.jit.annotations`` to annotate TorchScript code."""

from concurrent.futures import Future
from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035  # as programs name them

__all__ = ["Any", "Dict", "Future", "List", "Optional", "Tuple", "Union"]
