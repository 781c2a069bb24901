"""Compute metrics of classes, numbers, images, texts and searches over several batches."""

requires = ["torchmetrics"]


def run():
    """Return the values of the metrics."""
    import torch
    from torchmetrics import (
        MeanAbsoluteError,
        MeanMetric,
        MetricCollection,
        PearsonCorrCoef,
        R2Score,
        SpearmanCorrCoef,
    )
    from torchmetrics.aggregation import CatMetric
    from torchmetrics.classification import (
        BinaryAUROC,
        BinaryAveragePrecision,
        BinaryCalibrationError,
        MulticlassAccuracy,
        MulticlassAUROC,
        MulticlassCohenKappa,
        MulticlassConfusionMatrix,
        MulticlassF1Score,
        MulticlassMatthewsCorrCoef,
        MultilabelRankingLoss,
    )
    from torchmetrics.functional import pairwise_cosine_similarity
    from torchmetrics.image import (
        PeakSignalNoiseRatio,
        StructuralSimilarityIndexMeasure,
        TotalVariation,
    )
    from torchmetrics.retrieval import RetrievalMAP, RetrievalNormalizedDCG
    from torchmetrics.text import BLEUScore, CharErrorRate, Perplexity, WordErrorRate
    from torchmetrics.wrappers import BootStrapper, MetricTracker

    classes = MetricCollection(
        {
            "accuracy": MulticlassAccuracy(5),
            "top 2": MulticlassAccuracy(5, top_k=2),
            "F1": MulticlassF1Score(5, average="macro"),
            "kappa": MulticlassCohenKappa(5),
            "confusion": MulticlassConfusionMatrix(5, normalize="true"),
            "AUROC": MulticlassAUROC(5),
            "Matthews": MulticlassMatthewsCorrCoef(5),
        }
    )
    numbers = MetricCollection(
        [MeanAbsoluteError(), R2Score(), PearsonCorrCoef(), SpearmanCorrCoef()]
    )
    binary = MetricCollection(
        [BinaryAUROC(), BinaryAveragePrecision(thresholds=20), BinaryCalibrationError()]
    )
    search = MetricCollection([RetrievalMAP(), RetrievalNormalizedDCG(top_k=3)])
    images = MetricCollection(
        [PeakSignalNoiseRatio(1.0), StructuralSimilarityIndexMeasure(data_range=1.0)]
    )
    mean, kept, perplexity, variation = MeanMetric(), CatMetric(), Perplexity(), TotalVariation()
    labels_of_many, tracker = MultilabelRankingLoss(4), MetricTracker(MulticlassAccuracy(5))
    for _ in range(3):
        scores, labels = torch.randn(20, 5), torch.randint(5, (20,))
        classes.update(scores.softmax(-1), labels)
        tracker.increment()
        tracker.update(scores, labels)
        x = torch.randn(20)
        numbers.update(x, x + 0.5 * torch.randn(20))
        binary.update(torch.rand(20), torch.randint(2, (20,)))
        search.update(torch.rand(20), torch.randint(2, (20,)), indexes=torch.arange(20) // 5)
        image = torch.rand(2, 3, 24, 24)
        images.update(image, (image + 0.1 * torch.randn_like(image)).clamp(0, 1))
        variation.update(image)
        mean.update(x, torch.rand(20))
        kept.update(x)
        perplexity.update(torch.randn(2, 6, 10), torch.randint(10, (2, 6)))
        labels_of_many.update(torch.rand(8, 4), torch.randint(2, (8, 4)))
    bootstrap = BootStrapper(MeanAbsoluteError(), num_bootstraps=4)
    bootstrap.update(torch.arange(10.0), torch.ones(10))
    texts = ["the cat sat on the mat"], ["a cat sat on the mat"]
    return {
        "classes": classes.compute(),
        "numbers": numbers.compute(),
        "binary": binary.compute(),
        "search": search.compute(),
        "images": images.compute(),
        "mean": mean.compute(),
        "kept": kept.compute(),
        "perplexity": perplexity.compute(),
        "variation": variation.compute(),
        "ranking loss": labels_of_many.compute(),
        "best": tracker.best_metric(),
        "bootstrap": bootstrap.compute(),
        "words": WordErrorRate()(*texts),
        "letters": CharErrorRate()(*texts),
        "BLEU": BLEUScore(2)(texts[0], [texts[1]]),
        "cosine": pairwise_cosine_similarity(torch.randn(3, 4)),
    }
