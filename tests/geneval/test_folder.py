"""geneval.samples.folder: ids, labels, metadata and what is passed over."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geneval.errors import SampleError, UsageError
from geneval.ledger import Ledger
from geneval.samples.folder import FolderSet

Colour = tuple[int, int, int]


def _paint(path: Path, colour: Colour = (0, 0, 0), size: tuple[int, int] = (2, 2)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def _folder(root: Path, *names: str) -> Path:
    """A folder of PNGs; the i-th image is of colour (i, 0, 0)."""
    for i, name in enumerate(names):
        _paint(root / name, (i, 0, 0))
    return root


def _columns(samples: FolderSet) -> Mapping[str, list[Any]]:
    return {n: list(samples.column(n)) for n in samples.fields if n != "image"}


def test_ids_are_posix_paths_without_extension_in_order(tmp_path: Path, ledger: Ledger) -> None:
    """Ids are sorted relative paths; only the last extension goes, whatever its case."""
    for name in ("b/x.PNG", "a.v2.png", "c.jpeg", "b/a/y.webp", "d.JPG"):
        _paint(tmp_path / name)
    assert FolderSet(tmp_path, ledger).ids == ("a.v2", "b/a/y", "b/x", "c", "d")


@pytest.mark.parametrize("pair", [("a.png", "a.jpg"), ("s/a.png", "s/a.PNG")])
def test_two_files_with_one_id_are_an_error(
    tmp_path: Path, ledger: Ledger, pair: tuple[str, str]
) -> None:
    """A clash of ids names both files."""
    for name in pair:
        _paint(tmp_path / name)
    with pytest.raises(SampleError) as caught:
        FolderSet(tmp_path, ledger)
    assert all(name in str(caught.value) for name in pair)


def test_strange_names_are_read_like_others(tmp_path: Path, ledger: Ledger) -> None:
    """Spaces, brackets, Unicode, quotes and percent signs are part of the id and harm nothing."""
    names = ["a b.png", "[x]*.png", "żółw 画像.png", "q'\"%20.png", "#{}.png"]
    samples = FolderSet(_folder(tmp_path, *names), ledger)
    batch = samples.read(samples.ids)
    assert set(samples.ids) == {name.removesuffix(".png") for name in names}
    for sample, image in zip(batch.ids, batch.columns["image"], strict=True):
        assert image[0, 0, 0] == names.index(f"{sample}.png")
    assert not batch.bad


def test_first_folder_is_the_label(tmp_path: Path, ledger: Ledger) -> None:
    """When all images lie in sub-folders, the first folder of each path is its label."""
    samples = FolderSet(_folder(tmp_path, "dog/1.png", "cat/deep/2.png", "cat/1.png"), ledger)
    assert samples.ids == ("cat/1", "cat/deep/2", "dog/1")
    assert samples.fields == {"image": "image", "label": "label"}
    assert _columns(samples) == {"label": ["cat", "cat", "dog"]}
    assert samples.read(("dog/1",)).columns["label"] == ["dog"]


@pytest.mark.parametrize("names", [("1.png", "2.png"), ("cat/1.png", "2.png")])
def test_images_at_the_top_mean_no_labels(
    tmp_path: Path, ledger: Ledger, names: tuple[str, str]
) -> None:
    """A flat folder and one of mixed depth have no labels."""
    samples = FolderSet(_folder(tmp_path, *names), ledger)
    assert samples.fields == {"image": "image"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name,label,text\nb.png,2,two\na.png,1,one\n"),
        ("metadata.csv", "\ufefffile_name,label,text\r\nb.png,2,two\r\na.png,1,one\r\n"),
        (
            "metadata.jsonl",
            '{"file_name": "b.png", "label": 2, "text": "two"}\n\n'
            '{"file_name": "a.png", "label": 1, "text": "one"}\n',
        ),
    ],
)
def test_metadata_columns_follow_the_ids(
    tmp_path: Path, ledger: Ledger, name: str, text: str
) -> None:
    """metadata.csv (also with a byte order mark) and metadata.jsonl give fields by file name."""
    (_folder(tmp_path, "a.png", "b.png") / name).write_text(text, encoding="utf-8", newline="")
    samples = FolderSet(tmp_path, ledger)
    assert samples.fields == {"image": "image", "label": "label", "text": "text"}
    assert _columns(samples) == {"label": ["1", "2"], "text": ["one", "two"]}
    assert samples.read(("b",)).columns["text"] == ["two"]
    assert samples.notes == ()


def test_metadata_goes_before_folder_labels(tmp_path: Path, ledger: Ledger) -> None:
    """With a metadata file, labels come from it and sub-folders are only part of the path."""
    _folder(tmp_path, "x/a.png", "y/b.png")
    (tmp_path / "metadata.csv").write_text("file_name,label\nx/a.png,ant\ny/b.png,bee\n")
    assert _columns(FolderSet(tmp_path, ledger)) == {"label": ["ant", "bee"]}


CSV, JSONL = "metadata.csv", "metadata.jsonl"
FIRST = '{"file_name": "a.png", "n": 1}\n'


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param(CSV, "file_name,n\na.png,1\n", r"no row for b\.png \(1", id="missing-row"),
        pytest.param(CSV, "filename,n\na.png,1\nb.png,2\n", "no column file_name", id="column"),
        pytest.param(CSV, "", "file_name", id="empty-file"),
        pytest.param(CSV, "file_name,n\na.png,1\nb.png\n", r"b\.png has no 'n'", id="short-row"),
        pytest.param(JSONL, FIRST + "{oops\n", r"metadata\.jsonl:2", id="bad-json"),
        pytest.param(JSONL, FIRST + "\n[1]\n", r"metadata\.jsonl:3", id="no-object"),
        pytest.param(JSONL, FIRST + '{"file_name": "b.png"}\n', "b.png", id="missing-cell"),
        pytest.param(JSONL, FIRST + '{"n": 2}\n', "file_name", id="record-without-file-name"),
        pytest.param(CSV, "file_name,n\na.png,1\nb.png,2\nb.png,3\n", r"b\.png", id="twice"),
        pytest.param(CSV, "file_name,n\na.png,1,5\nb.png,2\n", r"a\.png|:2", id="surplus-cell"),
        pytest.param(CSV, "file_name,n\na.png,1,5\nb.png,2,6\n", r"a\.png|:2", id="surplus-cells"),
    ],
)
def test_wrong_metadata_says_file_and_place(
    tmp_path: Path, ledger: Ledger, name: str, text: str, said: str
) -> None:
    """Metadata that does not fit is a `SampleError` naming the file and the row or column."""
    (_folder(tmp_path, "a.png", "b.png") / name).write_text(text)
    with pytest.raises(SampleError, match=said) as caught:
        FolderSet(tmp_path, ledger)
    assert name in str(caught.value)


def test_metadata_in_another_encoding_is_an_error_with_its_name(
    tmp_path: Path, ledger: Ledger
) -> None:
    """A metadata file that is not UTF-8 is a `SampleError`, not a crash."""
    (_folder(tmp_path, "a.png") / CSV).write_bytes("file_name,text\na.png,é\n".encode("latin-1"))
    with pytest.raises(SampleError, match=r"metadata\.csv"):
        FolderSet(tmp_path, ledger)


@pytest.mark.parametrize("text", ["x\u2028y", "x\u0085y", "x\x0cy"])
def test_only_newlines_end_a_json_line(tmp_path: Path, ledger: Ledger, text: str) -> None:
    """Captions may hold the characters that Unicode calls line ends; only newlines end a record."""
    escaped = text.replace("\x0c", "\\f")
    line = f'{{"file_name": "a.png", "text": "{escaped}"}}\n'
    (_folder(tmp_path, "a.png") / JSONL).write_text(line, encoding="utf-8")
    assert _columns(FolderSet(tmp_path, ledger)) == {"text": [text]}


def test_quoted_csv_cells_may_hold_commas_and_lines(tmp_path: Path, ledger: Ledger) -> None:
    """A caption with a comma, a quote and a line break arrives as written."""
    _folder(tmp_path, "a.png")
    (tmp_path / CSV).write_text('file_name,text\na.png,"one, ""two""\nthree"\n')
    assert _columns(FolderSet(tmp_path, ledger)) == {"text": ['one, "two"\nthree']}


@pytest.mark.parametrize("hidden", [".b.png", "._a.png", ".thumbs/b.png", "x/.git/b.png"])
def test_hidden_files_are_passed_over(tmp_path: Path, ledger: Ledger, hidden: str) -> None:
    """Hidden images and hidden folders are neither samples nor noted."""
    samples = FolderSet(_folder(tmp_path, "a.png", hidden), ledger)
    assert samples.ids == ("a",)
    assert samples.notes == ()


def test_other_files_are_counted_in_a_note(tmp_path: Path, ledger: Ledger) -> None:
    """Files of other kinds are not read, and one sentence says how many and of what kind."""
    _folder(tmp_path, "a.png")
    for name in ("b.gif", "c.txt", "README", ".hidden", CSV):
        (tmp_path / name).write_text("file_name,n\na.png,1\n")
    notes = FolderSet(tmp_path, ledger).notes
    assert len(notes) == 1
    assert notes[0].startswith("3 files")
    assert all(kind in notes[0] for kind in (".gif", ".txt", "no extension"))


def test_a_folder_without_images_is_a_usage_error(tmp_path: Path, ledger: Ledger) -> None:
    """An empty folder is the caller's slip."""
    with pytest.raises(UsageError, match="no PNG, JPEG or WebP"):
        FolderSet(tmp_path, ledger)


