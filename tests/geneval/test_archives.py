"""geneval.samples.archives: what is packed is the folder that was packed, and nothing more."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

import geneval.samples.images
from geneval.errors import SampleError, UsageError
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.samples import files
from geneval.samples.images import encode_png
from geneval.samples.open import open_images
from geneval.samples.sampleset import SampleSet, fingerprint
from geneval.suite import load_suite

Pack = Callable[[Path, Path], Path]
Contents = Mapping[str, bytes]


def image(seed: int, side: int = 8) -> bytes:
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return encode_png(pixels)


def unpacked(folder: Path, contents: Contents) -> Path:
    """A folder of these files."""
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zipped(path: Path, contents: Contents, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip of these files."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, contents: Contents, form: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of these files, names written as `tar -cf x.tar .` writes them."""
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in contents.items():
            one = tarfile.TarInfo(f"./{name}")
            one.size = len(data)
            archive.addfile(one, io.BytesIO(data))
    return path


KINDS: dict[str, Callable[[Path, Contents], Path]] = {
    "folder": lambda place, contents: unpacked(place / "gen", contents),
    "zip": lambda place, contents: zipped(place / "gen.zip", contents),
    "stored zip": lambda place, contents: zipped(place / "gen.zip", contents, zipfile.ZIP_STORED),
    "tar": lambda place, contents: tarred(place / "gen.tar", contents),
    "gnu tar": lambda place, contents: tarred(place / "gen.tar", contents, tarfile.GNU_FORMAT),
}
PACKED = [kind for kind in KINDS if kind != "folder"]
LAYOUTS: dict[str, Contents] = {
    "flat": {f"{i:02d}.png": image(i) for i in range(12)},
    "classes": {f"{'ab'[i % 2]}/{i}.v2.png": image(i) for i in range(12)},
    "strange names": {f"żółw 画 [{i}] {'x' * 120}.png": image(i) for i in range(3)},
    "metadata": {f"{i}.png": image(i) for i in range(5)}
    | {
        "metadata.csv": b"file_name,label,n\n"
        + b"".join(b"%d.png,c%d,1\n" % (i, i) for i in range(6))
    }
    | {"0.txt": b"not a prompt: the metadata goes before"},
    "other files": {"a.png": image(0), "b.gif": b"", "c/README": b"", ".hidden.png": b"x"}
    | {"__MACOSX/._a.png": b"x", ".git/a.png": b"x", "more.zip": b"PK"},
    "bad images": {"a.png": image(0), "b.png": b"", "c.png": b"no image", "d.png": image(1)[:70]},
    "webdataset": {
        name: data
        for i in range(6)
        for name, data in {
            f"{i:03d}.jpg": image(i),  # the bytes say what it is, not the name
            f"{i:03d}.txt": f" a cat\nno. {i} \n".encode(),
            f"{i:03d}.cls": str(i % 2).encode(),
            f"{i:03d}.json": json.dumps({"w": i, "by": "me", "error": None, "at": [1]}).encode(),
        }.items()
    },
}


def facts(samples: SampleSet) -> dict[str, Any]:
    """Everything that a sample set says of itself but where it lies."""
    batch = samples.read(samples.ids)
    return {
        "ids": samples.ids,
        "fields": dict(samples.fields),
        "columns": {n: list(samples.column(n)) for n, t in samples.fields.items() if t != "image"},
        "content": list(samples.content()),
        "fingerprint": fingerprint(samples),
        "notes": samples.notes,
        "conventions": dict(samples.conventions),
        "read": [pixels.tolist() for pixels in batch.columns["image"]],
        "good": batch.ids,
        "bad": dict(batch.bad),
    }


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive_is_the_folder_that_was_packed(
    tmp_path: Path, ledger: Ledger, layout: str, kind: str
) -> None:
    """Ids, fields, columns, digests, notes, pixels and what is bad are the unpacked folder's."""
    contents = LAYOUTS[layout]
    there = open_images(KINDS["folder"](tmp_path, contents), ledger)
    here = open_images(KINDS[kind](tmp_path, contents), ledger)
    assert facts(here) == facts(there)
    assert len(here.ids) == sum(name.endswith((".png", ".jpg")) for name in visible(contents))


