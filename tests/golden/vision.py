"""The states of torchvision's models, recorded: ``python -m tests.golden.vision`` makes them anew.

For each model, a hash of its state's keys, shapes and element types, and the number of entries.
"""

import hashlib
import json
from pathlib import Path

FILE = Path(__file__).with_name("vision.json")


def described(model):
    """[number of entries, hash] of a model's state."""
    state = model.state_dict()
    lines = [f"{key} {tuple(value.shape)} {value.dtype}" for key, value in state.items()]
    return [len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()]


def options(name):
    """Options with which a model needs no file and little time."""
    if name in ("googlenet", "inception_v3"):
        return {"init_weights": False}
    on_another = "_fpn" in name or name.startswith(("fcn", "deeplab", "lraspp", "ssd"))
    return {"weights_backbone": None} if on_another else {}


def load():
    """The recorded descriptions by name of the model."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def record():
    """Describe torchvision's models, without memory for their weights."""
    import torch
    import torchvision

    from rushlight.vision.models import list_models

    found = {}
    for name in list_models():
        # torchvision computes RegNet's widths by tensors, which need values.
        with torch.device("cpu" if name.startswith("regnet") else "meta"):
            found[name] = described(torchvision.models.get_model(name, **options(name)))
    lines = [f' "{name}": {json.dumps(entry)}' for name, entry in found.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    record()
