"""Maps, filters and shuffles tables, gives tensors, and feeds a training through a DataLoader."""

requires = ["datasets"]


def run():
    """Rows as tensors, batches, and the losses of a training from a data set on the disk."""
    import tempfile

    import torch
    from datasets import ClassLabel, Dataset, concatenate_datasets, load_from_disk

    numbers = torch.arange(40.0).reshape(20, 2)
    data = Dataset.from_dict({"x": numbers.tolist(), "y": [i % 2 for i in range(20)]})
    data = data.cast_column("y", ClassLabel(names=["even", "odd"]))
    data = data.map(lambda row: {"z": [v / 40 for v in row["x"]]}, remove_columns=["x"])
    data = data.filter(lambda row: row["z"][0] < 0.9)
    parts = data.train_test_split(test_size=0.25, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        parts.save_to_disk(folder)
        train = load_from_disk(folder)["train"].with_format("torch")
        loader = torch.utils.data.DataLoader(train, batch_size=4, shuffle=True)
        model = torch.nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        losses = []
        for _ in range(4):
            for batch in loader:
                loss = torch.nn.functional.cross_entropy(model(batch["z"]), batch["y"])
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
        whole = train[:]
        predicted = train.map(lambda b: {"p": model(b["z"]).argmax(1)}, batched=True, batch_size=5)
        both = concatenate_datasets([predicted, predicted]).shuffle(seed=1).sort("y")
        stream = (
            train.to_iterable_dataset(num_shards=2)
            .shuffle(seed=2, buffer_size=4)
            .with_format("torch")
        )
        streamed = [row["z"] for row in stream.take(5)]
        return {
            "losses": losses,
            "whole": whole,
            "dtypes": [str(whole["z"].dtype), str(whole["y"].dtype)],
            "predicted": predicted["p"][:],
            "both": both["z"][:6],
            "streamed": streamed,
            "names": parts["test"].features["y"].names,
        }
