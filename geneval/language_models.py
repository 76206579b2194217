"""Adapters for Hugging Face language models in a local folder: `hf-causal` and `hf-seq2seq`.

Each request is continued (or answered) by itself: text is sampled with one generator a request,
seeded by the request, so that batch and order change it by rounding at most. Sampling adds Gumbel
noise to the log probabilities and takes the largest, which draws from them exactly.

Only safetensors are read, and no code that comes with a model is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from geneval.checkpoint import Generator
from geneval.errors import CheckpointError, SampleError, UsageError
from geneval.extractors import models
from geneval.extractors.runtime import Precision, Running
from geneval.options import AtLeast
from geneval.samples.sampleset import Batch

if TYPE_CHECKING:
    import torch

Record = dict[str, Any]


def causal(
    path: Path,
    device: str,
    *,
    template: str = "",
    chat: bool | None = None,
    max_new_tokens: Annotated[int, AtLeast(1)] = 256,
    temperature: Annotated[float, AtLeast(0.0)] = 0.0,
    top_p: Annotated[float, AtLeast(0.0)] = 1.0,
    top_k: Annotated[int, AtLeast(0)] = 0,
    num_beams: Annotated[int, AtLeast(1)] = 1,
    stop: list[str] | None = None,
    precision: Precision = "fp32",
) -> Generator:
    """A decoder that continues its prompt.

    What it is given is `template` with the record's fields in braces, else its `turns`, `prompt` or
    `source`. `chat` puts it into the model's chat template; unless set, conversations are. Without
    a `temperature` the likeliest text is taken, over `num_beams`. A text ends at `stop` or after
    `max_new_tokens`; `finish_reason` says at which.
    """
    model, tokenizer = _loaded("AutoModelForCausalLM", "adapter hf-causal", path, device, precision)
    tokenizer.padding_side = "left"
    asked = _asker(tokenizer, template, chat)
    sampling = _Sampling(max_new_tokens, temperature, top_p, top_k, num_beams, stop or [])
    return Generator(lambda batch: _generated(model, tokenizer, batch, asked, sampling, False))


def seq2seq(
    path: Path,
    device: str,
    *,
    template: str = "",
    max_new_tokens: Annotated[int, AtLeast(1)] = 256,
    temperature: Annotated[float, AtLeast(0.0)] = 0.0,
    top_p: Annotated[float, AtLeast(0.0)] = 1.0,
    top_k: Annotated[int, AtLeast(0)] = 0,
    num_beams: Annotated[int, AtLeast(1)] = 1,
    stop: list[str] | None = None,
    precision: Precision = "fp32",
) -> Generator:
    """An encoder and decoder that answers its input; options as those of `hf-causal`."""
    model, tokenizer = _loaded(
        "AutoModelForSeq2SeqLM", "adapter hf-seq2seq", path, device, precision
    )
    asked = _asker(tokenizer, template, False)
    sampling = _Sampling(max_new_tokens, temperature, top_p, top_k, num_beams, stop or [])
    return Generator(lambda batch: _generated(model, tokenizer, batch, asked, sampling, True))


class _Sampling:
    """How the next token is chosen."""

    def __init__(
        self,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int,
        num_beams: int,
        stop: Sequence[str],
    ) -> None:
        if temperature and num_beams > 1:
            raise UsageError("give either a temperature or num_beams: beams are not sampled")
        if not 0 < top_p <= 1:
            raise UsageError(f"top_p = {top_p} is not in (0, 1]")
        self.max_new_tokens, self.num_beams, self.stop = max_new_tokens, num_beams, stop
        self.temperature, self.top_p, self.top_k = temperature, top_p, top_k

    def processors(self, seeds: Sequence[int]) -> list[Any]:
        """What changes the next token's scores [b, vocabulary], for requests of these seeds."""
        if not self.temperature:
            return []
        generators = [np.random.default_rng(seed) for seed in seeds]

        def noisy(tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            import torch

            noise = np.stack([one.gumbel(size=scores.shape[1]) for one in generators])
            kept = _cut(scores.double() / self.temperature, self.top_k, self.top_p)
            return kept + torch.as_tensor(noise, device=scores.device)

        return [noisy]


def _cut(scores: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Scores [b, v] with −∞ for all but the likeliest `top_k` and those within the mass `top_p`."""
    import torch

    if top_k and top_k < scores.shape[1]:
        least = scores.topk(top_k, dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if top_p < 1:
        ordered, order = scores.sort(dim=1, descending=True)
        before = ordered.softmax(dim=1).cumsum(dim=1).roll(1, dims=1)
        before[:, 0] = 0.0
        outside = torch.zeros_like(before, dtype=torch.bool).scatter(1, order, before >= top_p)
        scores = scores.masked_fill(outside, -torch.inf)
    return scores


def _loaded(kind: str, user: str, path: Path, device: str, precision: Precision) -> tuple[Any, Any]:
    """Model and tokenizer of a folder; raises `UsageError` or `CheckpointError`."""
    models.require_package(user, "transformers")
    if not (path / "config.json").is_file():
        raise UsageError(f"{path} has no config.json; give the folder of a Hugging Face model")
    models.require_safe(user, path)
    model = models.load_model(kind, user, path, Running.on(device, precision))
    tokenizer = models.load_tokenizer(user, path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise CheckpointError(f"the tokenizer of {path} has no padding and no end-of-text token")
    return model, tokenizer


Asker = Callable[[Record], tuple[str, bool]]  # the text of a request, and whether it is a chat's


def _asker(tokenizer: Any, template: str, chat: bool | None) -> Asker:
    """What makes the text of a request of its record."""

    def asked(record: Record) -> tuple[str, bool]:
        turns = record.get("turns")
        text = _filled(template, record) if template else record.get("prompt", record.get("source"))
        if turns and not template:
            messages = list(turns)
            if messages[-1]["role"] == "assistant":
                raise SampleError("a conversation to be continued must end with the user's turn")
        else:
            messages = [{"role": "user", "content": text}]
        if not (bool(turns and not template) if chat is None else chat):
            return ("\n".join(turn["content"] for turn in messages)), False
        if not tokenizer.chat_template:
            raise UsageError("the model has no chat template; set generate.options.chat: false")
        whole = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return str(whole), True

    return asked


def _filled(template: str, record: Record) -> str:
    try:
        return template.format_map(record)
    except (KeyError, IndexError, ValueError) as error:
        has = ", ".join(record)
        raise UsageError(
            f"template {template!r}: {error} is no field; a record has {has}"
        ) from None


def _generated(
    model: Any, tokenizer: Any, batch: Batch, asked: Asker, sampling: _Sampling, encodes: bool
) -> list[Record]:
    """What a model writes at a batch of requests."""
    import torch
    import transformers

    names = list(batch.columns)
    rows = zip(*batch.columns.values(), strict=True)
    texts = [asked(dict(zip(names, row, strict=True))) for row in rows]
    given = tokenizer(
        [text for text, _ in texts],
        return_tensors="pt",
        padding=True,
        add_special_tokens=not texts[0][1],  # a chat template brings its own
    ).to(model.device)
    given.pop("token_type_ids", None)
    width = given["input_ids"].shape[1]
    _require_places(model, width, sampling.max_new_tokens, encodes)
    before = 1 if encodes else width  # the decoder's start, which may be the end of text too
    own = model.generation_config
    how = transformers.GenerationConfig(
        do_sample=False,
        num_beams=sampling.num_beams,
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=own.eos_token_id or tokenizer.eos_token_id,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
    )
    processors = transformers.LogitsProcessorList(sampling.processors(batch.columns["seed"]))
    with torch.inference_mode():
        made = model.generate(**given, generation_config=how, logits_processor=processors)
    ends = how.eos_token_id if isinstance(how.eos_token_id, list) else [how.eos_token_id]
    return [_record(tokenizer, row.tolist(), ends, sampling) for row in made[:, before:]]


def _require_places(model: Any, width: int, new: int, encodes: bool) -> None:
    """Raise `CheckpointError` unless the model has positions for the prompt and what follows."""
    most = getattr(model.config, "max_position_embeddings", None)
    longest = max(width, new + 1) if encodes else width + new
    if most and longest > most:
        raise CheckpointError(
            f"a prompt of {width} tokens and {new} new ones exceed the {most} positions of the "
            "model; shorten the prompt or lower generate.options.max_new_tokens"
        )


def _record(tokenizer: Any, tokens: list[int], ends: list[int], sampling: _Sampling) -> Record:
    """The text of new tokens up to their end, and why it ended."""
    ended = any(token in ends for token in tokens)
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    cut = min((text.find(mark) for mark in sampling.stop if mark in text), default=-1)
    if cut >= 0:
        text, ended = text[:cut], True
    return {"hypothesis": text, "finish_reason": "stop" if ended else "length"}