def test_a_folder_of_other_files_says_how_many(tmp_path: Path, ledger: Ledger) -> None:
    """The error on a folder of two text files counts them."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="2 files of other kinds"):
        FolderSet(tmp_path, ledger)


def test_images_of_several_sizes_keep_their_own(tmp_path: Path, ledger: Ledger) -> None:
    """Reading resizes nothing."""
    sizes = {"a": (2, 3), "b": (5, 4), "c": (1, 1)}
    for name, size in sizes.items():
        _paint(tmp_path / f"{name}.png", size=size)
    images = FolderSet(tmp_path, ledger).read(("a", "b", "c")).columns["image"]
    assert [image.shape for image in images] == [(h, w, 3) for w, h in sizes.values()]
    assert {image.dtype for image in images} == {np.dtype(np.uint8)}


def test_read_returns_what_was_asked_in_that_order(tmp_path: Path, ledger: Ledger) -> None:
    """The batch follows the ids given, not the folder."""
    samples = FolderSet(_folder(tmp_path, "x/0.png", "x/1.png", "y/2.png"), ledger)
    batch = samples.read(("y/2", "x/0"))
    assert batch.ids == ("y/2", "x/0")
    assert [int(image[0, 0, 0]) for image in batch.columns["image"]] == [2, 0]
    assert batch.columns["label"] == ["y", "x"]


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_broken_file_is_named_and_the_others_stay_aligned(
    tmp_path: Path, ledger: Ledger, content: bytes
) -> None:
    """A file that cannot be decoded is in `bad` by id, and no column keeps a cell of it."""
    _folder(tmp_path, "x/0.png", "y/1.png", "z/2.png")
    (tmp_path / "y/1.png").write_bytes(content)
    samples = FolderSet(tmp_path, ledger)
    batch = samples.read(samples.ids)
    assert batch.ids == ("x/0", "z/2")
    assert batch.columns["label"] == ["x", "z"]
    assert [int(image[0, 0, 0]) for image in batch.columns["image"]] == [0, 2]
    assert list(batch.bad) == ["y/1"]
    assert batch.bad["y/1"].startswith("cannot be decoded")
    assert samples.locate("y/1") == str(tmp_path / "y/1.png")


def test_a_file_that_cannot_be_opened_is_bad_too(tmp_path: Path, ledger: Ledger) -> None:
    """A dangling link (or a file gone since the scan) is named, not a crash."""
    _folder(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    samples = FolderSet(tmp_path, ledger)
    assert len(samples.content()) == 2
    batch = samples.read(("a", "gone"))
    assert batch.ids == ("a",)
    assert "No such file" in batch.bad["gone"]


def test_content_is_the_digest_of_each_file(tmp_path: Path, ledger: Ledger) -> None:
    """Content digests are SHA-256 of the files in id order, also when remembered."""
    _folder(tmp_path, "b.png", "a.png")
    expected = [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.png", "b.png")
    ]
    assert FolderSet(tmp_path, ledger).content() == expected
    assert FolderSet(tmp_path, ledger).content() == expected


def test_content_notices_a_changed_file(tmp_path: Path, ledger: Ledger) -> None:
    """A file of another size or time is digested anew, the others stay."""
    _folder(tmp_path, "a.png", "b.png")
    for name in ("a.png", "b.png"):
        os.utime(tmp_path / name, (1_000_000, 1_000_000))
    before = FolderSet(tmp_path, ledger).content()
    _paint(tmp_path / "a.png", (9, 9, 9))
    after = FolderSet(tmp_path, ledger).content()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_alpha_rule_is_applied_and_declared(tmp_path: Path, ledger: Ledger) -> None:
    """A rule other than the default changes pixels and stands in the conventions."""
    Image.new("RGBA", (1, 1), (10, 20, 30, 0)).save(tmp_path / "a.png")
    dropped, white = FolderSet(tmp_path, ledger), FolderSet(tmp_path, ledger, alpha="white")
    assert dropped.read(("a",)).columns["image"][0].tolist() == [[[10, 20, 30]]]
    assert white.read(("a",)).columns["image"][0].tolist() == [[[255, 255, 255]]]
    assert dropped.conventions == {}
    assert white.conventions == {"alpha": "white"}


def test_a_folder_set_travels_to_another_process(tmp_path: Path, ledger: Ledger) -> None:
    """After pickling it reads the same samples."""
    samples = FolderSet(_folder(tmp_path, "x/0.png", "y/1.png"), ledger)
    there = pickle.loads(pickle.dumps(samples))
    assert there.ids == samples.ids
    assert there.content() == samples.content()
    assert there.read(("y/1",)).columns["label"] == ["y"]


def test_linked_folders_are_read_once(tmp_path: Path, ledger: Ledger) -> None:
    """A class folder behind a link is read; one that is there already is not read again."""
    _folder(tmp_path / "elsewhere", "x.png")
    root = _folder(tmp_path / "root", "run1/a.png", "run1/b.png")
    (root / "latest").symlink_to(root / "run1")
    (root / "more").symlink_to(tmp_path / "elsewhere")
    (root / "run1" / "up").symlink_to(root)
    assert FolderSet(root, ledger).ids == ("more/x", "run1/a", "run1/b")
