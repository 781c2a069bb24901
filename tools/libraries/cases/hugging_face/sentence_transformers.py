"""Embeds sentences with a small BERT, trains with nine losses, ranks with a cross-encoder."""

requires = ["sentence-transformers", "datasets", "accelerate"]

TEXTS = ["the cat sat", "dogs run in the park", "a man eats", "the woman plays"]
WORDS = ["the cat sat on the mat", "dogs run in the park", "a man eats rice", "the woman plays"]


def folder_of_a_bert(folder):
    """Save a tokenizer that is trained here and a random BERT."""
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(
        WORDS, trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    )
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    names = {f"{n.lower()}_token": f"[{n}]" for n in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=32, **names)
    tokenizer.save_pretrained(folder)
    config = t.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=37, max_position_embeddings=64,
    )  # fmt: skip
    t.BertModel(config).save_pretrained(folder)


def run():
    """Embeddings by each pooling, similarities, losses of the trainings, and ranks."""
    import tempfile

    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer, losses, models, util
    from sentence_transformers import SentenceTransformerTrainer as Trainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments

    place = tempfile.TemporaryDirectory()
    folder_of_a_bert(place.name)

    def model(pooling="mean", *more):
        torch.manual_seed(0)
        bert = models.Transformer(place.name, max_seq_length=16)
        return SentenceTransformer(modules=[bert, models.Pooling(32, pooling), *more], device="cpu")

    results = {p: model(p).encode(TEXTS) for p in ("mean", "cls", "max", "weightedmean")}
    embedded = model("mean", models.Normalize()).encode(TEXTS, convert_to_tensor=True)
    results["similar"] = [util.cos_sim(embedded, embedded), util.dot_score(embedded, embedded)]
    results["found"] = util.semantic_search(embedded[:1], embedded, top_k=2)

    one, other = {"a": TEXTS}, {"a": TEXTS, "b": TEXTS[::-1]}
    pairs = Dataset.from_dict(other)
    scored = Dataset.from_dict({**other, "score": [0.1, 0.9, 0.5, 0.3]})
    matched = Dataset.from_dict({**other, "label": [0, 1, 1, 0]})
    triples = Dataset.from_dict({**other, "c": TEXTS[1:] + TEXTS[:1]})
    grouped = Dataset.from_dict({**one, "label": [0, 1, 0, 1]})
    ranking = losses.MultipleNegativesRankingLoss
    trainings = {
        "ranking": (ranking, pairs),
        "cached": (
            lambda m: losses.CachedMultipleNegativesRankingLoss(m, mini_batch_size=2),
            pairs,
        ),
        "cosine": (losses.CosineSimilarityLoss, scored),
        "CoSENT": (losses.CoSENTLoss, scored),
        "AnglE": (losses.AnglELoss, scored),
        "triplets": (losses.TripletLoss, triples),
        "contrastive": (losses.OnlineContrastiveLoss, matched),
        "all triplets": (losses.BatchAllTripletLoss, grouped),
        "Matryoshka": (lambda m: losses.MatryoshkaLoss(m, ranking(m), [32, 8]), pairs),
    }
    for name, (loss, data) in trainings.items():
        trained = model()
        with tempfile.TemporaryDirectory() as folder:
            settings = Arguments(
                output_dir=folder, num_train_epochs=3, per_device_train_batch_size=4, seed=1,
                report_to=[], logging_steps=1, save_strategy="no", use_cpu=True, disable_tqdm=True,
                learning_rate=1e-3, adam_epsilon=1e-6,
            )  # fmt: skip
            trainer = Trainer(trained, settings, train_dataset=data, loss=loss(trained))
            trainer.train()
        log = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        results[name] = {"losses": log, "embedded": trained.encode(TEXTS)}

    torch.manual_seed(0)
    cross = CrossEncoder(place.name, num_labels=1, device="cpu")
    results["ranks"] = [
        cross.predict(list(zip(TEXTS, TEXTS[::-1], strict=True))),
        cross.rank(*TEXTS[:1], TEXTS),
    ]
    return results
