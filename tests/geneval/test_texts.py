"""geneval.samples.texts: records and lines of texts, and metrics of texts end to end."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import geneval
from geneval.difference import RANDOMIZATION, difference
from geneval.errors import SampleError, UsageError
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.samples.sampleset import Subset, fingerprint
from geneval.samples.texts import open_texts
from geneval.suite import load_suite
from geneval.value import Role

RECORDS: list[dict[str, Any]] = [
    {"id": f"r{i}", "hypothesis": f"the cat number {i}", "references": f"a cat number {i}"}
    | {"lang": "en", "domain": "ab"[i % 2], "source": f"猫 {i}"}
    for i in range(6)
]


def written(path: Path, records: list[Any]) -> Path:
    """The records as a file of the form that its suffix names."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in records))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(records[0]))
            table.writeheader()
            table.writerows(records)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    else:
        path.write_text("".join(f"{text}\n" for text in records))
    return path


def evaluated(ledger: Ledger, suite: str, out: Path | None = None, **given: Any) -> Result:
    """The result of texts under a suite."""
    overrides = given.pop("overrides", ())
    return execute(open_job(load_suite(suite, overrides), ledger, **given), out).result


# ------------------------------------------------------------------------------- reading


def test_what_stands_for_a_record() -> None:
    """The hypothesis, the first of several samples, the last answer, or the first reference."""
    several = open_texts([{"samples": ["a", "b"]}, {"samples": ["c", "d"]}], "samples")
    assert several.column("written") == several.column("hypothesis") == ["a", "c"]
    assert any("the first sample" in note for note in several.notes)
    talk = open_texts([{"turns": ["hello", "hi", "how", "well"]}], "samples")
    assert talk.column("hypothesis") == ["well"]
    assert any("last turn" in note for note in talk.notes)
    wanted = open_texts([{"references": [None, "second"]}], "reference", own="references")
    assert wanted.column("written") == ["second"]
    assert "hypothesis" not in wanted.fields


def test_a_conversation_without_an_answer_is_a_bad_sample() -> None:
    """A record that ends without the assistant has written nothing."""
    talk = open_texts([{"turns": [{"role": "user", "content": "hello"}]}], "samples")
    assert "no hypothesis" in talk.read(talk.ids).bad[talk.ids[0]]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_form_holds_the_same_samples(tmp_path: Path, suffix: str) -> None:
    """A single reference is a list of one, whatever the form; sets are equal as data."""
    there = open_texts(written(tmp_path / f"x{suffix}", RECORDS), "samples")
    memory = open_texts(RECORDS, "samples")
    assert there.ids == tuple(f"r{i}" for i in range(6))
    assert there.column("references")[2] == ["a cat number 2"]
    assert dict(there.fields) == {
        "hypothesis": "text",
        "references": "texts",
        "lang": "text",
        "domain": "text",
        "source": "text",
        "written": "text",
    }
    assert fingerprint(there) == fingerprint(memory)
    assert fingerprint(pickle.loads(pickle.dumps(there))) == fingerprint(there)


def test_the_fingerprint_is_of_what_was_written() -> None:
    """Another hypothesis is another set; another reference is another reference set."""
    other = [{**r, "references": "else"} for r in RECORDS]
    one, two = open_texts(RECORDS, "x"), open_texts(other, "x")
    assert fingerprint(one) == fingerprint(two)
    assert one.references is not None
    assert two.references is not None
    assert fingerprint(one.references) != fingerprint(two.references)
    changed = open_texts([{**r, "hypothesis": "else"} for r in RECORDS], "x")
    assert fingerprint(changed) != fingerprint(one)


def test_lines_pair_with_lines(tmp_path: Path, ledger: Ledger) -> None:
    """Parallel files: one text a line, blank ones too; only line feeds end a line."""
    hypotheses = ["one two three", "", "four\u2028five six seven eight", "nine\r"]
    (tmp_path / "hyp.txt").write_text("\n".join(hypotheses) + "\n", newline="")
    first = written(tmp_path / "a.txt", ["one two three", "x", "four five", "nine"])
    second = written(tmp_path / "b.txt", ["one", "y", "four", "ten"])
    found = open_texts([first, second], "reference", own="references")
    texts = open_texts(tmp_path / "hyp.txt", "samples").with_references(found)
    assert texts.ids == ("000000", "000001", "000002", "000003")
    assert list(texts.column("hypothesis")) == [*hypotheses[:3], "nine"]
    assert texts.column("references")[3] == ["nine", "ten"]
    result = evaluated(ledger, "exact_match", samples=tmp_path / "hyp.txt", reference=first)
    assert result["exact_match"].number == 0.5


