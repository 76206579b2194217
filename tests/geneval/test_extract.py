"""geneval.engine.extract: rows that depend on the samples alone, and are made once."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geneval.engine.extract import PassWork, extract_shard, load_layer, load_pngs
from geneval.engine.local import run_pass
from geneval.errors import CheckpointError, SampleError
from geneval.examples.digits.data import Split
from geneval.extractors.digits import digits as digits_extractor
from geneval.extractors.extractor import FeatureExtractor, Layer
from geneval.extractors.pixels import Pixels
from geneval.ledger import Ledger
from geneval.samples.arrays import ArraySet, from_memory, read_array_file
from geneval.samples.folder import FolderSet
from geneval.samples.images import decode
from geneval.samples.sampleset import Batch, SampleSet, Subset


class Counting:
    """Mean colour as features, width as logits; remembers the batches it was given."""

    labels = None
    layers: Mapping[str, Layer] = {"mean": Layer("features", 3), "size": Layer("logits", 2)}

    def __init__(self, name: str = "counting") -> None:
        self.identity = {"ext": name}
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """Both layers."""
        images: NDArray[np.uint8] = np.asarray(batch.columns["image"])
        assert images.dtype == np.uint8
        self.batches.append(images.shape)
        size = np.tile(np.array(images.shape[1:3], np.float32), (len(images), 1))
        return {"mean": images.mean(axis=(1, 2), dtype=np.float32), "size": size}

    notes: tuple[str, ...] = ()

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Never."""
        return ""


def _work(
    samples: SampleSet, ledger: Ledger, *extractors: FeatureExtractor, batch_size: int = 256
) -> PassWork:
    """All layers of the extractors, named after their identities."""
    named = {str(one.identity["ext"]): one for one in extractors}
    layers = {name: tuple(one.layers) for name, one in named.items()}
    return PassWork(samples, named, layers, ledger, batch_size=batch_size)


def _run(work: PassWork) -> list[bool]:
    """Run the pass; whether each shard was there already."""
    return [report.cached for report in run_pass(work)]


def _bad(work: PassWork) -> dict[str, str]:
    return {s: why for report in run_pass(work) for s, why in report.bad.items()}


def _write(path: Path, grey: int, size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)


def _folder(root: Path, n: int, broken: Sequence[int] = ()) -> Path:
    """N images; the i-th is of grey i mod 256, or empty where broken."""
    for i in range(n):
        _write(root / f"{i:05d}.png", i % 256)
    for i in broken:
        (root / f"{i:05d}.png").write_bytes(b"")
    return root


def _greys(n: int) -> NDArray[np.uint8]:
    """N images of one pixel; the i-th is of grey i mod 256."""
    return (np.arange(n) % 256).astype(np.uint8).reshape(n, 1, 1)


def _shard_files(ledger: Ledger) -> list[Path]:
    return sorted((ledger.root / "shards").rglob("*.safetensors"))


