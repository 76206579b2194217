"""Logs of other harnesses, made here in the shape that their sources document, as records.

The shape of lm-evaluation-harness' samples is that of `EvaluationTracker.save_results_samples`
(lm_eval/loggers/evaluation_tracker.py, 0.4.9): requests as `gen_args_<i>: {arg_<j>}`, and what lies
in `resps`, `filtered_resps` and `target` as text. That of Inspect is `EvalLog` version 2 with
`EvalSample` (inspect_ai/log/_log.py, 0.3), and `Score` (inspect_ai/scorer/_metric.py).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from geneval.errors import GenevalError, SampleError, UsageError
from geneval.imports.inspect_ai import read_inspect
from geneval.imports.lm_eval import read_lm_eval
from geneval.imports.records import write_records
from geneval.samples.texts import open_texts

Record = dict[str, Any]


def generated(doc: int, response: str, target: str, filter_: str = "none", **scores: Any) -> Record:
    """A sample of a task that generates, such as gsm8k."""
    return {
        "doc_id": doc,
        "doc": {"question": f"What is {doc}?", "answer": target},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": f"Q: {doc}\nA:", "arg_1": {"until": ["\n"]}}},
        "resps": [[f"{response} of course"]],
        "filtered_resps": [response],
        "filter": filter_,
        "metrics": list(scores),
        "doc_hash": "0f",
        "prompt_hash": "1f",
        "target_hash": "2f",
        **scores,
    }


def chosen(doc: int, likelihoods: Sequence[float], target: int) -> Record:
    """A sample of a multiple-choice task: a request an option, likelihoods as text."""
    pairs = [[str(one), "False"] for one in likelihoods]
    best = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    requests = {
        f"gen_args_{i}": {"arg_0": f"Q: {doc}\nA:", "arg_1": f" {'ABCD'[i]} thing"}
        for i in range(len(likelihoods))
    }
    return generated(doc, "", str(target), acc=float(best == target), acc_norm=1.0) | {
        "arguments": requests,
        "resps": [[pair] for pair in pairs],
        "filtered_resps": pairs,
    }


def lm_eval_file(folder: Path, records: Sequence[Record], task: str = "gsm8k") -> Path:
    """A file of samples with the harness' name."""
    path = folder / f"samples_{task}_2025-03-01T10-20-30.123456.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_generated_texts(tmp_path: Path) -> None:
    """Text, target, prompt and numbers become parts; what has no place is named."""
    records = [generated(i, f"answer {i}", f"answer {i % 2}", exact_match=i % 2) for i in range(3)]
    found = read_lm_eval([lm_eval_file(tmp_path, records)])
    assert found.read == 3
    assert found.records[2] == {
        "id": "gsm8k/2",
        "task": "gsm8k",
        "filter": "none",
        "hypothesis": "answer 2",
        "references": ["answer 0"],
        "prompt": "Q: 2\nA:",
        "exact_match": 0,
    }
    assert found.notes == ("not carried over: doc, doc_hash, prompt_hash, target_hash",)


def test_filters_are_records_of_their_own(tmp_path: Path) -> None:
    """Each filter's response is a record; one filter can be chosen, an unknown one is an error."""
    records = [
        generated(0, "4", "4", "strict-match", exact_match=1.0),
        generated(0, "[invalid]", "4", "flexible-extract", exact_match=0.0),
    ]
    path = lm_eval_file(tmp_path, records)
    both = read_lm_eval([path])
    assert [one["id"] for one in both.records] == [
        "gsm8k/0/strict-match",
        "gsm8k/0/flexible-extract",
    ]
    assert both.notes[0].startswith("filters flexible-extract, strict-match: a record each")
    one = read_lm_eval([path], "strict-match")
    assert (one.read, [r["hypothesis"] for r in one.records]) == (2, ["4"])
    with pytest.raises(UsageError, match=r"unknown filter 'strict'; did you mean 'strict-match'"):
        read_lm_eval([path], "strict")


