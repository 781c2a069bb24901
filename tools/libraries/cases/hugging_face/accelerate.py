"""Trains with ``Accelerator``: accumulated, clipped, mixed precision; saves, resumes, offloads."""

requires = ["accelerate"]


def run():
    """Losses and norms, the state that is loaded again, and a model that is filled from a file."""
    import tempfile

    import torch
    from accelerate import (
        Accelerator,
        disk_offload,
        find_executable_batch_size,
        init_empty_weights,
        load_checkpoint_and_dispatch,
    )
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed

    def network():
        layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)
        return torch.nn.Sequential(*layers)

    results = {}
    for precision in ("no", "bf16"):
        AcceleratorState._reset_state(True)
        set_seed(3)
        accelerator = Accelerator(
            cpu=True, mixed_precision=precision, gradient_accumulation_steps=2
        )
        model = network()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, 10)
        data = torch.utils.data.TensorDataset(torch.randn(32, 4), torch.randint(0, 2, (32,)))
        loader = torch.utils.data.DataLoader(data, 4, shuffle=True)
        model, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
        losses, norms = [], []
        for _ in range(3):
            for x, y in loader:
                with accelerator.accumulate(model):
                    loss = torch.nn.functional.cross_entropy(model(x), y)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients:
                        norms.append(accelerator.clip_grad_norm_(model.parameters(), 0.5))
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad()
                losses.append(loss.detach())
        with tempfile.TemporaryDirectory() as folder:
            accelerator.save_state(folder)
            weight = model[0].weight.detach().clone()
            after = torch.rand(3)
            with torch.no_grad():
                model[0].weight.zero_()
            accelerator.load_state(folder)
            results[precision] = {
                "losses": torch.stack(losses),
                "norms": torch.stack(norms),
                "learning rate": schedule.get_last_lr(),
                "gathered": accelerator.gather_for_metrics(losses[-1]),
                "loaded": torch.equal(weight, model[0].weight),
                "random numbers again": torch.equal(after, torch.rand(3)),
                "skipped": [x.sum() for x, _ in accelerator.skip_first_batches(loader, 2)],
            }
    x = torch.randn(3, 4)
    with init_empty_weights():
        empty = network()
    with tempfile.TemporaryDirectory() as folder:
        accelerator.save_model(model, folder)
        results["device of an empty model"] = empty[0].weight.device.type
        filled = load_checkpoint_and_dispatch(empty, folder, device_map={"": "cpu"})
        results["filled"] = filled(x)
    with tempfile.TemporaryDirectory() as folder:
        results["from the disk"] = disk_offload(network(), folder, torch.device("cpu"))(x)

    @find_executable_batch_size(starting_batch_size=8)
    def fitting(batch_size):
        if batch_size > 2:
            raise RuntimeError("CUDA out of memory.")
        return batch_size

    results["batch size that fits"] = fitting()
    return results
