"""Tabular data and images with transforms, one-cycle training, exported learners."""

requires = ["fastai"]


def run():
    """Return losses, metrics and predictions."""
    import numpy as np
    import pandas as pd
    import torch
    from fastai.tabular.all import (
        Categorify,
        CategoryBlock,
        FillMissing,
        Normalize,
        RandomSplitter,
        TabularDataLoaders,
        accuracy,
        tabular_learner,
    )
    from fastai.torch_core import set_seed
    from fastai.vision.all import (
        Brightness,
        CSVLogger,
        DataBlock,
        Flip,
        ImageBlock,
        Learner,
        PILImage,
        Rotate,
        SaveModelCallback,
        load_learner,
    )

    set_seed(0, reproducible=True)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "colour": rng.choice(["red", "green", "blue"], 200),
            "size": rng.normal(size=200),
            "weight": rng.normal(size=200),
        }
    )
    frame.loc[::17, "weight"] = np.nan
    frame["kind"] = np.where(frame["size"] + (frame["colour"] == "red") > 0.3, "a", "b")
    loaders = TabularDataLoaders.from_df(
        frame,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=["colour"],
        cont_names=["size", "weight"],
        y_names="kind",
        y_block=CategoryBlock(),
        splits=RandomSplitter(seed=1)(range(200)),
        bs=32,
    )
    found = {}
    learner = tabular_learner(loaders, layers=[16, 8], metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(3, 1e-2, cbs=[SaveModelCallback(), CSVLogger()])
        found["tabular"] = [list(map(float, row)) for row in learner.recorder.values]
        found["rates"] = [float(lr) for lr in learner.recorder.lrs]
        scores, targets = learner.get_preds()
        found["scores"], found["targets"] = torch.as_tensor(scores), torch.as_tensor(targets)
        learner.export("tabular.pkl")
        again = load_learner("tabular.pkl")
        _row, index, chances = again.predict(frame.iloc[3])
        found["one row"] = [int(index), torch.as_tensor(chances)]

        set_seed(1, reproducible=True)
        pictures = rng.integers(0, 255, (24, 20, 20, 3), dtype=np.uint8)
        pictures[::2, :10] //= 3
        block = DataBlock(
            (ImageBlock, CategoryBlock),
            get_x=lambda i: PILImage.create(pictures[i]),
            get_y=lambda i: "dark" if i % 2 == 0 else "light",
            splitter=RandomSplitter(0.25, seed=2),
            batch_tfms=[Flip(), Rotate(10, p=1.0), Brightness(0.2, p=1.0)],
        )
        images = block.dataloaders(list(range(24)), bs=6, num_workers=0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(8, 2),
        )
        seer = Learner(images, net, metrics=accuracy, wd=0.01)
        with seer.no_bar(), seer.no_logging():
            seer.fit(2, 1e-2)
            seer.freeze()
            seer.fit_flat_cos(1, 1e-3)
            found["images"] = [list(map(float, row)) for row in seer.recorder.values]
            found["seen"] = torch.as_tensor(seer.get_preds(with_input=True)[0])[:2]
            found["kind of a batch"] = [type(b).__name__ for b in images.one_batch()]
    return found
