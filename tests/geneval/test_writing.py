"""geneval.engine.writing: texts that a checkpoint writes, kept, scored again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from geneval import Generator
from geneval.engine.progress import Silent
from geneval.errors import CheckpointError, UsageError
from geneval.evaluator import evaluate, open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import Outcome, execute
from geneval.samples.sampleset import COST, Batch
from geneval.suite import load_suite
from geneval.value import Role

asked: list[Batch] = []


def load(path: Path, device: str, *, prefix: str = "the") -> Generator:
    """An adapter that answers with its prompt and the seed's last digit, and notes what it gets."""
    kept = path.read_text()

    def generate(batch: Batch) -> list[dict[str, Any]]:
        asked.append(batch)
        fails = path.with_suffix(".fails-at")
        if fails.exists() and len(asked) == int(fails.read_text()):
            raise RuntimeError("no power")
        rows = zip(batch.columns["prompt"], batch.columns["seed"], strict=True)
        return [
            {"hypothesis": f"{prefix} {kept} {p} {s % 10}", "finish_reason": "stop"}
            for p, s in rows
        ]

    return Generator(generate=generate)


def load_wrong(path: Path, device: str) -> Generator:
    """An adapter that returns what the checkpoint's file says."""
    made: Mapping[str, Any] = {"one": ["a"], "string": "abc", "numbers": [1, 2, 3, 4, 5, 6]}
    return Generator(generate=lambda batch: made[path.read_text()])


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Nothing has been asked yet."""
    asked.clear()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint and six prompts with references."""
    import sys

    monkeypatch.setitem(sys.modules, "writers_of_texts", sys.modules[__name__])
    (tmp_path / "model").write_text("cat")
    records = [
        {"id": f"q{i}", "prompt": f"sees {i}", "references": [f"the cat sees {i} 4"], "lang": "en"}
        for i in range(6)
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, records)))
    return tmp_path


def ran(here: Path, *overrides: str, adapter: str = "load", **given: Any) -> Outcome:
    """A run of the checkpoint on the prompts under exact match and chrF."""
    settings = [f"generate.prompts={here}/prompts.jsonl", *overrides]
    job = open_job(
        load_suite("chrf,exact_match", settings),
        Ledger(here / "cache"),
        checkpoint=given.pop("checkpoint", here / "model"),
        adapter=f"writers_of_texts:{adapter}",
        **given,
    )
    return execute(job, here / "runs", (), Silent())