def test_several_responses_are_samples(tmp_path: Path) -> None:
    """Repeats stand as `samples`, whether the filter kept them or took one."""
    kept = generated(0, "", "4", exact_match=1.0) | {
        "resps": [["a", "b"]],
        "filtered_resps": [["A", "B"]],
    }
    taken = generated(1, "", "4", exact_match=1.0) | {
        "resps": [["a", "b", "c"]],
        "filtered_resps": ["a"],
    }
    found = read_lm_eval([lm_eval_file(tmp_path, [kept, taken])]).records
    assert [(one["hypothesis"], one["samples"]) for one in found] == [
        ("A", ["A", "B"]),
        ("a", ["a", "b", "c"]),
    ]


def test_options_of_multiple_choice(tmp_path: Path) -> None:
    """The likeliest option against the one named by the target: exact match is then `acc`."""
    records = [
        chosen(0, [-3.0, -1.5, -9.0], 1),
        chosen(1, [-0.5, -1.5, -9.0], 2),
        chosen(2, [-7.0, -6.0, -2.0], 2),
    ]
    found = read_lm_eval([lm_eval_file(tmp_path, records, "arc_easy")]).records
    assert [one["hypothesis"] for one in found] == ["B thing", "A thing", "C thing"]
    assert [one["references"] for one in found] == [["B thing"], ["C thing"], ["C thing"]]
    assert [one["hypothesis"] in one["references"] for one in found] == [
        bool(one["acc"]) for one in found
    ]


def test_likelihoods_without_an_option(tmp_path: Path) -> None:
    """One continuation is the text if it is the greedy one; else the record holds scores only."""
    asked = {"gen_args_0": {"arg_0": "The cat sat on the", "arg_1": " mat"}}
    records = [
        generated(i, "", " mat", acc=float(greedy))
        | {
            "arguments": asked,
            "resps": [[["-1.5", str(greedy)]]],
            "filtered_resps": [["-1.5", str(greedy)]],
        }
        for i, greedy in enumerate((True, False))
    ]
    found = read_lm_eval([lm_eval_file(tmp_path, records, "lambada")])
    assert [one["hypothesis"] for one in found.records] == ["mat", ""]
    assert found.notes[0] == ("log-likelihoods alone, no text, in 1 of 2 records: use their scores")
    rolling = generated(0, "", "", word_perplexity=[-20.5, 7]) | {
        "arguments": {"gen_args_0": {"arg_0": "a whole text"}},
        "resps": [["-20.5"]],
        "filtered_resps": ["-20.5"],
    }
    found = read_lm_eval([lm_eval_file(tmp_path, [rolling], "wikitext")])
    assert found.records[0]["hypothesis"] == ""
    assert "references" not in found.records[0]
    assert (
        "score word_perplexity left out: 1 of 1 records (wikitext/0 first) are without a number"
        in found.notes
    )


def test_chats_are_turns(tmp_path: Path) -> None:
    """A chat lies as JSON in a list of one; the answer is its last turn."""
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
    record = generated(0, "4", "4", exact_match=1.0)
    record["arguments"] = {"gen_args_0": {"arg_0": [json.dumps(chat)], "arg_1": {"until": []}}}
    (found,) = read_lm_eval([lm_eval_file(tmp_path, [record])]).records
    assert found["prompt"] == "2+2?"
    assert found["turns"] == [*chat, {"role": "assistant", "content": "4 of course"}]


def test_lists_of_targets_and_requests_in_memory(tmp_path: Path) -> None:
    """Several targets lie as Python prints a list; requests may be plain lists."""
    records = [
        generated(0, "Paris", str(["Paris", "City of Light"]), em=1.0)
        | {"arguments": [["Q?", {}]]},
        generated(1, "Rome", "[sic]", em=1.0),
    ]
    found = read_lm_eval([lm_eval_file(tmp_path, records)]).records
    assert found[0]["references"] == ["Paris", "City of Light"]
    assert found[1]["references"] == ["[sic]", None]
    assert found[0]["prompt"] == "Q?"


def test_tasks_with_the_same_scores_go_together(tmp_path: Path) -> None:
    """Subtasks share a file; tasks of other scores are refused by name."""
    one = lm_eval_file(tmp_path, [chosen(0, [-1, -2], 0)], "mmlu_law")
    other = lm_eval_file(tmp_path, [chosen(0, [-1, -2], 0)], "mmlu_art")
    found = read_lm_eval([one, other])
    assert [record["id"] for record in found.records] == ["mmlu_law/0", "mmlu_art/0"]
    third = lm_eval_file(tmp_path, [generated(0, "4", "4", exact_match=1.0)])
    with pytest.raises(SampleError, match=r"mmlu_law has acc, acc_norm; gsm8k has exact_match"):
        read_lm_eval([one, third])


