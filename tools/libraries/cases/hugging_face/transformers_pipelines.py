"""Pipelines of text: classify, fill in, tag, embed, generate, and classify without training."""

requires = ["transformers"]


def run():
    """What each pipeline answers, with a tokenizer trained here and small random models."""
    import tempfile

    import torch
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(
        ["the cat sat on the mat", "a dog runs", "this example is about"],
        trainers.WordLevelTrainer(special_tokens=special, show_progress=False),
    )
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    names = {f"{n.lower()}_token": f"[{n}]" for n in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_object=words, **names)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        tokenizer = t.AutoTokenizer.from_pretrained(folder)

    def config(kind, **more):
        return getattr(t, f"{kind}Config")(vocab_size=len(tokenizer), **more)

    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 37,
    }
    gpt = {"n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 2, "eos_token_id": 3}
    labels = {"label2id": {"entailment": 0, "other": 1}, "id2label": {0: "entailment", 1: "other"}}
    text = "the cat sat"

    def pipe(task, model, *args, **settings):
        torch.manual_seed(0)
        return t.pipeline(task, model=model(), tokenizer=tokenizer)(*args, **settings)

    def bert(task, **more):
        return getattr(t, f"BertFor{task}")(config("Bert", **sizes, **more))

    def classifier():
        return bert("SequenceClassification", **labels)

    return {
        "tokens": dict(tokenizer([text, "a dog"], padding=True, return_tensors="pt")),
        "classified": pipe("text-classification", classifier, [text, "a dog runs"], top_k=None),
        "filled": pipe("fill-mask", lambda: bert("MaskedLM"), "the [MASK] sat", top_k=3),
        "tagged": pipe("token-classification", lambda: bert("TokenClassification"), text),
        "features": pipe("feature-extraction", lambda: t.BertModel(config("Bert", **sizes)), text),
        "without training": pipe(
            "zero-shot-classification", classifier, text, candidate_labels=["cat", "dog"]
        ),
        "generated": pipe(
            "text-generation", lambda: t.GPT2LMHeadModel(config("GPT2", **gpt)), text,
            max_new_tokens=6, do_sample=False,
        ),
    }  # fmt: skip