def visible(contents: Contents) -> list[str]:
    """The names that are not hidden."""
    return [n for n in contents if not n.startswith((".", "__MACOSX"))]


def test_content_is_the_digest_of_the_members_bytes(tmp_path: Path, ledger: Ledger) -> None:
    """SHA-256 of the bytes that were packed, also when remembered and in another process."""
    contents = LAYOUTS["flat"]
    expected = [hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)]
    for kind in PACKED:
        path = KINDS[kind](tmp_path, contents)
        os.utime(path, (1_000_000, 1_000_000))
        for samples in (open_images(path, ledger), open_images(path, ledger)):
            assert list(samples.content()) == expected
            there = pickle.loads(pickle.dumps(samples))
            assert list(there.content()) == expected
            assert facts(there) == facts(samples)
        path.unlink()


def test_a_remembered_archive_is_not_read_for_its_digests(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest knows the members' digests while the archive stays the same."""
    path = zipped(tmp_path / "gen.zip", LAYOUTS["flat"])
    os.utime(path, (1_000_000, 1_000_000))
    monkeypatch.setattr("geneval.ledger._SETTLED_SECONDS", -1e9)
    known = open_images(path, ledger).content()

    def refuse(*given: Any) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr("geneval.samples.archives.Zipped.read", refuse)
    assert list(open_images(path, ledger).content()) == list(known)


def run(samples: Path, reference: Path, ledger: Ledger) -> Result:
    """FID, KID and precision/recall by label, in pixels."""
    suite = load_suite(
        "fid,kid,precision_recall",
        ["extractor=pixels", "metrics.kid.subset_size=50", "metrics.precision_recall.by=label"],
    )
    return execute(open_job(suite, ledger, samples=samples, reference=reference)).result


def test_a_run_over_an_archive_recalls_the_folders_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result digests are equal for folder, zip, tar and parquet, and no image is decoded again."""
    contents = {f"{'ab'[i % 2]}/{i:03d}.png": image(i) for i in range(120)}
    unpacked(tmp_path / "gen", contents)
    tarred(tmp_path / "gen.tar", contents)
    zipped(tmp_path / "gen.zip", contents)
    rows = [
        {"image": {"bytes": data, "path": name}, "label": name[0]}
        for name, data in contents.items()
    ]
    table = pyarrow.Table.from_pylist(rows[::-1])
    pyarrow.parquet.write_table(table, tmp_path / "gen.parquet", row_group_size=50)
    reference = tmp_path / "reference"
    unpacked(reference, {f"{'ab'[i % 2]}/{i:03d}.png": image(i + 500) for i in range(120)})
    zipped(
        tmp_path / "reference.zip",
        {p.relative_to(reference).as_posix(): p.read_bytes() for p in reference.rglob("*.png")},
    )
    first = run(tmp_path / "gen", reference, Ledger(tmp_path / "cache"))
    alone = run(tmp_path / "gen.tar", tmp_path / "reference.zip", Ledger(tmp_path / "other"))
    assert alone.document.digest == first.document.digest

    def refuse(*given: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("geneval.samples.files.decode", refuse)
    for name in ("gen.zip", "gen.tar", "gen.parquet"):
        again = run(tmp_path / name, tmp_path / "reference.zip", Ledger(tmp_path / "cache"))
        assert again.document.digest == first.document.digest, name


def test_shards_are_one_set(tmp_path: Path, ledger: Ledger) -> None:
    """A pattern, and a folder of shards, hold what the shards hold together, and travel."""
    whole = LAYOUTS["webdataset"]
    expected = facts(open_images(unpacked(tmp_path / "whole", whole), ledger))
    (tmp_path / "shards").mkdir()
    for shard in range(3):
        part = {n: d for n, d in whole.items() if int(n[:3]) // 2 == shard}
        tarred(tmp_path / "shards" / f"out-{shard + 8:02d}.tar", part)
        (tmp_path / "shards" / f"out-{shard + 8:02d}_stats.json").write_text("{}")
    for path in (tmp_path / "shards" / "out-{08..10}.tar", tmp_path / "shards"):
        samples = open_images(path, ledger)
        assert samples.name == str(path)
        assert facts(pickle.loads(pickle.dumps(samples))) == expected
        assert samples.locate("002") == f"{tmp_path}/shards/out-09.tar/002.jpg"
    with pytest.raises(UsageError, match=r"out-11\.tar does not exist, one of .*\{08\.\.12\}"):
        open_images(tmp_path / "shards" / "out-{08..12}.tar", ledger)
    with pytest.raises(UsageError, match="ends before it begins"):
        open_images(tmp_path / "shards" / "out-{09..08}.tar", ledger)
    tarred(tmp_path / "shards" / "out-11.tar", {"000.jpg": image(0)})
    with pytest.raises(SampleError, match=r"out-08\.tar and .*out-11\.tar both hold 000\.jpg"):
        open_images(tmp_path / "shards", ledger)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_the_archives_own_folder_is_left_out(
    tmp_path: Path, ledger: Ledger, pack: Callable[[Path, Contents], Path]
) -> None:
    """`zip -r gen.zip gen` packs the folder itself; any other folder is a label."""
    extension = "zip" if pack is zipped else "tar"
    inner = {"gen/a/1.png": image(0), "gen/b/2.png": image(1), "__MACOSX/._gen": b""}
    assert open_images(pack(tmp_path / f"gen.{extension}", inner), ledger).ids == ("a/1", "b/2")
    samples = open_images(pack(tmp_path / f"cats.{extension}", inner), ledger)
    assert samples.ids == ("gen/a/1", "gen/b/2")
    assert samples.column("label") == ["gen", "gen"]


def test_nothing_is_written_beside_the_archive(tmp_path: Path, ledger: Ledger) -> None:
    """Names that lead out of the archive are refused; reading leaves no file anywhere."""
    for i, name in enumerate(("../out.png", "a/../../out.png")):
        with pytest.raises(SampleError, match="leads out of it"):
            open_images(zipped(tmp_path / f"{i}.zip", {name: image(0)}), ledger)
    absolute = zipped(tmp_path / "abs.zip", {"/etc/a.png": image(0)})
    samples = open_images(absolute, ledger)
    assert facts(samples)["good"] == ("etc/a",)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.zip", "1.zip", "abs.zip"]


def special(path: Path, **types: bytes) -> Path:
    """A tar with an image, a hard link to it, and members of other types."""
    with tarfile.open(path, "w") as archive:
        one = tarfile.TarInfo("a.png")
        one.size = len(image(0))
        archive.addfile(one, io.BytesIO(image(0)))
        for name, kind in types.items():
            other = tarfile.TarInfo(f"{name}.png")
            other.type, other.linkname = kind, "a.png"
            archive.addfile(other)
    return path


def test_members_of_a_tar_that_are_no_files(tmp_path: Path, ledger: Ledger) -> None:
    """A hard link is the member it names; a symbolic link or a device is bad, and says why."""
    path = special(
        tmp_path / "x.tar", hard=tarfile.LNKTYPE, soft=tarfile.SYMTYPE, fifo=tarfile.FIFOTYPE
    )
    found = facts(open_images(path, ledger))
    assert found["good"] == ("a", "hard")
    assert found["read"][0] == found["read"][1]
    assert found["bad"] == {
        "fifo": "is a device, which is not followed in an archive",
        "soft": "is a symbolic link, which is not followed in an archive",
    }


def test_members_of_a_zip_that_are_not_read(tmp_path: Path, ledger: Ledger) -> None:
    """Links, other compressions, passwords and lies about bytes are bad samples with a reason."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "encrypted.png", "damaged.png"):
            archive.writestr(name, image(0))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "a.png")
        archive.writestr("lzma.png", image(0), compress_type=zipfile.ZIP_LZMA)
        places = {one.filename: one.header_offset for one in archive.infolist()}
    data = bytearray(path.read_bytes())
    data[places["damaged.png"] + 60] ^= 1
    entry = data.rindex(b"encrypted.png") - 46  # APPNOTE.TXT, 4.3.12: the flags are at byte 8
    data[entry + 8] |= 1
    path.write_bytes(data)
    found = facts(open_images(path, ledger))
    assert found["good"] == ("a",)
    assert found["bad"] == {
        "damaged": "is damaged: its bytes are not those that the archive declares",
        "encrypted": "is encrypted; make the archive anew without a password",
        "link": "is a symbolic link, which is not followed in an archive",
        "lzma": "is compressed by method 14; store or deflate it",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_above_the_cap_is_bad(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One sentence states the size and the cap, the same whatever holds the file."""
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    contents = {"a.png": image(0), "b.png": image(1) + bytes(1001)}
    found = facts(open_images(KINDS[kind](tmp_path, contents), ledger))
    size = len(contents["b.png"])
    assert found["bad"] == {"b": f"holds {size:,} bytes, above the cap of 1,000"}
    assert found["good"] == ("a",)


def test_a_zip_bomb_is_not_inflated(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data that inflates beyond the declared size is damaged; no more than that is inflated."""
    path = zipped(tmp_path / "x.zip", {"a.png": bytes(50_000_000)})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"a.png") - 46
    data[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")  # 4.3.12: uncompressed size
    path.write_bytes(data)
    made = []
    whole = geneval.samples.archives.zlib.decompressobj

    class Counted:
        def __init__(self, bits: int) -> None:
            self.inner = whole(bits)

        def decompress(self, packed: bytes, most: int) -> bytes:
            made.append(len(found := self.inner.decompress(packed, most)))
            return found

    monkeypatch.setattr("geneval.samples.archives.zlib.decompressobj", Counted)
    samples = open_images(path, ledger)
    assert samples.read(samples.ids).bad["a"].startswith("is damaged")
    assert made == [1001]


@pytest.mark.parametrize("kind", PACKED)
def test_a_replaced_archive_is_noticed(tmp_path: Path, ledger: Ledger, kind: str) -> None:
    """After another file took its place, or none, reading is an error and no other numbers."""
    path = KINDS[kind](tmp_path, LAYOUTS["flat"])
    samples = open_images(path, ledger)
    samples.content()
    KINDS[kind](tmp_path, {name: image(99) for name in LAYOUTS["flat"]})
    with pytest.raises(SampleError, match=r"gen\.\w+ changed while it was read; run again"):
        samples.read(samples.ids)
    path.unlink()
    with pytest.raises(SampleError, match="changed while it was read"):
        samples.read(samples.ids)


def test_damaged_archives_are_one_sentence(tmp_path: Path, ledger: Ledger) -> None:
    """Cut off, garbled, empty, or of another kind: a `SampleError` that names the archive."""
    contents = LAYOUTS["flat"]
    whole = tarred(tmp_path / "whole.tar", contents).read_bytes()
    packed = zipped(tmp_path / "whole.zip", contents).read_bytes()
    at = whole.index(b"./05.png")
    wrong = {
        "inside.tar": whole[: at + 600],
        "between.tar": whole[:at],
        "garbled.tar": whole[:at] + b"x" * 512 + whole[at + 512 :],
        "empty.tar": b"",
        "text.tar": b"no archive " * 200,
        "cut.zip": packed[: len(packed) // 2],
        "empty.zip": b"",
        "text.zip": b"no archive",
    }
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SampleError, match=rf"{name} is (damaged|cut off)"):
            open_images(tmp_path / name, ledger)


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.tar.zst", "x.tar"])
def test_compressed_tars_are_refused(tmp_path: Path, ledger: Ledger, name: str) -> None:
    """By name or by their first bytes, with what to do instead."""
    with tarfile.open(tmp_path / name, "w:gz"):
        pass
    with pytest.raises(UsageError, match=r"compressed as a whole.*decompress it to a plain \.tar"):
        open_images(tmp_path / name, ledger)


def test_names_twice_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    """Two members of one name, and two images of one id, are errors that name them."""
    for extension in ("tar", "zip"):
        path = tmp_path / f"x.{extension}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of what is meant here
            if extension == "tar":
                with tarfile.open(path, "w") as archive:
                    for _ in range(2):
                        archive.addfile(tarfile.TarInfo("a.png"))
            else:
                with zipfile.ZipFile(path, "w") as packed:
                    packed.writestr("a.png", b"")
                    packed.writestr("./a.png", b"")
        with pytest.raises(SampleError, match=r"holds a\.png twice"):
            open_images(path, ledger)
    path = zipped(tmp_path / "y.zip", {"a.png": image(0), "a.jpg": image(1)})
    with pytest.raises(SampleError, match=r"a\.jpg and a\.png have one id"):
        open_images(path, ledger)


def test_archives_without_images_say_what_they_hold(tmp_path: Path, ledger: Ledger) -> None:
    """An empty archive, and one of archives, are the caller's slip."""
    with pytest.raises(UsageError, match=r"x\.zip holds no PNG, JPEG or WebP image$"):
        open_images(zipped(tmp_path / "x.zip", {}), ledger)
    inner = {"a.tar": b"", "b.zip": b""}
    with pytest.raises(UsageError, match=r"2 files of other kinds \(\.tar, \.zip\)"):
        open_images(tarred(tmp_path / "x.tar", inner), ledger)


def test_names_of_macs_are_read_as_utf_8(tmp_path: Path, ledger: Ledger) -> None:
    """A zip whose names are UTF-8 without saying so has the ids of the folder."""
    path = zipped(tmp_path / "x.zip", {"画 é.png": image(0)})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")
    data[entry + 9] &= ~0x08  # APPNOTE.TXT, 4.4.4: bit 11 says that names are UTF-8
    path.write_bytes(data)
    assert open_images(path, ledger).ids == ("画 é",)


def test_large_sets_are_read_from_many_threads(tmp_path: Path, ledger: Ledger) -> None:
    """Every member is its own, whatever the order in which it is asked for."""
    contents = {
        f"{i:04d}.png": encode_png(np.full((1, 1, 3), i % 256, np.uint8)) for i in range(600)
    }
    order = tuple(f"{(i * 7) % 600:04d}" for i in range(600))
    for kind in PACKED:
        batch = open_images(KINDS[kind](tmp_path, contents), ledger).read(order)
        assert [int(one[0, 0, 0]) for one in batch.columns["image"]] == [
            int(n) % 256 for n in order
        ]


WDS = {"a.jpg": image(0), "b.jpg": image(1), "a.txt": b"one", "b.txt": b"two"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({**WDS, "c.png": image(2)}, r"c\.png has no c\.txt beside it \(1 such images, 2 have one"),
        (
            {**WDS, "a.left.png": image(2)},
            r"a\.left\.png and a\.jpg have one key, 'a'|a\.jpg and a\.left",
        ),
        ({**WDS, "a.png": image(2)}, "have one key, 'a'"),
        ({**WDS, "a.txt": b"\xff"}, r"a\.txt is no UTF-8 text"),
        ({**WDS, "a.json": b"{", "b.json": b"{}"}, r"a\.json is no JSON:"),
        ({**WDS, "a.json": b"[]", "b.json": b"{}"}, r"a\.json is no JSON object"),
    ],
)
def test_wrong_companions_are_named(
    tmp_path: Path, ledger: Ledger, kind: str, contents: Contents, said: str
) -> None:
    """What lies beside images is there for all of them, once, and whole."""
    with pytest.raises(SampleError, match=said):
        open_images(KINDS[kind](tmp_path, contents), ledger)


def test_companions_become_fields(tmp_path: Path, ledger: Ledger) -> None:
    """Prompt, label and columns; files of their own win over JSON, labels over folders."""
    contents = {
        f"s/{key}.{kind}": data
        for key in "xy"
        for kind, data in {
            "0.png": image(ord(key)),
            "txt": f"{key} of its own\n".encode(),
            "json": json.dumps({"prompt": "json", "n": 1 if key == "x" else "2", "image": "i"})
            .replace("}", ', "odd": NaN}')
            .encode(),
        }.items()
    }
    samples = open_images(zipped(tmp_path / "w.zip", contents), ledger)
    assert samples.ids == ("s/x", "s/y")
    assert facts(samples)["columns"] == {
        "label": ["s", "s"],
        "prompt": ["x of its own", "y of its own"],
        "n": ["1", "2"],
    }
    assert samples.notes == (
        "columns of the .json files were left out (image, odd: no text or number in all)",
    )
    labelled = {**contents, "s/x.cls": b"3\n", "s/y.cls": b"4"}
    assert open_images(zipped(tmp_path / "w.zip", labelled), ledger).column("label") == ["3", "4"]
    named = open_images(zipped(tmp_path / "w.zip", contents), ledger, fields={"prompt": "n"})
    assert named.column("prompt") == ["1", "2"]


def test_a_suite_takes_archives(tmp_path: Path, ledger: Ledger) -> None:
    """Paths of a suite may be archives, and image-text samples webdataset shards."""
    tarred(tmp_path / "gen.tar", LAYOUTS["webdataset"])
    zipped(tmp_path / "ref.zip", LAYOUTS["flat"])
    text = (
        "version: 1\nextractor: pixels\nmetrics: [inception_score]\n"
        "samples: {kind: image-text, path: gen.tar}\nreference: {path: ref.zip}\n"
        "train: {kind: images, path: ref.zip}\n"
    ).replace("inception_score", "fid")
    (tmp_path / "suite.yaml").write_text(text)
    job = open_job(load_suite(str(tmp_path / "suite.yaml")), ledger)
    assert {str(role): len(samples.ids) for role, samples in job.sets.items()} == {
        "generated": 6,
        "reference": 12,
        "train": 12,
    }
    (tmp_path / "suite.yaml").write_text(text.replace("gen.tar", "ref.zip"))
    with pytest.raises(UsageError, match=r"ref\.zip: unknown field 'prompt'"):
        open_job(load_suite(str(tmp_path / "suite.yaml")), ledger)


def table(path: Path, rows: list[dict[str, Any]], group: int = 5, **features: Any) -> Path:
    """A parquet file of these rows, with Hugging Face's description of its features."""
    made = pyarrow.Table.from_pylist(rows)
    told = json.dumps({"info": {"features": features}})
    pyarrow.parquet.write_table(
        made.replace_schema_metadata({"huggingface": told}), path, row_group_size=group
    )
    return path


def test_parquet_of_images_without_prompts(tmp_path: Path, ledger: Ledger) -> None:
    """Hugging Face's layout: ids from paths, class names, no lists, the digest of the folder."""
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(12)]
    rows = [
        {"img": {"bytes": image(i), "path": name}, "label": i % 2, "boxes": [i], "score": 0.5}
        for i, name in enumerate(names)
    ]
    classes = {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}
    path = table(tmp_path / "images.parquet", rows, **classes)
    samples = open_images(path, ledger, fields={"image": "img"})
    contents = {name: image(i) for i, name in enumerate(names)}
    assert fingerprint(samples) == fingerprint(
        open_images(unpacked(tmp_path / "f", contents), ledger)
    )
    assert dict(samples.fields) == {"image": "image", "label": "label", "score": "number"}
    rows[3]["label"] = 2
    with pytest.raises(SampleError, match="label has 2, which is none of its 2 classes"):
        open_images(table(path, rows, **classes), ledger, fields={"image": "img"})


