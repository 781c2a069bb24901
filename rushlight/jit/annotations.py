"""The names of types that programs import from here for TorchScript."""

from concurrent.futures import Future
from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035  # as programs name them

__all__ = ["Any", "Dict", "Future", "List", "Optional", "Tuple", "Union"]
