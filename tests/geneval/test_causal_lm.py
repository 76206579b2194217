"""causal-lm and perplexity: transformers' own computation, torchmetrics, and a uniform model."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer

from geneval.data import Features, Fields
from geneval.errors import CheckpointError, UsageError
from geneval.evaluator import open_job
from geneval.extractors.causal_lm import _windows
from geneval.extractors.extractor import build_extractor
from geneval.ledger import Ledger
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.result import Result
from geneval.run import execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite

POSITIONS = 32
TEXTS = [
    "the cat sat on the mat",
    "",
    "a dog runs",
    "猫坐在垫子上。",
    "on and on and on it goes " * 6,  # longer than the model's 32 positions
    "cat",
]
PROMPTS = ["tell me", "", "what runs", "猫呢", "go " * 40, "a pet"]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 with random weights and a byte-level tokeniser made for it."""
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "twin"
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokens.train_from_iterator(TEXTS * 3, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<|end|>").save_pretrained(folder)
    torch.manual_seed(0)
    size = {"n_positions": POSITIONS, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = GPT2Config(vocab_size=tokens.get_vocab_size(), initializer_range=0.5, **size)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def likelihood(place: Path, texts: list[str], **options: Any) -> Any:
    """log p and tokens [n, 2] of texts."""
    prompts = options.pop("prompts", [""] * len(texts))
    built = build_extractor(f"causal-lm:{place}", options, "cpu", None)
    return built(Batch.of(written=texts, prompt=prompts), ["likelihood"])["likelihood"]


class Plain:
    """The model by transformers alone: one text at a time, one window at a time, in float64."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.net = AutoModelForCausalLM.from_pretrained(folder).double().eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids(self, text: str) -> list[int]:
        """Token ids without special ones."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    @torch.inference_mode()
    def score(self, text: str, before: list[int], stride: int = POSITIONS // 2) -> float:
        """log p of a text after some tokens: each token in the first window that reaches it."""
        own = self.ids(text)
        whole, total = [*before, *own], 0.0
        for place in range(len(before), len(whole)):
            begin = 0
            while begin + POSITIONS <= place:
                begin += stride
            window = torch.tensor([whole[begin:place]])
            logits = self.net(window).logits[0, -1]
            total += float(torch.log_softmax(logits, dim=0)[whole[place]])
        return total


def test_likelihood_is_that_of_transformers(twin: Path) -> None:
    """Short, blank, Chinese and long texts, in batches, against one token at a time, to 1e-5."""
    rows, plain = likelihood(twin, TEXTS), Plain(twin)
    end = plain.tokenizer.eos_token_id
    expected = [plain.score(text, [end]) for text in TEXTS]
    np.testing.assert_allclose(rows[:, 0], expected, rtol=1e-5)
    assert rows[:, 1].tolist() == [len(plain.ids(text)) for text in TEXTS]
    assert max(rows[:, 1]) > POSITIONS


@pytest.mark.parametrize("stride", [1, 7, 31])
def test_windows_of_another_stride(twin: Path, stride: int) -> None:
    """The nearer windows lie together, the more of a long text each token is given."""
    plain = Plain(twin)
    (row,) = likelihood(twin, [TEXTS[4]], stride=stride)
    expected = plain.score(TEXTS[4], [plain.tokenizer.eos_token_id], stride)
    assert row[0] == pytest.approx(expected, rel=1e-5)


def test_likelihood_after_a_prompt(twin: Path) -> None:
    """Only the text counts, with the separator before it; a long prompt is read in windows."""
    rows = likelihood(twin, TEXTS, prompts=PROMPTS, conditional=True, separator="\n")
    plain = Plain(twin)
    for row, text, prompt in zip(rows, TEXTS, PROMPTS, strict=True):
        before = [plain.tokenizer.eos_token_id, *plain.ids(prompt)]
        assert row[0] == pytest.approx(plain.score(f"\n{text}", before), rel=1e-5)
        assert row[1] == len(plain.ids(f"\n{text}"))


@given(st.integers(0, 60), st.integers(1, 20), st.integers(2, 9), st.integers(1, 8))
def test_every_token_is_scored_once(n: int, first: int, length: int, stride: int) -> None:
    """Windows score tokens first … n−1 in order, each with one token before it at least."""
    stride = min(stride, length - 1)
    windows = list(_windows(n, first, length, stride))
    scored = [place for _, start, end in windows for place in range(start, end)]
    assert scored == list(range(first, n))
    for begin, start, end in windows:
        assert begin < start
        assert end - begin <= length


def uniform(folder: Path, twin: Path, vocabulary: int) -> Path:
    """The twin with all weights 0: every token is as likely as any other."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for path in twin.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    state = {name: torch.zeros_like(one) for name, one in load_file(twin / WEIGHTS).items()}
    assert state["transformer.wte.weight"].shape[0] == vocabulary
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


WEIGHTS = "model.safetensors"


def result(ledger: Ledger, place: Path, records: Any, *settings: str) -> Result:
    """A run of perplexity on texts."""
    chosen = ["samples={kind: texts}", f"extractor='causal-lm:{place}'", *settings]
    return execute(open_job(load_suite("perplexity", chosen), ledger, samples=records)).result


def test_a_uniform_model(twin: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Perplexity is the size V of the vocabulary; the others V^(tokens/words), tokens·log2 V/bytes.

    Words: 6, 0, 3, 6 Chinese characters, 42, 1.
    """
    size = json.loads((twin / "config.json").read_text())["vocab_size"]
    place = uniform(tmp_path / "uniform", twin, size)
    found = result(ledger, place, TEXTS)
    tokens = sum(len(Plain(twin).ids(text)) for text in TEXTS)
    bits = tokens * math.log2(size)
    assert found["perplexity"].number == pytest.approx(size, rel=1e-5)
    assert found["perplexity.word_perplexity"].number == pytest.approx(2 ** (bits / 58), rel=1e-5)
    written = sum(len(text.encode()) for text in TEXTS)
    assert found["perplexity.bits_per_byte"].number == pytest.approx(bits / written, rel=1e-5)


def test_perplexity_is_torchmetrics(twin: Path, ledger: Ledger) -> None:
    """Per token, of texts of one window, torchmetrics' Perplexity on the model's own logits."""
    from torchmetrics.text import Perplexity

    short, plain = [TEXTS[0], TEXTS[2], TEXTS[5]], Plain(twin)
    peer = Perplexity()
    for text in short:
        ids = torch.tensor([[plain.tokenizer.eos_token_id, *plain.ids(text)]])
        with torch.inference_mode():
            peer.update(plain.net(ids).logits[:, :-1].float(), ids[:, 1:])
    found = result(ledger, twin, short)["perplexity"]
    assert found.number == pytest.approx(float(peer.compute()), rel=1e-5)
    assert found.interval is not None


def test_prompts_are_part_of_what_is_compared(twin: Path, ledger: Ledger) -> None:
    """Conditional likelihoods are other numbers under another signature, and need prompts."""
    records = [{"hypothesis": t, "prompt": p} for t, p in zip(TEXTS, PROMPTS, strict=True)]
    given = f"extractor={{name: 'causal-lm:{twin}', conditional: true}}"
    alone, after = (result(ledger, twin, records, *some) for some in ((), (given,)))
    assert alone["perplexity"].number != after["perplexity"].number
    fields = [dict(one["perplexity"].signature.fields)["given"] for one in (alone, after)]
    assert fields == ["start", "prompt+' '"]
    with pytest.raises(UsageError, match="needs the field 'prompt'"):
        result(ledger, twin, TEXTS, given)


def estimates(nats: list[float], tokens: list[float], texts: list[str]) -> dict[str, Any]:
    """The estimates of given likelihoods by output."""
    ids = tuple(f"{i}" for i in range(len(nats)))
    rows = np.column_stack([np.negative(nats), tokens])
    inputs = {"likelihood": Features(ids, rows), "texts": Fields(ids, {"written": texts})}
    spec = find_metric("perplexity")
    found = spec.measure(inputs, Context(), spec.check_options({}))
    return {one.output: one for one in found}


def test_sums_and_not_means_of_texts() -> None:
    """2 and 6 nats over 1 and 3 tokens: exp(8/4), not the mean of the texts' own numbers.

    Over 2 + 3 words exp(8/5), over 4 + 5 bytes 8/(9 ln 2) bits.
    """
    found = estimates([2.0, 6.0], [1.0, 3.0], ["ab c", "d e f"])
    assert found["perplexity"].number == pytest.approx(math.exp(2))
    assert found["word_perplexity"].number == pytest.approx(math.exp(8 / 5))
    assert found["bits_per_byte"].number == pytest.approx(8 / 9 / math.log(2))


def test_texts_that_are_no_words() -> None:
    """Blank texts have no perplexity; a wordless corpus has one per token all the same."""
    assert (
        "no text has a token" in estimates([0.0, 0.0], [0.0, 0.0], ["", ""])["perplexity"].problem
    )
    found = estimates([400.0, 300.0], [200.0, 150.0], ["x" * 400, "y" * 300])
    assert found["perplexity"].number == pytest.approx(math.exp(2))
    assert "350 nats per word" in found["word_perplexity"].problem
    found = estimates([4.0, 2.0], [2.0, 1.0], ["👍👍", "👍"])
    assert found["perplexity"].number == pytest.approx(math.exp(2))
    assert found["bits_per_byte"].number == pytest.approx(6 / 12 / math.log(2))
    assert "no text has a word" in found["word_perplexity"].problem


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_length": 33}, "max_length = 33, the model takes 32"),
        ({"stride": 32}, "stride = 32 must be below the length of a window, 32"),
    ],
)
def test_windows_that_no_model_has(twin: Path, options: dict[str, Any], told: str) -> None:
    """Told when the extractor is built."""
    with pytest.raises(UsageError, match=told):
        build_extractor(f"causal-lm:{twin}", options, "cpu", None)


def test_a_model_survives_pickling(twin: Path) -> None:
    """Any process can run it, and none is handed a network."""
    built, batch = build_extractor(f"causal-lm:{twin}", {}, "cpu", None), Batch.of(written=TEXTS)
    rows = built(batch, ["likelihood"])["likelihood"]
    packed = pickle.dumps(built)
    assert len(packed) < 20_000
    np.testing.assert_array_equal(pickle.loads(packed)(batch, ["likelihood"])["likelihood"], rows)


def test_a_tokeniser_without_a_first_token(twin: Path, tmp_path: Path) -> None:
    """The first token of a text must be given something."""
    for path in twin.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((twin / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="no token that begins or ends a text"):
        likelihood(tmp_path, ["a"])
