"""A sentence encoder that answers: sentence-transformers on whatever torch the environment has.

    pip install sentence-transformers
    python sentence_encoder.py "where do fish live"
    python sentence_encoder.py --model all-MiniLM-L6-v2 "where do fish live"   # downloads 90 MB

Without ``--model``, a small BERT is trained on the pairs below, for some seconds. The encoder then
finds the sentence that lies nearest to the question.
"""

import argparse
import tempfile

import torch
import transformers
from sentence_transformers import SentenceTransformer, util
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, pre_tokenizers, processors, trainers
from tokenizers.models import WordLevel

PAIRS = [
    ("where do fish live", "fish live in water"),
    ("what do cows eat", "cows eat grass"),
    ("when do owls hunt", "owls hunt at night"),
    ("how do birds travel", "birds travel by flying"),
    ("what do bees make", "bees make honey from flowers"),
    ("where do foxes sleep", "foxes sleep in a den under the ground"),
    ("what do spiders build", "spiders build webs to catch flies"),
    ("when do bears sleep", "bears sleep in winter"),
    ("how do dogs greet", "dogs greet by wagging the tail"),
    ("what do squirrels collect", "squirrels collect nuts in autumn"),
    ("where do camels live", "camels live in the desert"),
    ("how do bats see", "bats see by sound in the dark"),
]


def small_bert(folder):
    """A tokenizer of the words in ``PAIRS``, and a random BERT of two layers, as a model."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = Tokenizer(WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    words.train_from_iterator([text for pair in PAIRS for text in pair], trainer)
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=words.get_vocab_size(), hidden_size=64, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=128, max_position_embeddings=32,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    parts = [Transformer(folder, max_seq_length=16), Pooling(64)]
    return SentenceTransformer(modules=parts, device="cpu")


def train(encoder, steps=60):
    """Draw each question near to its answer, and away from the other answers."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3)
    questions, answers = (encoder.preprocess(list(texts)) for texts in zip(*PAIRS, strict=True))
    encoder.train()
    for step in range(steps):
        a, b = (encoder(dict(texts))["sentence_embedding"] for texts in (questions, answers))
        loss = torch.nn.functional.cross_entropy(util.cos_sim(a, b) * 10, torch.arange(len(PAIRS)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", nargs="?", default="where do fish live")
    parser.add_argument("--model", help="a model's name or folder; is not trained")
    options = parser.parse_args()
    print("torch", torch.__version__)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if options.model:
            encoder = SentenceTransformer(options.model)
        else:
            encoder = small_bert(folder)
            train(encoder)
        encoder.eval()
        texts = [answer for _, answer in PAIRS]
        nearest = util.semantic_search(encoder.encode(options.question), encoder.encode(texts))[0]
    for found in nearest[:3]:
        print(f"{found['score']:.2f}  {texts[found['corpus_id']]}")


if __name__ == "__main__":
    main()