def score(value: Any) -> Record:
    return {"value": value, "answer": None, "explanation": "why", "metadata": None, "history": []}


def sample(name: Any, text: str, target: Any, epoch: int = 1, **more: Any) -> Record:
    """An `EvalSample`; further parts replace these."""
    message = {"role": "assistant", "content": text, "source": "generate"}
    return {
        "id": name,
        "epoch": epoch,
        "input": f"question {name}",
        "choices": None,
        "target": target,
        "messages": [{"role": "user", "content": f"question {name}"}, message],
        "output": {
            "model": "mock",
            "choices": [{"message": message, "stop_reason": "stop"}],
            "completion": text,
        },
        "scores": {"match": score("C" if text == target else "I")},
        "metadata": {},
        "model_usage": {"mock": {"input_tokens": 3}},
        "error": None,
        **more,
    }


def log(samples: Sequence[Record] | None, task: str = "quiz", status: str = "success") -> Record:
    """An `EvalLog`."""
    header: Record = {"version": 2, "status": status, "eval": {"task": task, "model": "mock"}}
    return header if samples is None else header | {"samples": list(samples)}


def json_log(path: Path, content: Record) -> Path:
    path.write_text(json.dumps(content))
    return path


def eval_log(path: Path, content: Record) -> Path:
    """A log as a zip of header and samples, deflated as Inspect writes it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = {name: part for name, part in content.items() if name != "samples"}
        archive.writestr("_journal/start.json", json.dumps(header))
        archive.writestr("header.json", json.dumps(header))
        for one in content["samples"]:
            archive.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
    return path


@pytest.mark.parametrize("form", ["json", "eval"])
def test_both_forms_of_a_log_are_the_same_records(tmp_path: Path, form: str) -> None:
    """Text, targets, turns and the score are there; C and I are 1 and 0."""
    content = log([sample("a", "4", "4"), sample("b", "5", ["6", "six"])])
    write = json_log if form == "json" else eval_log
    found = read_inspect([write(tmp_path / f"log.{form}", content)])
    assert found.read == 2
    assert found.records == (
        {
            "id": "a",
            "references": ["4", None],
            "prompt": "question a",
            "turns": [
                {"role": "user", "content": "question a"},
                {"role": "assistant", "content": "4"},
            ],
            "hypothesis": "4",
            "match": 1,
        },
        {
            "id": "b",
            "references": ["6", "six"],
            "prompt": "question b",
            "turns": [
                {"role": "user", "content": "question b"},
                {"role": "assistant", "content": "5"},
            ],
            "hypothesis": "5",
            "match": 0,
        },
    )
    assert found.notes == ("not carried over: model_usage",)


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1), ("P", 0.5), ("I", 0), ("N", 0), ("Yes", 1), ("false", 0), ("0.25", 0.25), (3, 3)],
)
def test_scores_are_numbers_as_in_inspect(tmp_path: Path, value: Any, number: float) -> None:
    """The table of `value_to_float` in inspect_ai/scorer/_metric.py; True is 1."""
    marked = [sample(1, "x", "y", scores={"s": score(value), "t": score(True)})]
    (record,) = read_inspect([json_log(tmp_path / "log.json", log(marked))]).records
    assert (record["s"], record["t"]) == (number, 1)


def test_scores_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    """Words, lists and what was not scored (NaN) leave the column out; mappings are columns."""
    scores = {"word": score("good"), "list": score([1, 2]), "m": score({"a": 1, "b": "I"})}
    samples = [
        sample(1, "x", "y", scores=scores | {"part": score(0.5), "references": score(1)}),
        sample(2, "x", "y", scores=scores | {"part": score(float("nan")), "references": score(1)}),
    ]
    found = read_inspect([json_log(tmp_path / "log.json", log(samples))])
    assert {"m_a": 1, "m_b": 0}.items() <= found.records[0].items()
    assert not {"word", "list", "part"} & found.records[0].keys()
    assert found.records[0]["references"] == ["y"]
    assert "score part left out: 1 of 2 records (2 first) are without a number" in found.notes
    assert "score word left out: 2 of 2 records (1 first) are without a number" in found.notes
    assert "score references left out: a record has another part of that name" in found.notes


def test_epochs(tmp_path: Path) -> None:
    """Epochs are samples of one record and their scores' mean, or records of their own."""
    samples = [sample(n, t, "4", e) for n in (1, 2) for e, t in ((1, "4"), (2, f"{n + 2}"))]
    path = eval_log(tmp_path / "log.eval", log(samples))
    together = read_inspect([path])
    assert (together.read, len(together.records)) == (4, 2)
    assert [one["samples"] for one in together.records] == [["4", "3"], ["4", "4"]]
    assert [one["match"] for one in together.records] == [0.5, 1.0]
    assert "several epochs: scores are their means, samples their texts" in together.notes
    apart = read_inspect([path], epochs_apart=True).records
    assert [(one["id"], one["sample"], one["epoch"], one["match"]) for one in apart] == [
        ("1/1", "1", 1, 1),
        ("1/2", "1", 2, 0),
        ("2/1", "2", 1, 1),
        ("2/2", "2", 2, 1),
    ]