def test_parquet_paths_that_are_shared_are_no_ids(tmp_path: Path, ledger: Ledger) -> None:
    """Where two records have one path, or one has none, ids are the rows' numbers."""
    for paths in (["a.png", "a.png"], ["a.png", None]):
        rows = [{"image": {"bytes": image(i), "path": p}} for i, p in enumerate(paths)]
        path = table(tmp_path / "images.parquet", rows)
        assert open_images(path, ledger).ids == ("000000", "000001")


def test_row_groups_have_a_cap(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group is read whole, so a large one is refused with what to do."""
    rows = [{"image": {"bytes": image(i, 64), "path": None}} for i in range(8)]
    monkeypatch.setattr("geneval.samples.parquet.MAX_GROUP", 50_000)
    assert len(open_images(table(tmp_path / "a.parquet", rows, 2), ledger).ids) == 8
    with pytest.raises(SampleError, match=r"row group with .* above the cap.*row_group_size"):
        open_images(table(tmp_path / "a.parquet", rows, 8), ledger)


def test_jpegs_of_a_tar_are_the_folders(tmp_path: Path, ledger: Ledger) -> None:
    """JPEG and WebP too, at their own sizes."""
    contents = {}
    for i, (form, extension) in enumerate([("JPEG", "jpg"), ("WEBP", "webp"), ("PNG", "PNG")]):
        buffer = io.BytesIO()
        Image.new("RGB", (5 + i, 7), (9 * i, 50, 1)).save(buffer, form)
        contents[f"{i}.{extension}"] = buffer.getvalue()
    there = open_images(unpacked(tmp_path / "gen", contents), ledger)
    assert facts(open_images(tarred(tmp_path / "gen.tar", contents), ledger)) == facts(there)