def test_rows_do_not_depend_on_the_batch_size(digits: tuple[Split, Split], tmp_path: Path) -> None:
    """Batches of 1, 7 and all give the same features; DESIGN.md, Speed, allows 1e-5."""
    samples = from_memory(digits[1].images[:60])
    rows = {}
    for batch_size in (1, 7, 256):
        work = _work(
            samples, Ledger(tmp_path / str(batch_size)), digits_extractor(), batch_size=batch_size
        )
        _run(work)
        rows[batch_size] = np.hstack(
            [load_layer(work, "digits", name)[0] for name in ("features", "logits")]
        )
    np.testing.assert_allclose(rows[1], rows[256], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rows[7], rows[256], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n", "batch_size", "calls"), [(10, 4, 3), (10, 10, 1), (10, 99, 1)])
def test_an_extractor_sees_each_sample_once(
    ledger: Ledger, n: int, batch_size: int, calls: int
) -> None:
    """One call a batch of at most `batch_size`, whatever the number of layers."""
    counting = Counting()
    _run(_work(from_memory(_greys(n)), ledger, counting, batch_size=batch_size))
    assert len(counting.batches) == calls
    assert sum(shape[0] for shape in counting.batches) == n
    assert max(shape[0] for shape in counting.batches) <= batch_size


def test_images_of_several_sizes_share_a_shard(tmp_path: Path, ledger: Ledger) -> None:
    """Images of mixed sizes get the rows they would get alone, in the order of their ids."""
    sizes = [(2, 3), (5, 4), (2, 3), (1, 7), (5, 4), (3, 2)]
    for i, size in enumerate(sizes):
        _write(tmp_path / f"{i}.png", i * 10, size)
    work = _work(FolderSet(tmp_path, ledger), ledger, Counting(), batch_size=4)
    _run(work)
    means, ids = load_layer(work, "counting", "mean")
    assert ids == tuple("012345")
    assert means.tolist() == [[i * 10.0] * 3 for i in range(6)]
    assert load_layer(work, "counting", "size")[0].tolist() == [[h, w] for w, h in sizes]


def test_bad_samples_are_reported_and_left_out(tmp_path: Path, ledger: Ledger) -> None:
    """Ids, rows and kept images skip a bad sample together, also when it is read from cache."""
    folder = _folder(tmp_path, 9, broken=(0, 4, 8))
    work = replace(_work(FolderSet(folder, ledger), ledger, Counting(), batch_size=2), keep=True)
    for _ in range(2):
        bad = _bad(work)
        assert list(bad) == ["00000", "00004", "00008"]
        assert all(reason.startswith("cannot be decoded") for reason in bad.values())
    rows, ids = load_layer(work, "counting", "mean")
    assert ids == tuple(f"{i:05d}" for i in (1, 2, 3, 5, 6, 7))
    assert rows[:, 0].tolist() == [1, 2, 3, 5, 6, 7]
    assert tuple(sample for sample, _ in load_pngs(work)) == ids


def test_a_set_of_bad_samples_alone_has_no_rows(tmp_path: Path, ledger: Ledger) -> None:
    """Where nothing can be read there are no ids and no rows, and every sample is named."""
    work = _work(FolderSet(_folder(tmp_path, 3, broken=range(3)), ledger), ledger, Counting())
    assert len(_bad(work)) == 3
    rows, ids = load_layer(work, "counting", "mean")
    assert (len(rows), ids) == (0, ())


def test_a_shard_of_bad_samples_joins_good_ones(tmp_path: Path, ledger: Ledger) -> None:
    """1,024 unreadable files in a row (a whole shard) leave the rows of the others usable."""
    work = _work(FolderSet(_folder(tmp_path, 1030, range(1024)), ledger), ledger, Counting())
    assert len(_bad(work)) == 1024
    rows, ids = load_layer(work, "counting", "mean")
    assert ids == tuple(f"{i:05d}" for i in range(1024, 1030))
    assert rows[:, 0].tolist() == [i % 256 for i in range(1024, 1030)]


def test_more_samples_than_a_shard_stay_in_order(ledger: Ledger) -> None:
    """2,500 samples make shards of 1,024 at most, and come back whole and in order."""
    work = _work(from_memory(_greys(2500)), ledger, Counting())
    reports = list(run_pass(work))
    assert [report.samples for report in reports] == [1024, 1024, 452]
    rows, ids = load_layer(work, "counting", "mean")
    assert ids == work.samples.ids
    assert np.array_equal(rows[:, 0], np.arange(2500) % 256)


def test_a_second_extraction_runs_nothing(tmp_path: Path, ledger: Ledger) -> None:
    """What the ledger has is not made again, by a new pass in another batch size either."""
    folder = _folder(tmp_path, 5)
    _run(_work(FolderSet(folder, ledger), ledger, Counting()))
    idle = Counting()
    again = _work(FolderSet(folder, ledger), ledger, idle, batch_size=2)
    assert _run(again) == [True]
    assert load_layer(again, "counting", "mean")[0][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert idle.batches == []


def test_an_interrupted_pass_goes_on_where_it_stopped(ledger: Ledger) -> None:
    """Shards that were finished before an interruption are not made again."""
    samples = from_memory(_greys(2000))
    extract_shard(_work(samples, ledger, Counting()), 1)
    counting = Counting()
    assert _run(_work(samples, ledger, counting)) == [False, True]
    assert sum(shape[0] for shape in counting.batches) == 1024


def test_a_new_extractor_leaves_the_others_alone(ledger: Ledger) -> None:
    """Adding an extractor to a suite runs that one only."""
    samples, old, new = from_memory(_greys(5)), Counting("old"), Counting("new")
    _run(_work(samples, ledger, Counting("old")))
    assert _run(_work(samples, ledger, old, new)) == [False]
    assert (len(old.batches), len(new.batches)) == (0, 1)


def test_a_changed_sample_is_noticed(tmp_path: Path, ledger: Ledger) -> None:
    """Another image under the same id is extracted anew."""
    folder = _folder(tmp_path, 3)
    _run(_work(FolderSet(folder, ledger), ledger, Counting()))
    _write(folder / "00001.png", 77)
    work = _work(FolderSet(folder, ledger), ledger, Counting())
    assert _run(work) == [False]
    assert load_layer(work, "counting", "mean")[0][:, 0].tolist() == [0, 77, 2]


def test_samples_are_known_by_content_and_not_by_place(tmp_path: Path, ledger: Ledger) -> None:
    """The same files in another folder under other names are not extracted again."""
    _run(_work(FolderSet(_folder(tmp_path / "a", 3), ledger), ledger, Counting()))
    for i in range(3):
        _write(tmp_path / "b" / f"moved-{i}.png", i)
    work = _work(FolderSet(tmp_path / "b", ledger), ledger, Counting())
    assert _run(work) == [True]
    assert load_layer(work, "counting", "mean")[1] == ("moved-0", "moved-1", "moved-2")


def test_a_cached_bad_sample_is_named_as_it_is_called_now(tmp_path: Path, ledger: Ledger) -> None:
    """After a file is renamed, the id is the new one and the reason names no file."""
    folder = _folder(tmp_path, 2, broken=(1,))
    _run(_work(FolderSet(folder, ledger), ledger, Counting()))
    (folder / "00001.png").rename(folder / "00009.png")
    bad = _bad(_work(FolderSet(folder, ledger), ledger, Counting()))
    assert list(bad) == ["00009"]
    assert bad["00009"].startswith("cannot be decoded")
    assert "00001" not in bad["00009"]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-5], lambda b: b[:-5] + b"\xff" * 5, lambda b: b""]
)
def test_a_damaged_shard_is_made_again(ledger: Ledger, damage: object) -> None:
    """Rows and kept images are right after every shard of the ledger was damaged."""
    assert callable(damage)
    work = replace(_work(from_memory(_greys(1030)), ledger, Counting()), keep=True)
    _run(work)
    before = load_layer(work, "counting", "mean")[0], dict(load_pngs(work))
    for path in _shard_files(ledger):
        path.write_bytes(damage(path.read_bytes()))
    for layer in ("mean", "size"):
        assert len(load_layer(work, "counting", layer)[0]) == 1030
    assert np.array_equal(load_layer(work, "counting", "mean")[0], before[0])
    assert dict(load_pngs(work)) == before[1]


