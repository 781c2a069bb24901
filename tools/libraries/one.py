"""``python one.py CASE.py RESULT.json``: run one case, and write what it gave.

The process's torch may be rushlight or PyTorch. The result holds a summary of each value, for a
comparison with another run's, and what the run cost.
"""

import importlib.util
import json
import logging
import random
import sys
import time
import traceback
import warnings

MOST = 64  # elements of an array that are kept


def summary(value):
    """A value in a form that JSON can hold. Of a large array, evenly spaced elements are kept."""
    if isinstance(value, dict):
        return {str(key): summary(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [summary(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return of_array(value)


def of_array(value):
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        name = str(value.dtype).removeprefix("torch.")
        if name == "bfloat16":
            value = value.float()
        value = value.numpy()
    else:
        value = np.asarray(value)
        name = str(value.dtype)
    flat = value.reshape(-1)
    places = np.linspace(0, max(flat.size - 1, 0), min(MOST, flat.size)).astype(int)
    kept = flat[places]
    if flat.dtype.kind == "c":
        kept = np.stack([kept.real, kept.imag], 1)
    largest = float(np.max(np.abs(flat), initial=0)) if flat.dtype.kind in "fciu" else 0.0
    return {"dtype": name, "shape": list(value.shape), "largest": largest, "kept": kept.tolist()}


def peak_memory():
    """The most memory that this process has held, in MB; 0 where that cannot be asked."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(case, result):
    began = time.perf_counter()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    out = {}
    try:
        import numpy as np
        import torch

        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        spec = importlib.util.spec_from_file_location("case", case)
        module = importlib.util.module_from_spec(spec)
        sys.modules["case"] = module  # pickles name it
        spec.loader.exec_module(module)
        out["values"] = summary(module.run())
        out["torch"] = str(torch.__version__)
    except Exception:
        out["error"] = traceback.format_exc()
    out["seconds"] = time.perf_counter() - began
    out["memory"] = peak_memory()
    with open(result, "w") as file:
        json.dump(out, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
