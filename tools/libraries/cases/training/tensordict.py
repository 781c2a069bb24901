"""Batches of named tensors: index, stack, map, memory-mapped files, modules, ensembles by vmap."""

requires = ["tensordict"]


def run():
    """Return the entries after each step, and the losses of a training."""
    import tempfile

    import torch
    from tensordict import MemoryMappedTensor, TensorDict, cat, lazy_stack, stack, tensorclass
    from tensordict.nn import TensorDictModule, TensorDictParams, TensorDictSequential

    @tensorclass
    class Sample:
        image: torch.Tensor
        label: torch.Tensor

    td = TensorDict({"a": torch.randn(4, 3), "inner": {"b": torch.arange(8).reshape(4, 2)}}, [4])
    td["inner", "c"] = td["a"].sum(-1)
    parts = td.split(2)
    joined, stacked = cat([parts[1], parts[0]]), stack([td, td + 1], 1)
    lazy = lazy_stack([td[0], td[1]])
    flat = td.flatten_keys(".").to_dict()
    doubled = td.apply(lambda x: x * 2).select(("inner", "b"))
    masked = td.masked_select(torch.tensor([True, False, True, False]))
    with tempfile.TemporaryDirectory() as folder:
        td.memmap(folder)
        loaded = TensorDict.load_memmap(folder).clone()
    mapped = MemoryMappedTensor.from_tensor(torch.arange(3.0)) + 1
    samples = Sample(torch.randn(3, 2, 2), torch.arange(3), batch_size=[3])
    model = TensorDictSequential(
        TensorDictModule(torch.nn.Linear(3, 8), ["a"], ["h"]),
        TensorDictModule(lambda h: (h.relu(), h.mean(-1)), ["h"], ["h", "mean"]),
        TensorDictModule(torch.nn.Linear(8, 1), ["h"], ["out"]),
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(4):
        loss = (model(td.clone())["out"].squeeze(-1) - td["inner", "c"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    params = TensorDict.from_module(model)
    with params.data.apply(torch.zeros_like).to_module(model):
        zero = model(td.clone())["out"]
    kept = TensorDictParams(TensorDict({"w": torch.ones(2)}))
    return {
        "joined": joined["a"],
        "stacked": stacked["inner", "b"],
        "lazy": lazy["a"],
        "flat": flat,
        "doubled": doubled.to_dict(),
        "masked": masked["a"],
        "loaded": loaded["inner", "c"],
        "mapped": mapped,
        "samples": samples[1:].image,
        "labels": samples.label,
        "losses": losses,
        "zero": zero,
        "parameters": sorted(params.keys(True, True), key=str),
        "kept": [list(p.shape) for p in kept.parameters()],
        "text": str(td),
        "view": td.reshape(2, 2)["a"],
        "norm": td.select("a").norm().to_dict(),
    }