def test_contents_of_parts_and_attachments(tmp_path: Path) -> None:
    """Only text parts are text; an attachment stands for its hash; metadata are columns."""
    parts = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "attachment://ab12"},
    ]
    answer = {"role": "assistant", "content": parts}
    one = sample(
        "x",
        "",
        "4",
        input=[{"role": "user", "content": "first"}, {"role": "user", "content": "then"}],
        output={"choices": [{"message": answer}]},
        attachments={"ab12": "a long text"},
        metadata={"subject": "law", "tags": ["a"], "prompt": "mine"},
    )
    found = read_inspect([json_log(tmp_path / "log.json", log([one]))])
    (record,) = found.records
    assert (record["hypothesis"], record["prompt"]) == ("a long text", "then")
    assert record["subject"] == "law"
    assert found.notes == (
        "not carried over: attachments, metadata prompt, metadata tags, model_usage",
    )


def test_samples_that_failed_are_left_out(tmp_path: Path) -> None:
    """An error wrote nothing: it is counted and left out, and the log's status is said."""
    broken = sample(2, "", "4", error={"message": "refused"}, scores=None)
    content = log([sample(1, "4", "4"), broken], status="error")
    found = read_inspect([json_log(tmp_path / "log.json", content)])
    assert (found.read, len(found.records)) == (2, 1)
    assert found.notes[0].endswith("log.json: the log's status is error")
    assert found.notes[1] == "left out, as they ended in an error: 1 of 2 samples"


def zstandard(path: Path) -> Path:
    """A zip whose members claim method 93, Zstandard, in local header and directory."""
    eval_log(path, log([sample(1, "4", "4")]))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset : at + offset + 2] = (93).to_bytes(2, "little")
            at = data.find(signature, at + 1)
    path.write_bytes(data)
    return path