def test_lines_that_do_not_pair_are_an_error_with_the_line(tmp_path: Path) -> None:
    """Files of unequal length say where pairing ends."""
    one = written(tmp_path / "one.txt", ["a", "b", "c"])
    two = written(tmp_path / "two.txt", ["a", "b"])
    with pytest.raises(SampleError, match=r"two\.txt has 2 lines and .*3: from line 3 on"):
        open_texts([one, two], "reference", own="references")
    references = open_texts(two, "reference", own="references")
    with pytest.raises(SampleError, match=r"one\.txt:3: .*two\.txt has no record '000002'"):
        open_texts(one, "samples").with_references(references)
    with pytest.raises(SampleError, match=r"one\.txt:3: .*two\.txt has no record '000002'"):
        open_texts(two, "x").with_references(open_texts(one, "reference", own="references"))


def test_unequal_lists_of_references_name_the_line(tmp_path: Path) -> None:
    """As many references each; a null stands for one that is not there."""
    records = [
        {"hypothesis": "a", "references": ["b", "c"]},
        {"hypothesis": "a", "references": "b"},
    ]
    with pytest.raises(SampleError, match=r"x\.jsonl:2: 1 references where .*x\.jsonl:1 has 2"):
        open_texts(written(tmp_path / "x.jsonl", records), "samples")
    records[1]["references"] = ["b", None]
    assert open_texts(written(tmp_path / "x.jsonl", records), "x").column("references")[1] == [
        "b",
        None,
    ]
    records[1]["references"] = [None, None]
    with pytest.raises(SampleError, match=r"x\.jsonl:2: references has no text"):
        open_texts(written(tmp_path / "x.jsonl", records), "samples")


def test_columns_are_named_or_listed(tmp_path: Path) -> None:
    """`--field` maps columns; a missing one is an error that lists those found."""
    path = written(tmp_path / "x.jsonl", [{"pred": "a", "label": "a"}, {"pred": 5, "label": "b"}])
    found = open_texts(path, "samples", {"hypothesis": "pred", "references": "label"})
    assert list(found.column("hypothesis")) == ["a", "5"]
    with pytest.raises(UsageError, match=r"no column hypothesis; it has pred, label: name .*field"):
        open_texts(path, "samples")
    with pytest.raises(UsageError, match=r"unknown column 'predicted'; .*known: label, pred"):
        open_texts(path, "samples", {"hypothesis": "predicted"})


def test_turns_are_a_role_and_a_text_each() -> None:
    """Plain texts are the user's and the assistant's in turn; what is neither is an error."""
    turns = ["Hello?", "Hi.", {"role": "user", "content": "Bye."}]
    found = open_texts([{"turns": turns}, {"turns": turns[:1]}], "x")
    assert found.column("turns")[0] == [
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Bye."},
    ]
    assert found.fields["turns"] == "turns"
    with pytest.raises(SampleError, match=r"x\[0\]: turns\[0\] is neither a text nor"):
        open_texts([{"turns": [{"who": "x"}]}], "x")


def test_what_is_nested_is_left_out_and_said(tmp_path: Path) -> None:
    """Columns that cannot group anything stay away with a note."""
    records = [{"hypothesis": "a", "extra": {"x": 1}}, {"hypothesis": "b", "extra": {}}]
    found = open_texts(written(tmp_path / "x.jsonl", records), "samples")
    assert "extra" not in found.fields
    assert "column extra holds" in found.notes[0]


def test_ids_are_unique_and_files_must_be_there(tmp_path: Path) -> None:
    """A clash and an absent file are errors with the name."""
    with pytest.raises(SampleError, match="has the id 'a' twice"):
        open_texts([{"id": "a", "hypothesis": "x"}, {"id": "a", "hypothesis": "y"}], "x")
    with pytest.raises(UsageError, match=r"none\.jsonl does not exist"):
        open_texts(tmp_path / "none.jsonl", "samples")


# --------------------------------------------------------------------------- end to end


