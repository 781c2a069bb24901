"""Saves tensors of every dtype, slices of files, shared weights and a model; loads them again."""

requires = ["safetensors"]

DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
]


def run():
    """What is read again, the files' bytes by a checksum, and the names of shared weights."""
    import hashlib
    import tempfile
    from pathlib import Path

    import torch
    from safetensors import safe_open
    from safetensors.torch import load, load_file, load_model, save, save_file, save_model

    tensors = {n: (torch.randn(3, 4) * 5).to(getattr(torch, n)) for n in DTYPES}
    tensors["float8_e4m3fn"] = torch.randn(4).to(torch.float8_e4m3fn)
    content = save(tensors)
    again = load(content)
    results = {
        "checksum": hashlib.sha256(content).hexdigest(),
        "equal": {
            n: torch.equal(again[n].float(), t.float())
            for n, t in tensors.items()
            if "complex" not in n
        },
        "dtypes": {n: str(t.dtype) for n, t in sorted(again.items())},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.safetensors"
        save_file({"a": torch.arange(12.0).reshape(3, 4)}, path, metadata={"made": "here"})
        with safe_open(path, framework="pt") as file:
            part = file.get_slice("a")
            results["slices"] = [part[1:, :2], part[:, 1], part[0], part.get_shape()]
            results["metadata"] = file.metadata()
        results["file"] = load_file(path)["a"]
        model = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Linear(4, 5, bias=False))
        model[1].weight = model[0].weight
        save_model(model, path)
        results["bytes"] = Path(path).stat().st_size
        results["names"] = sorted(load_file(path))
        other = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Linear(4, 5, bias=False))
        other[1].weight = other[0].weight
        results["missing"] = [sorted(names) for names in load_model(other, path)]
        results["weight"] = other[1].weight
        results["still shared"] = other[0].weight is other[1].weight
        try:
            save_file(model.state_dict(), path)
        except RuntimeError as error:
            results["shared memory is refused"] = str(error)[:40]
    return results