def unfinished(path: Path) -> Path:
    """An `.eval` whose run was killed: it has a journal and no header yet."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", json.dumps(log([])))
    return path


Make = Callable[[Path], Path]
INSPECT: list[tuple[Make, type[GenevalError], str]] = [
    (lambda p: p / "absent.eval", UsageError, "does not exist"),
    (lambda p: p, UsageError, "is no file"),
    (lambda p: json_log(p / "log.txt", log([])), UsageError, "logs of Inspect are .eval and .json"),
    (lambda p: zstandard(p / "z.eval"), SampleError, "inspect log convert --to json"),
    (lambda p: unfinished(p / "u.eval"), SampleError, "no header.json: the log was not finished"),
    (lambda p: json_log(p / "x.eval", {}), SampleError, "no log of Inspect: File is not a zip"),
    (lambda p: json_log(p / "x.json", {"a": 1}), SampleError, "it has no list of samples"),
    (lambda p: json_log(p / "x.json", {"samples": []}), SampleError, "it names no task"),
    (lambda p: json_log(p / "x.json", log([])), SampleError, "hold no record"),
    (lambda p: json_log(p / "x.json", log([{"id": 1}])), SampleError, "it has no 'epoch'"),
    (
        lambda p: json_log(p / "x.json", log([sample(1, "", ""), sample(1, "", "")])),
        SampleError,
        r"samples\[1\]: '1/1' stands in .*samples\[0\] already",
    ),
]


@pytest.mark.parametrize(("make", "error", "sentence"), INSPECT)
def test_wrong_logs_of_inspect(
    tmp_path: Path, make: Make, error: type[GenevalError], sentence: str
) -> None:
    """Each is one error that says what is the matter."""
    with pytest.raises(error, match=sentence):
        read_inspect([make(tmp_path)])


def test_logs_of_several_tasks(tmp_path: Path) -> None:
    """Samples of two tasks could bear the same id; each is imported alone."""
    logs = [json_log(tmp_path / f"{t}.json", log([sample(1, "", "")], t)) for t in ("one", "two")]
    with pytest.raises(SampleError, match=r"several tasks \(one in .*one.json, two in"):
        read_inspect(logs)


@pytest.mark.parametrize(
    ("name", "text", "error", "sentence"),
    [
        ("results_2025.json", "{}", UsageError, "holds the totals; give the files samples_"),
        ("samples_x.jsonl", "", SampleError, "has no records"),
        ("samples_x.jsonl", "{", SampleError, "samples_x.jsonl:1 is no JSON"),
        ("samples_x.jsonl", '{"id": 1}', SampleError, "no sample of .*: no 'doc_id'"),
        ("samples_x.jsonl", "[]", SampleError, "is no JSON object"),
    ],
)
def test_wrong_files_of_lm_eval(
    tmp_path: Path, name: str, text: str, error: type[GenevalError], sentence: str
) -> None:
    """Each is one error that says what is the matter."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(error, match=sentence):
        read_lm_eval([path])


def test_a_file_twice_is_named(tmp_path: Path) -> None:
    """The same ids in two files are of two runs."""
    path = lm_eval_file(tmp_path, [generated(0, "4", "4", exact_match=1.0)])
    with pytest.raises(SampleError, match=r"'gsm8k/0' stands in .*:1 already; import the logs of"):
        read_lm_eval([path, path])


def test_where_records_are_written(tmp_path: Path) -> None:
    """Records are JSON lines, and the name of their file says so."""
    path = lm_eval_file(tmp_path, [generated(0, "四", "4", exact_match=1.0)])
    found = read_lm_eval([path])
    write_records(found, tmp_path / "out.jsonl")
    written = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert json.loads(written) == found.records[0]
    assert "四" in written
    with pytest.raises(UsageError, match=r"records are written as \.jsonl"):
        write_records(found, tmp_path / "out.json")


def test_half_a_character_is_named(tmp_path: Path) -> None:
    """JSON can hold half a surrogate pair, a file of UTF-8 cannot."""
    path = lm_eval_file(tmp_path, [generated(0, "\ud83d", "4", exact_match=1.0)])
    with pytest.raises(SampleError, match="gsm8k/0 is no text that can be written"):
        write_records(read_lm_eval([path]), tmp_path / "out.jsonl")


WRONG: tuple[Any, ...] = (None, 5, "x", [], [5], {}, {"x": 5}, [[]], [{"x": 5}])


@pytest.mark.parametrize("part", sorted(sample(1, "x", "y")))
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_parts_of_another_type(tmp_path: Path, part: str, wrong: Any) -> None:
    """Whatever stands in a part of a log becomes a record that can be written, or one error."""
    content = log([sample(1, "x", "y") | {part: wrong}])
    try:
        found = read_inspect([json_log(tmp_path / "log.json", content)])
    except SampleError:
        return
    write_records(found, tmp_path / "out.jsonl")
    assert open_texts(tmp_path / "out.jsonl", "samples").ids


@pytest.mark.parametrize("part", sorted(chosen(0, [-1, -2], 0)))
@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("base", [generated(0, "4", "4", acc=1.0), chosen(0, [-1, -2], 0)])
def test_parts_of_another_type_in_lm_eval(
    tmp_path: Path, part: str, wrong: Any, base: Record
) -> None:
    """The same of the other harness."""
    path = lm_eval_file(tmp_path, [base | {part: wrong}])
    try:
        found = read_lm_eval([path])
    except SampleError:
        return
    write_records(found, tmp_path / "out.jsonl")
    assert open_texts(tmp_path / "out.jsonl", "samples").ids