def test_a_damaged_shard_is_noticed_by_the_next_pass(ledger: Ledger) -> None:
    """A pass over damaged shards does not count them as cached."""
    work = _work(from_memory(_greys(5)), ledger, Counting())
    _run(work)
    for path in _shard_files(ledger):
        os.truncate(path, 20)
    counting = Counting()
    assert _run(_work(work.samples, ledger, counting)) == [False]
    assert len(counting.batches) == 1


def test_rows_of_other_readings_are_not_mixed_up(tmp_path: Path, ledger: Ledger) -> None:
    """The alpha rule, the extractor's options and the kind of device each have their own rows."""
    Image.new("RGBA", (2, 2), (51, 51, 51, 0)).save(tmp_path / "a.png")
    for alpha, expected in (("drop", 0.2), ("white", 1.0), ("black", 0.0)):
        samples = FolderSet(tmp_path, ledger, alpha=alpha)  # type: ignore[arg-type]
        for side in (1, 2):
            work = _work(samples, ledger, Pixels(side))
            assert _run(work) == [False]
            rows = load_layer(work, "pixels", "features")[0]
            np.testing.assert_allclose(rows, np.full((1, 3 * side**2), expected), rtol=1e-6)
    assert _run(replace(work, backend="cuda")) == [False]


@pytest.mark.parametrize("with_extractor", [True, False])
def test_kept_images_are_pixel_exact(
    ledger: Ledger, rng: np.random.Generator, with_extractor: bool
) -> None:
    """Every kept PNG decodes to the very pixels, in id order, over several shards."""
    images = rng.integers(0, 256, (1100, 3, 5, 3), dtype=np.uint8)
    extractors = [Counting()] if with_extractor else []
    work = replace(_work(from_memory(images), ledger, *extractors), keep=True)
    _run(work)
    kept = list(load_pngs(work))
    assert tuple(sample for sample, _ in kept) == work.samples.ids
    assert np.array_equal(np.stack([decode(data, name) for name, data in kept]), images)