def test_references_of_a_file_pair_by_id(tmp_path: Path, ledger: Ledger) -> None:
    """References that come with the records or by themselves give the same value and signature."""
    alone = [{k: v for k, v in r.items() if k != "references"} for r in RECORDS]
    wanted = [{"id": r["id"], "label": r["references"]} for r in reversed(RECORDS)]
    within = evaluated(ledger, "bleu", samples=written(tmp_path / "w.jsonl", RECORDS))
    beside = evaluated(
        ledger,
        "bleu",
        samples=written(tmp_path / "a.jsonl", alone),
        reference=written(tmp_path / "r.jsonl", wanted),
        overrides=["samples.fields.references=label"],
    )
    assert within["bleu"].number == beside["bleu"].number
    assert within["bleu"].signature == beside["bleu"].signature
    fields = dict(within["bleu"].signature.fields)
    assert (fields["tokenize"], fields["nrefs"]) == ("13a", 1)
    assert str(fields["sacrebleu"]).startswith("BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp")
    with pytest.raises(UsageError, match="has references of its own"):
        evaluated(ledger, "bleu", samples=tmp_path / "w.jsonl", reference=tmp_path / "w.jsonl")


def test_no_references_is_refused_by_the_plan(ledger: Ledger) -> None:
    """The sentence says how to give some."""
    with pytest.raises(UsageError, match=r"unknown field 'references'.*--reference FILE"):
        evaluated(ledger, "bleu", samples=["a", "b"])


def test_a_null_hypothesis_is_a_bad_sample(tmp_path: Path, ledger: Ledger) -> None:
    """It fails the run, or is left out and named where the suite says so; a blank one counts."""
    records = [*RECORDS[:4], {**RECORDS[4], "hypothesis": None}, {**RECORDS[5], "hypothesis": ""}]
    path = written(tmp_path / "x.jsonl", records)
    with pytest.raises(SampleError, match=r"x\.jsonl:5 has no hypothesis \(null\)"):
        evaluated(ledger, "chrf", samples=path)
    result = evaluated(ledger, "chrf", samples=path, overrides=["on_bad_sample=skip"])
    assert result["chrf"].n[Role.GENERATED] == 5
    assert any("1 bad samples were left out" in caution for caution in result.document.cautions)


@pytest.mark.parametrize("suffix", [".ndjson", ".tsv", ".json", ".JSONL"])
def test_records_of_other_kinds_are_not_taken_for_lines(tmp_path: Path, suffix: str) -> None:
    """A score of raw JSON or of ids and tabs would look like one of texts."""
    path = written(tmp_path / f"x{suffix}", ["{}"])
    with pytest.raises(UsageError, match="holds no plain lines; records are read"):
        open_texts(path, "samples")


def test_a_column_named_image_is_a_column(tmp_path: Path, ledger: Ledger) -> None:
    """Captions name their picture; the run ends with its directory."""
    records = [{**record, "image": f"{i}.jpg"} for i, record in enumerate(RECORDS)]
    result = evaluated(ledger, "chrf", tmp_path / "runs", samples=records)
    assert result["chrf"].number is not None


def test_equal_scores_are_no_certainty(ledger: Ledger) -> None:
    """All right against all wrong, two records each: neither intervals nor a verdict."""
    right, wrong = (
        [{"id": str(i), "hypothesis": said, "references": "cat"} for i in range(2)]
        for said in ("cat", "dog")
    )
    a, b = (evaluated(ledger, "squad_f1", samples=records) for records in (right, wrong))
    assert (a["squad_f1"].number, a["squad_f1"].interval) == (1.0, None)
    assert a["squad_f1"].no_interval == "no sample differs from the others"
    assert difference(a, b, "squad_f1").p is None


