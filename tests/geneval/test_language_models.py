"""geneval.language_models: Hugging Face models write, each request by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from geneval.errors import CheckpointError, SampleError, UsageError
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.language_models import _cut, _Sampling, causal, seq2seq
from geneval.samples.sampleset import Batch

PROMPTS = ["the cat sees", "a man", "never say never again", "火车"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random twins of GPT-2 and T5 with a byte-level tokeniser of their own."""
    declare_schemas()
    import transformers
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers import models as kinds

    folder = tmp_path_factory.mktemp("models")
    own = Tokenizer(kinds.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    own.train_from_iterator(PROMPTS, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=own, eos_token="<end>")
    size = {"vocab_size": own.get_vocab_size(), "eos_token_id": 0}
    torch.manual_seed(0)
    gpt = transformers.GPT2Config(n_positions=64, n_embd=32, n_layer=2, n_head=2, **size)
    transformers.GPT2LMHeadModel(gpt).save_pretrained(folder / "gpt")
    t5 = transformers.T5Config(
        **{"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
        **{"pad_token_id": 0, "decoder_start_token_id": 0},
        **size,
    )
    transformers.T5ForConditionalGeneration(t5).save_pretrained(folder / "t5")
    for name in ("gpt", "t5"):
        tokenizer.save_pretrained(folder / name)
    return folder


def asked(prompts: list[str], **columns: list[Any]) -> Batch:
    """Requests with seeds."""
    return Batch.of(prompt=prompts, seed=list(range(len(prompts))), **columns)


@pytest.mark.parametrize(("load", "name"), [(causal, "gpt"), (seq2seq, "t5")])
def test_batches_change_no_text(models: Path, load: Any, name: str) -> None:
    """Padding and neighbours leave a request's text as it is; greedy, sampled, with beams."""
    for how in ({}, {"temperature": 1.0, "top_p": 0.9, "top_k": 50}, {"num_beams": 2}):
        made = load(models / name, "cpu", max_new_tokens=8, **how).generate
        together = made(asked(PROMPTS))
        alone = [
            made(Batch.of(prompt=[prompt], seed=[seed]))[0] for seed, prompt in enumerate(PROMPTS)
        ]
        assert together == alone
        assert {one["finish_reason"] for one in together} <= {"stop", "length"}


def test_greedy_is_that_of_transformers(models: Path) -> None:
    """Without padding or options the text is what the library itself generates."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(models / "gpt")
    tokenizer = transformers.AutoTokenizer.from_pretrained(models / "gpt")
    given = tokenizer(PROMPTS[0], return_tensors="pt")
    made = model.generate(**given, do_sample=False, max_new_tokens=8, pad_token_id=0)
    wanted = tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    found = causal(models / "gpt", "cpu", max_new_tokens=8).generate(asked(PROMPTS[:1]))
    assert found[0]["hypothesis"] == wanted


def test_the_start_of_a_decoder_is_no_end(models: Path, tmp_path: Path) -> None:
    """BART starts its decoder with the end of text: what it cuts off is told as such."""
    import transformers

    size = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "max_position_embeddings": 32}
    size |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    size |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    tokenizer = transformers.AutoTokenizer.from_pretrained(models / "t5")
    config = transformers.BartConfig(
        vocab_size=len(tokenizer),
        eos_token_id=0,
        decoder_start_token_id=0,
        bos_token_id=0,
        pad_token_id=1,
        forced_eos_token_id=None,
        **size,
    )
    torch.manual_seed(0)
    transformers.BartForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = seq2seq(tmp_path, "cpu", max_new_tokens=4, temperature=1.0)
    reasons = [one["finish_reason"] for one in model.generate(asked(PROMPTS))]
    assert reasons == ["length"] * len(PROMPTS)
    with pytest.raises(CheckpointError, match="exceed the 32 positions"):
        model.generate(asked([PROMPTS[2] * 8]))


def test_sampling_draws_from_the_softmax() -> None:
    """Gumbel noise and the largest: frequencies of 4,000 draws fit the tempered softmax."""
    scores = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    sampling = _Sampling(1, 0.5, 1.0, 0, 1, [])
    (noisy,) = sampling.processors([7])
    drawn = [int(noisy(torch.empty(0), scores).argmax()) for _ in range(4000)]
    wanted = (scores.double() / 0.5).softmax(1)[0].numpy() * 4000
    assert chisquare(np.bincount(drawn, minlength=4), wanted).pvalue > 1e-3


def test_cuts_by_hand() -> None:
    """top_k keeps the k likeliest; top_p the fewest whose mass reaches p."""
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    assert torch.isfinite(_cut(scores, 2, 1.0)).tolist() == [[True, True, False, False]]
    assert torch.isfinite(_cut(scores, 0, 0.5)).tolist() == [[True, False, False, False]]
    assert torch.isfinite(_cut(scores, 0, 0.81)).tolist() == [[True, True, True, False]]
    assert torch.isfinite(_cut(scores, 0, 1.0)).all()


def test_templates_and_stops(models: Path) -> None:
    """A template takes the record's fields; a text ends before a stop."""
    plain = causal(models / "gpt", "cpu", max_new_tokens=8).generate
    filled = causal(models / "gpt", "cpu", max_new_tokens=8, template="{prompt} {lang}").generate
    wanted = plain(asked(["the cat sees en"]))
    assert filled(asked(["the cat sees"], lang=["en"])) == wanted
    with pytest.raises(UsageError, match="a record has prompt, seed"):
        filled(asked(["the cat sees"]))
    mark = wanted[0]["hypothesis"][1]
    stopped = causal(models / "gpt", "cpu", max_new_tokens=8, stop=[mark]).generate
    (found,) = stopped(asked(["the cat sees en"]))
    assert found == {"hypothesis": wanted[0]["hypothesis"].split(mark)[0], "finish_reason": "stop"}


def test_conversations_need_a_chat_template(models: Path) -> None:
    """Turns are put into the model's template, which must be there; they end with the user's."""
    talk = [[{"role": "user", "content": "hi"}]]
    with pytest.raises(UsageError, match="no chat template"):
        causal(models / "gpt", "cpu").generate(asked(["x"], turns=talk))
    ended = [[*talk[0], {"role": "assistant", "content": "yes"}]]
    with pytest.raises(SampleError, match="end with the user"):
        causal(models / "gpt", "cpu").generate(asked(["x"], turns=ended))


def test_what_cannot_be_had(models: Path, tmp_path: Path) -> None:
    """An empty folder, a prompt that is too long, settings that exclude each other."""
    with pytest.raises(UsageError, match=r"no config\.json"):
        causal(tmp_path, "cpu")
    with pytest.raises(CheckpointError, match="exceed the 64 positions"):
        causal(models / "gpt", "cpu", max_new_tokens=60).generate(asked([PROMPTS[2] * 4]))
    with pytest.raises(UsageError, match="either a temperature or num_beams"):
        causal(models / "gpt", "cpu", temperature=1.0, num_beams=2)
    with pytest.raises(UsageError, match=r"top_p = 2\.0"):
        causal(models / "gpt", "cpu", top_p=2.0)