def test_keeping_images_later_extracts_nothing_again(ledger: Ledger) -> None:
    """A second run that also keeps the images leaves the features as they are."""
    samples = from_memory(_greys(5))
    _run(_work(samples, ledger, Counting()))
    counting = Counting()
    work = replace(_work(samples, ledger, counting), keep=True)
    _run(work)
    assert counting.batches == []
    assert len(list(load_pngs(work))) == 5


def test_a_subset_has_the_rows_of_its_samples(ledger: Ledger) -> None:
    """The rows of a subset are those of the whole set for its ids."""
    samples = from_memory(_greys(200))
    work = _work(Subset.lowest(samples, 50), ledger, Counting())
    _run(work)
    rows, ids = load_layer(work, "counting", "mean")
    assert ids == Subset.lowest(samples, 50).ids
    assert rows[:, 0].tolist() == [float(sample) for sample in ids]


def test_batches_are_read_one_at_a_time(ledger: Ledger) -> None:
    """The next batch is read while this one is worked on, but never two at once."""
    running, most = 0, 0

    class Slow(ArraySet):
        def read(self, ids: tuple[str, ...]) -> Batch:
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.01)
            batch = super().read(ids)
            running -= 1
            return batch

    _run(_work(Slow(_greys(60)), ledger, Counting(), batch_size=5))
    assert most == 1


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path, ledger: Ledger) -> None:
    """The pixels of another file must not be kept under the digest of the first."""
    samples = FolderSet(_folder(tmp_path / "a", 3), ledger)
    samples.content()
    _write(tmp_path / "a" / "00001.png", 200)
    with pytest.raises(SampleError, match=r"00001.png changed while it was read"):
        _run(_work(samples, ledger, Counting()))
    assert not _shard_files(ledger)


def test_a_disk_that_fails_once_leaves_nothing_behind(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of reading a file that was fine is not remembered as a bad sample."""
    samples = FolderSet(_folder(tmp_path / "a", 3), ledger)
    samples.content()
    with monkeypatch.context() as broken:

        def stale(path: Path) -> bytes:
            raise OSError(116, "Stale file handle")

        broken.setattr(Path, "read_bytes", stale)
        with pytest.raises(SampleError, match="changed while it was read"):
            _run(_work(samples, ledger, Counting()))
    assert _bad(_work(FolderSet(tmp_path / "a", ledger), ledger, Counting())) == {}


def test_an_array_file_that_changes_is_an_error(tmp_path: Path, ledger: Ledger) -> None:
    """A mapped file that was replaced or written to is noticed by the next batch."""
    path = tmp_path / "a.npy"
    np.save(path, _greys(10))
    samples = read_array_file(path, ledger)
    samples.content()
    np.save(path, _greys(10) + 1)
    with pytest.raises(SampleError, match="changed while it was read"):
        _run(_work(samples, ledger, Counting()))


def test_samples_are_decoded_where_no_layer_is_wanted(tmp_path: Path, ledger: Ledger) -> None:
    """Bad samples are found also when nothing but their labels is read."""
    folder = FolderSet(_folder(tmp_path, 4, broken=[2]), ledger)
    assert set(_bad(PassWork(folder, {}, {}, ledger, decode=True))) == {"00002"}
    assert _run(PassWork(folder, {}, {}, ledger, decode=True)) == [True]


def test_keys_follow_device_and_libraries(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and features of another kind of device, or library, are others."""
    work = replace(_work(from_memory(_greys(3)), ledger, Counting()), keep=True)
    other = replace(work, backend="cuda")
    for place, key in work.keys(0).items():
        assert key != other.keys(0)[place]
    before = work.keys(0)
    monkeypatch.setattr("geneval.engine.extract.versions", lambda *names: {"torch": "99"})
    assert not set(before.values()) & set(work.keys(0).values())


def test_a_layer_that_is_not_made_is_an_error(ledger: Ledger) -> None:
    """An extractor that leaves out what it declares is at fault, not the samples."""

    class Forgetful(Counting):
        def __call__(self, batch: Batch, layers: object) -> Mapping[str, NDArray[np.float32]]:
            return {"mean": np.zeros((len(batch.ids), 3), dtype=np.float32)}

    with pytest.raises(CheckpointError, match="made nothing for its layer size"):
        _run(_work(from_memory(_greys(3)), ledger, Forgetful()))
    assert not _shard_files(ledger)