def test_a_problem_is_asked_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was missing may be there the next time: only numbers come from the ledger."""
    chosen = ["metrics.bleu.tokenize=flores200"]
    first = evaluated(ledger, "bleu", samples=RECORDS, overrides=chosen)
    again = evaluated(ledger, "bleu", samples=RECORDS, overrides=chosen)
    assert first["bleu"].problem and again["bleu"].problem
    assert "bleu" not in again.document.timing["recalled"]


def test_groups_limits_and_least_numbers(ledger: Ledger) -> None:
    """`by`, `n`, `--limit` and min_n work as for images."""
    text = "exact_match,edit_similarity"
    result = evaluated(ledger, text, samples=RECORDS, overrides=["metrics.exact_match.by=domain"])
    assert set(result.by_address) >= {"exact_match[domain=a]", "exact_match[domain=b]"}
    few = evaluated(ledger, text, samples=RECORDS, overrides=["metrics.edit_similarity.n=1"])
    assert few["edit_similarity"].problem == "1 generated sample, edit_similarity needs at least 2"
    job = open_job(load_suite(text), ledger, samples=RECORDS, limit=3)
    assert isinstance(job.sets[Role.GENERATED], Subset)
    assert execute(job).result["exact_match"].n[Role.GENERATED] == 3


def test_nothing_is_measured_twice(ledger: Ledger) -> None:
    """The second run recalls every value; another reference does not."""
    evaluated(ledger, "bleu,exact_match", samples=RECORDS)
    again = evaluated(ledger, "bleu,exact_match", samples=RECORDS)
    assert again.document.timing["recalled"] == ["bleu", "exact_match"]
    other = [{**r, "references": r["hypothesis"]} for r in RECORDS]
    changed = evaluated(ledger, "bleu,exact_match", samples=other)
    assert changed.document.timing["recalled"] == []
    assert changed["exact_match"].number == 1.0


def test_other_references_are_not_comparable(ledger: Ledger) -> None:
    """The references stand in the signature."""
    other = [{**r, "references": r["hypothesis"]} for r in RECORDS]
    a, b = (evaluated(ledger, "bleu", samples=s) for s in (RECORDS, other))
    problem = difference(a, b, "bleu").problem
    assert problem is not None
    assert "signatures differ: references" in problem


def test_differences_are_resampled_in_pairs(tmp_path: Path, ledger: Ledger) -> None:
    """Values of summed statistics pair by id, fresh or read back; without `pair_by` they do not."""
    worse = [{**r, "hypothesis": r["hypothesis"].replace("cat", "dog")} for r in RECORDS]
    pair = ["pair_by=id"]
    a, b = (
        evaluated(ledger, "chrf", samples=s, overrides=pair, out=tmp_path) for s in (RECORDS, worse)
    )
    found = difference(a, b, "chrf")
    assert found.paired
    assert found.number == pytest.approx(a["chrf"].number - b["chrf"].number)  # type: ignore[operator]
    assert found.p == found.tests[RANDOMIZATION]
    assert set(found.tests) == {RANDOMIZATION, "paired bootstrap"}
    assert found.interval is not None
    assert found.interval.low > 0
    assert a.directory is not None
    assert b.directory is not None
    back = difference(Result.load(a.directory), Result.load(b.directory), "chrf")
    assert (back.se, back.p) == (found.se, found.p)
    alone = ["pair_by=null"]
    plain = [evaluated(ledger, "chrf", samples=s, overrides=alone) for s in (RECORDS, worse)]
    assert not difference(*plain, "chrf").paired


def test_lists_in_python(ledger: Ledger) -> None:
    """`geneval.evaluate` takes lists of texts."""
    result = geneval.evaluate("exact_match", samples=["a", "b"], reference=["a", "c"])
    assert result["exact_match"].number == 0.5


def test_training_texts_are_not_kept(tmp_path: Path, ledger: Ledger) -> None:
    """Texts are kept in the run directory, but no reference that is a training text."""
    kept = evaluated(ledger, "exact_match", samples=RECORDS, out=tmp_path).directory
    train = [{"references": r["references"]} for r in RECORDS]
    hidden = evaluated(
        ledger, "exact_match", samples=RECORDS, train=train, out=tmp_path / "hidden"
    ).directory
    assert kept is not None
    assert hidden is not None
    columns = [pyarrow.parquet.read_table(d / "samples.parquet") for d in (kept, hidden)]
    assert {"hypothesis", "references", "source"} <= set(columns[0].column_names)
    assert "references" not in columns[1].column_names
    assert "a cat" in (kept / "media/texts.json").read_text()
    assert "a cat" not in (hidden / "media/texts.json").read_text()


def test_texts_under_a_suite_of_images_are_told_of_the_kind(tmp_path: Path, ledger: Ledger) -> None:
    """A suite that forgot `samples: {kind: texts}` says so."""
    (tmp_path / "s.yaml").write_text("version: 1\nmetrics: [bleu]\n")
    plain = [{"hypothesis": "a", "references": "a"}]
    for records in (plain, [{"hypothesis": "a", "references": ["a"]}]):
        path = written(tmp_path / "x.jsonl", records)
        with pytest.raises(SampleError, match=r"for texts write samples: \{kind: texts\}"):
            evaluated(ledger, str(tmp_path / "s.yaml"), samples=path)


def test_perfect_segments_are_no_certainty(ledger: Ledger) -> None:
    """Where no resample differs there is no interval, but the reason why."""
    same = [
        {"hypothesis": f"one two three {i} five", "references": f"one two three {i} five"}
        for i in range(9)
    ]
    for name in ("bleu", "chrf", "ter"):
        value = evaluated(ledger, name, samples=same)[name]
        assert value.number == pytest.approx(0 if name == "ter" else 100)
        assert value.no_interval == "no segment differs from the others"


# ------------------------------------------------------------------------ tokenisers


ZH = [
    "火车早上七点出发到北京去。",
    "图书馆在公共假日不开放，请明天再来。",
    "没有人知道那座老磨坊为什么烧毁了。",
]
JA = [
    "列車は朝七時に出発します。",
    "図書館は祝日には閉まっています。",
    "スープにはもう少し塩が必要です。",
]
KO = [
    "기차는 아침 일곱 시에 출발합니다.",
    "도서관은 공휴일에 문을 닫습니다.",
    "수프에 소금이 필요합니다.",
]


@pytest.mark.parametrize(
    ("texts", "lang", "expected"),
    [
        (ZH, None, "zh"),
        (ZH, "zho_Hans", "zh"),
        (JA, None, "ja-mecab"),
        (KO, "ko", "ko-mecab"),
        (KO, None, "ko-mecab"),
        (["The train leaves now, my friend.", "It was closed on Sunday."], None, "13a"),
    ],
)
def test_the_tokeniser_follows_lang_else_the_script(
    ledger: Ledger, texts: list[str], lang: str | None, expected: str
) -> None:
    """A translation that equals its reference scores 100 under the tokeniser of its language."""
    own = {"lang": lang} if lang else {}
    records = [{"hypothesis": t, "references": t, **own} for t in texts]
    value = evaluated(ledger, "bleu", samples=records)["bleu"]
    assert value.number == pytest.approx(100)
    assert dict(value.signature.fields)["tokenize"] == expected


def test_records_of_several_languages_have_a_tokeniser_each(ledger: Ledger) -> None:
    """The signature names both."""
    records = [{"hypothesis": t, "references": t, "lang": "zh"} for t in ZH]
    records += [{"hypothesis": "so it is here", "references": "so it is here", "lang": "en"}]
    value = evaluated(ledger, "bleu", samples=records)["bleu"]
    assert value.number == pytest.approx(100)
    assert dict(value.signature.fields)["tokenize"] == "13a+zh"


@pytest.mark.parametrize(
    ("metric", "option", "told"),
    [
        ("bleu", "tokenize=13a", "does not part: set tokenize: zh"),
        ("ter", "asian_support=false", "set normalized: true and asian_support: true"),
        ("bleu", "tokenize=flores200", "needs its model at"),
    ],
)
def test_a_tokeniser_that_does_not_fit_is_a_problem(
    ledger: Ledger, metric: str, option: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chinese by spaces is no low score, and a model is never fetched."""
    monkeypatch.setenv("SACREBLEU", "/nonexistent")
    records = [{"hypothesis": t, "references": t} for t in ZH]
    over = [f"metrics.{metric}.{option}"]
    value = evaluated(ledger, metric, samples=records, overrides=over)[metric]
    assert value.problem is not None
    assert told in value.problem


