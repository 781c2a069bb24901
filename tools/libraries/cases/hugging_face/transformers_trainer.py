"""``Trainer`` fits a classifier, evaluates, saves and resumes; schedules, optimizers, bfloat16."""

requires = ["transformers[torch]"]

VARIANTS = {
    "accumulated": {"gradient_accumulation_steps": 2},
    "checkpointed": {"gradient_checkpointing": True},
    "cosine": {"lr_scheduler_type": "cosine", "warmup_steps": 2, "weight_decay": 0.1},
    "Adafactor": {"optim": "adafactor"},
    "smoothed labels": {"label_smoothing_factor": 0.1},
    "noise": {"neftune_noise_alpha": 5.0},
    "workers": {"dataloader_num_workers": 1},
    "best": {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"},
}


def run():
    """Logs, metrics and predictions; and the weights after a resumed training."""
    import tempfile

    import torch
    import transformers as t

    class Sums(torch.utils.data.Dataset):
        """Sequences of several lengths, and whether their sums are odd."""

        def __init__(self, count):
            generator = torch.Generator().manual_seed(count)
            self.rows = torch.randint(3, 99, (count, 8), generator=generator)

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, i):
            row = self.rows[i, : 5 + i % 4]
            return {"input_ids": row, "labels": int(row.sum() % 2)}

    def collate(rows):
        pad = torch.nn.utils.rnn.pad_sequence
        ids = pad([row["input_ids"] for row in rows], batch_first=True)
        labels = torch.tensor([row["labels"] for row in rows])
        return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": labels}

    def accuracy(p):
        return {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())}

    def trainer(folder, **settings):
        torch.manual_seed(0)
        config = t.BertConfig(
            vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=37, num_labels=2,
        )  # fmt: skip
        settings = {
            "output_dir": folder, "per_device_train_batch_size": 4, "learning_rate": 1e-3,
            "logging_steps": 2, "report_to": [], "seed": 1, "disable_tqdm": True, "use_cpu": True,
            "num_train_epochs": 1, "save_strategy": "no", "dataloader_pin_memory": False,
            **settings,
        }  # fmt: skip
        return t.Trainer(
            model=t.BertForSequenceClassification(config), args=t.TrainingArguments(**settings),
            train_dataset=Sums(24), eval_dataset=Sums(10), data_collator=collate,
            compute_metrics=accuracy,
        )  # fmt: skip

    def kept(logs):
        return {k: v for k, v in logs.items() if "runtime" not in k and "per_second" not in k}

    results = {}
    whole = {"num_train_epochs": 2, "eval_strategy": "epoch", "save_strategy": "epoch"}
    with tempfile.TemporaryDirectory() as folder:
        first = trainer(folder, **whole)
        first.train()
        results["log"] = [kept(entry) for entry in first.state.log_history]
        results["predictions"] = first.predict(Sums(10)).predictions
        second = trainer(folder, **whole)
        second.train(resume_from_checkpoint=f"{folder}/checkpoint-6")
        results["weights"] = second.model.classifier.weight
        results["resumed as if never stopped"] = all(
            torch.allclose(a, b, atol=1e-6)
            for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True)
        )
    for name, settings in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            fitted = trainer(folder, **settings)
            loss = fitted.train().training_loss
            results[name] = {"loss": loss, **kept(fitted.evaluate())}
    with tempfile.TemporaryDirectory() as folder:
        results["bfloat16 trains"] = trainer(folder, bf16=True).train().training_loss < 0.8
    return results