def kept(found: Outcome) -> list[dict[str, Any]]:
    """The records that a run kept."""
    assert found.directory is not None
    lines = (found.directory / "samples" / "texts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_checkpoint_writes_at_prompts(here: Path) -> None:
    """Texts pair with the prompts' references; the adapter never sees these."""
    found = ran(here)
    records = kept(found)
    assert [record["id"] for record in records] == [f"q{i}" for i in range(6)]
    assert records[2]["hypothesis"].startswith("the cat sees 2 ")
    assert records[2]["finish_reason"] == "stop"
    assert set(asked[0].columns) == {"prompt", "lang", "seed"}
    assert found.result["chrf"].number is not None
    assert found.result["chrf"].n[Role.GENERATED] == 6
    assert found.result.document.subject.kind == "checkpoint"


def test_what_the_adapter_says_of_a_text_is_used(here: Path) -> None:
    """A reason to finish that nobody knew before the texts were there, here as when scored again.

    Without it `truncated_outputs` is undefined, as no reference ends with a mark.
    """
    job = open_job(
        load_suite("truncated_outputs", [f"generate.prompts={here}/prompts.jsonl"]),
        Ledger(here / "cache"),
        checkpoint=here / "model",
        adapter="writers_of_texts:load",
    )
    found = execute(job, here / "runs", (), Silent()).result
    assert found["truncated_outputs"].number == 0.0
    assert found.directory is not None
    again = evaluate("truncated_outputs", samples=found.directory / "samples" / "texts.jsonl")
    assert again["truncated_outputs"].signature == found["truncated_outputs"].signature


def test_batches_change_nothing_and_are_asked_once(here: Path) -> None:
    """Seeds are the requests' own; what was written is not asked for again."""
    one = kept(ran(here))
    two = kept(ran(here, "generate.batch_size=4"))
    without = [{n: c for n, c in record.items() if n not in COST} for record in one]
    assert without == [{n: c for n, c in record.items() if n not in COST} for record in two]
    assert [len(batch.ids) for batch in asked] == [6, 4, 2]
    again = ran(here, "generate.batch_size=4")
    assert len(asked) == 3
    assert kept(again) == two


def test_a_run_that_was_broken_off_goes_on(here: Path) -> None:
    """Batches that were written before the end came are not asked for again."""
    (here / "model.fails-at").write_text("2")
    with pytest.raises(CheckpointError, match="no power"):
        ran(here, "generate.batch_size=2")
    assert len(asked) == 2
    (here / "model.fails-at").unlink()
    ran(here, "generate.batch_size=2")
    assert [batch.ids for batch in asked[2:]] == [("q2", "q3"), ("q4", "q5")]


def test_repeats_are_samples_of_one_prompt(here: Path) -> None:
    """Several texts a prompt become `samples`, each from a seed of its own."""
    found = ran(here, "generate.repeats=3")
    record = kept(found)[0]
    assert len(record["samples"]) == 3
    assert record["hypothesis"] == record["samples"][0]
    assert len(set(record["samples"])) > 1
    assert any("the first of 3" in caution for caution in found.result.document.cautions)


def test_options_are_the_adapters_and_part_of_the_identity(here: Path) -> None:
    """A typed keyword of the adapter is set by the suite and changes the checkpoint's digest."""
    plain, other = ran(here), ran(here, 'generate.options={"prefix": "a"}')
    assert kept(other)[0]["hypothesis"].startswith("a cat")
    assert plain.result.document.subject.digest != other.result.document.subject.digest
    with pytest.raises(UsageError, match="unknown option 'prefx'; did you mean 'prefix'"):
        ran(here, 'generate.options={"prefx": "a"}')
    with pytest.raises(UsageError, match="does not fit"):
        ran(here, 'generate.options={"prefix": 3}')


def test_n_takes_the_first_prompts_and_limit_makes_it_partial(here: Path) -> None:
    """`n` of generate is the first n ids; --limit is partial."""
    assert [record["id"] for record in kept(ran(here, "generate.n=2"))] == ["q0", "q1"]
    found = ran(here, limit=3)
    assert len(kept(found)) == 3
    assert found.result.document.partial == 3


def test_conversations_get_their_answer(here: Path) -> None:
    """The turns end with what was written; answers to be found there are not the hypothesis."""
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    records = [
        {"prompt": "x", "turns": [*turns, {"role": "user", "content": f"bye {i}"}]}
        for i in range(3)
    ]
    records = [{**record, "references": ["so long"]} for record in records]
    (here / "prompts.jsonl").write_text("\n".join(map(json.dumps, records)))
    made = kept(ran(here))[1]
    assert made["hypothesis"].startswith("the cat x")
    assert made["turns"][-1] == {"role": "assistant", "content": made["hypothesis"]}
    assert len(made["turns"]) == 4


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("one", "1 texts for 6 requests"),
        ("string", "a single text for 6 requests"),
        ("numbers", "wrote a int at q0, no text"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(here: Path, kind: str, told: str) -> None:
    """An adapter that does not give one text a request is the checkpoint's fault, and named."""
    (here / "model").write_text(kind)
    with pytest.raises(CheckpointError, match=told):
        ran(here, adapter="load_wrong")


def test_prompts_are_wanted(here: Path) -> None:
    """A checkpoint of texts without prompts is told what to give."""
    with pytest.raises(UsageError, match="--prompts FILE"):
        open_job(
            load_suite("chrf"),
            Ledger(here / "cache"),
            checkpoint=here / "model",
            adapter="writers_of_texts:load",
        )


def test_kept_texts_are_scored_again(here: Path) -> None:
    """`geneval score` reads what was kept, with references, and asks for nothing."""
    from geneval.rescore import kept_run

    first = ran(here)
    assert first.directory is not None
    asked.clear()
    ledger = Ledger(here / "cache")
    found = kept_run(first.directory, "bleu,exact_match", (), ledger, {})
    job = open_job(found.suite, ledger, samples=found.samples, subject=found.subject)
    again: Result = execute(job).result
    assert not asked
    assert again["exact_match"].number == first.result["exact_match"].number
    assert again.document.subject == first.result.document.subject