def test_without_mecab_characters_stand_in_and_it_is_said(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Japanese without its package is tokenised by character, and the finding says why."""
    monkeypatch.setattr("geneval.text.tokenizers._is_installed", lambda name: name != "ja-mecab")
    records = [{"hypothesis": t, "references": t, "lang": "ja"} for t in JA]
    value = evaluated(ledger, "bleu", samples=records)["bleu"]
    assert dict(value.signature.fields)["tokenize"] == "char"
    assert "because ja-mecab is not installed (pip install 'sacrebleu[ja]')" in value.finding


def test_chinese_answers_are_compared_by_character(ledger: Ledger) -> None:
    """F1 by hand: 北京 in 北京市 shares 2 of 2 and 3 characters, 4/5; the other is equal."""
    records = [
        {"hypothesis": "北京", "references": "北京市", "lang": "zh"},
        {"hypothesis": "The cat, cat", "references": "a cat sat", "lang": "en"},
    ]
    value = evaluated(ledger, "squad_f1", samples=records)["squad_f1"]
    # {cat, cat} and {cat, sat} share one: 2·1/(2+2)
    assert value.number == pytest.approx((0.8 + 0.5) / 2)
    assert dict(value.signature.fields)["tokens"] == "characters+words"


def test_edit_similarity_by_hand(ledger: Ledger) -> None:
    """kitten to sitting takes 3 of 7 (Levenshtein's distance of Wikipedia's example)."""
    records = [
        {"hypothesis": "kitten", "references": ["sitting", "x"]},
        {"hypothesis": "", "references": ["", "y"]},
    ]
    value = evaluated(ledger, "edit_similarity", samples=records)["edit_similarity"]
    assert value.number == pytest.approx((4 / 7 + 1) / 2)
