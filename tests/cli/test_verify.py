"""`geneval verify`: local stand-ins for the published data, with numbers of other implementations.

The data of the two publications is played by small files of the same form, and Inception by random
weights; the numbers that are "published" of them come from torch-fidelity's network and scores.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from geneval import published
from geneval.published import PUBLICATIONS, Claim, DataFile, Publication

Command = Callable[..., CompletedProcess[str]]
Images = NDArray[np.uint8]
Pictures = Callable[[int, int], list[Images]]
N = 24
FID_RELATIVE = 1e-5  # float32 features, added up in another order


def stack(pictures: Pictures, seed: int, n: int = N) -> Images:
    """Images [n, 32, 32, 3] of a seed."""
    return np.stack([picture[:32, :32] for picture in pictures(seed, n)])


def cifar(path: Path, train: Images, test: Images) -> DataFile:
    """An archive of CIFAR-10's form at its own address, and its MD5."""
    with tarfile.open(path, "w:gz") as tar:
        parts = [*np.array_split(train, 5), test]
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        for name, part in zip(names, parts, strict=True):
            planes = part.transpose(0, 3, 1, 2).reshape(len(part), -1)
            data = np.insert(planes, 0, 7, axis=1).tobytes()
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return DataFile(path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest())


def claimed(one: Publication, numbers: Mapping[str, float], *files: DataFile) -> Publication:
    """A publication of other files, each of its claims with the number given for its address.

    FID and sFID get a relative tolerance, for theirs are made for numbers near 4.
    """
    claims = tuple(
        replace(claim, number=numbers[claim.address], within=FID_RELATIVE, relative=True)
        if claim.address in ("fid", "sfid")
        else replace(claim, number=numbers[claim.address])
        for claim in one.claims
    )
    return replace(one, files=files, claims=claims)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what is published, as far as geneval knows, and takes the network to be there."""
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def these(*publications: Publication) -> None:
        monkeypatch.setattr(published, "PUBLICATIONS", {one.name: one for one in publications})

    return these


@dataclass(frozen=True)
class Seen:
    """What torch-fidelity's network makes of images."""

    pool: torch.Tensor
    logits: torch.Tensor
    spatial: torch.Tensor


def seen(net: FeatureExtractorInceptionV3, images: Images) -> Seen:
    """Features, logits without bias, and ADM's spatial features: 7 channels, the channel last."""
    maps: list[torch.Tensor] = []
    hook = net.Mixed_6d.branch1x1.register_forward_hook(lambda module, given, out: maps.append(out))
    with torch.inference_mode():
        pool, logits = net(torch.as_tensor(images).permute(0, 3, 1, 2))
    hook.remove()
    return Seen(pool, logits, maps[0][:, :7].permute(0, 2, 3, 1).flatten(1))


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """The Fréchet distance of features; with few of them the trace of the root is a nuclear norm.

    tr (Σ₁Σ₂)^½ = ‖XYᵀ‖₊ of the centred features, over the root of (n − 1)(m − 1): with as few
    images as here it is exact in a moment, where torch-fidelity's eigenvalues take half a minute.
    """
    sides = [side.double() for side in (x, y)]
    centred = [(side - side.mean(0)) / (len(side) - 1) ** 0.5 for side in sides]
    shift = (sides[0].mean(0) - sides[1].mean(0)).square().sum()
    root = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    return float(shift + sum(side.square().sum() for side in centred) - 2 * root)


@pytest.fixture(scope="module")
def net(inception_twin: Path) -> FeatureExtractorInceptionV3:
    """torch-fidelity's network with the same weights."""
    return FeatureExtractorInceptionV3(
        "twin", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_twin)
    )


@pytest.mark.usefixtures("twin_weights")
def test_cifar10_is_what_torch_fidelity_says(
    command: Command,
    publish: Callable[..., None],
    pictures: Pictures,
    net: FeatureExtractorInceptionV3,
    tmp_path: Path,
) -> None:
    """FID of training against test images and IS of the training images, from the archive."""
    train, test = stack(pictures, 1), stack(pictures, 2)
    made, reference = seen(net, train), seen(net, test)
    numbers = {
        "fid": distance(made.pool, reference.pool),
        "inception_score": isc_features_to_metric(made.logits)["inception_score_mean"],
    }
    file = cifar(tmp_path / "cifar-10-binary.tar.gz", train, test)
    publish(claimed(PUBLICATIONS["cifar10"], numbers, file))
    told = command("verify", "cifar10")
    assert told.returncode == 0, told.stdout
    assert [line.split()[:3] for line in told.stdout.splitlines()] == [
        ["ok", "cifar10", "fid"],
        ["ok", "cifar10", "inception_score"],
    ]
    assert "are not the published ones" in told.stderr  # the weights


@pytest.mark.usefixtures("twin_weights")
def test_adm_takes_moments_and_images_of_one_file(
    command: Command,
    publish: Callable[..., None],
    pictures: Pictures,
    net: FeatureExtractorInceptionV3,
    tmp_path: Path,
) -> None:
    """FID and sFID from the moments of the batch, P and R from its images, IS in file order.

    The moments are of other images than the batch holds, as ADM's are.
    """
    drawn = [stack(pictures, seed) for seed in (1, 2, 3)]
    made, held, whole = (seen(net, images) for images in drawn)
    moments = {
        name: fid_features_to_statistics(layer)
        for name, layer in (("", whole.pool), ("_s", whole.spatial))
    }
    arrays = {f"{part}{s}": one[part] for s, one in moments.items() for part in ("mu", "sigma")}
    np.savez(tmp_path / "batch.npz", arr_0=drawn[1], arr_1=np.zeros(N, int), **arrays)
    np.savez(tmp_path / "samples.npz", arr_0=drawn[0], arr_1=np.arange(N))

    ratios = prc_features_to_metric(made.pool, held.pool, verbose=False)
    score = isc_features_to_metric(made.logits, splits=10, shuffle=False)
    numbers = {
        "inception_score": score["inception_score_mean"],
        "fid": distance(made.pool, whole.pool),
        "sfid": distance(made.spatial, whole.spatial),
        "precision_recall.precision": ratios["precision"],
        "precision_recall.recall": ratios["recall"],
    }
    files = [DataFile((tmp_path / f"{name}.npz").as_uri()) for name in ("samples", "batch")]
    publish(claimed(PUBLICATIONS["adm-imagenet256"], numbers, *files))
    told = command("verify")
    assert told.returncode == 0, told.stdout
    words = [line.split() for line in told.stdout.splitlines()]
    assert {line[2]: line[0] for line in words} == dict.fromkeys(numbers, "ok")


# ------------------------------------------------------- the logic, on pixels instead of a network


@pytest.fixture
def small(pictures: Pictures, tmp_path: Path) -> Publication:
    """FID of the mean colours of the quarters of images, by SciPy's matrix square root."""
    sides = [stack(pictures, seed) for seed in (1, 2)]
    quarters = [
        side.reshape(N, 2, 16, 2, 16, 3).mean(axis=(2, 4)).reshape(N, 12) / 255 for side in sides
    ]
    (a, s), (b, t) = ((x.mean(axis=0), np.cov(x, rowvar=False)) for x in quarters)
    root = scipy.linalg.sqrtm(s @ t).real
    number = float((a - b) @ (a - b) + np.trace(s + t - 2 * root))
    (tmp_path / "address").mkdir()
    file = cifar(tmp_path / "address" / "small.tar.gz", *sides)
    return replace(
        PUBLICATIONS["cifar10"],
        name="small",
        files=(file,),
        metrics="fid",
        settings=("extractor={name: pixels, side: 2}",),
        claims=(Claim("fid", number, 1e-5, "scipy", relative=True),),
    )


def off(one: Publication, factor: float) -> Publication:
    """The same with a number that is off by a factor."""
    return replace(one, claims=tuple(replace(c, number=c.number * factor) for c in one.claims))


def files(folder: Path) -> list[str]:
    """Names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_ok_differs_and_what_is_remembered(
    command: Command, publish: Callable[..., None], small: Publication, cache: Path
) -> None:
    """A number within its tolerance ends with 0, one outside with 1; the listing says which.

    The record holds what was found, and is judged by the claims of the day.
    """
    publish(small)
    listed = command("verify", "--list")
    assert (listed.returncode, listed.stdout.split()[:4]) == (0, ["not", "run", "here", "small"])
    assert files(cache) == []
    told = command("verify")
    assert (told.returncode, told.stdout.split()[:3]) == (0, ["ok", "small", "fid"])
    assert files(cache / "data") == ["small.tar.gz"]
    assert command("verify", "--list").stdout.startswith("ok on 20")
    publish(off(small, 1 + 3e-5))
    listed = command("verify", "--list")
    assert (listed.returncode, listed.stdout.split()[0]) == (0, "differs")
    told = command("verify", "small")
    assert (told.returncode, told.stdout.split()[:3]) == (1, ["differs", "small", "fid"])
    for part in ("ours ", f"published {small.claims[0].number * (1 + 3e-5)} ± 0.001 %", "scipy"):
        assert part in told.stdout


@pytest.mark.parametrize("record", [b"", b"[]", b'{"found": {"fid": 3}}', b'{"found": {}}'])
def test_a_damaged_record_is_none(
    command: Command, publish: Callable[..., None], small: Publication, cache: Path, record: bytes
) -> None:
    """What cannot be read was not run here."""
    publish(small)
    (cache / "verified").mkdir()
    (cache / "verified" / "small.json").write_bytes(record)
    assert command("verify", "--list").stdout.startswith("not run here")


def test_json(command: Command, publish: Callable[..., None], small: Publication) -> None:
    """Claim, number, tolerance, source and outcome, before and after a run."""
    publish(small)
    (before,) = json.loads(command("verify", "--list", "--json").stdout)
    assert (before["run"], before["claims"][0]["status"]) == (None, "not run")
    (after,) = json.loads(command("verify", "--json").stdout)
    (claim,) = after["claims"]
    assert (claim["status"], claim["source"], claim["within"]) == ("ok", "scipy", 1e-5)
    assert claim["ours"] == pytest.approx(claim["number"], rel=1e-5)
    assert after["run"]["device"] in ("cpu", "cuda", "mps")
    assert json.loads(command("verify", "--list", "--json").stdout) == [after]


def test_a_download_of_other_bytes_is_not_kept(
    command: Command, publish: Callable[..., None], small: Publication, cache: Path
) -> None:
    """Both digests are told, nothing stays behind, and it counts as not run."""
    publish(replace(small, files=(replace(small.files[0], md5="0" * 32),)))
    told = command("verify", "small")
    assert told.returncode == 3
    assert f"md5 {small.files[0].md5}, published is {'0' * 32}" in told.stderr
    assert told.stdout.startswith("not run  small fid")
    assert files(cache) == []
    assert command("verify", "--list").stdout.startswith("not run here")


def test_a_tampered_file_is_not_read(
    command: Command, publish: Callable[..., None], small: Publication, tmp_path: Path
) -> None:
    """A file that lies there already is checked as well, on every run."""
    publish(small)
    assert command("verify", "--data", "kept").returncode == 0
    kept = tmp_path / "kept" / "small.tar.gz"
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    told = command("verify", "--data", "kept")
    assert told.returncode == 3
    assert "is not the published file" in told.stderr
    assert "delete kept/small.tar.gz" in told.stderr


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_offline(
    command: Command,
    publish: Callable[..., None],
    small: Publication,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """One sentence says what to fetch and where to put it; once it lies there it is run."""
    publish(small)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0" if how == "flag" else "1")
    words = ["verify", "--data", "kept", *(["--offline"] if how == "flag" else [])]
    told = command(*words)
    assert told.returncode == 3
    (sentence,) = [line for line in told.stderr.splitlines() if line.startswith("geneval: ")]
    assert f"fetch {small.files[0].url} on another machine and put it there" in sentence
    assert "kept has not all of the data" in sentence
    (tmp_path / "kept").mkdir()
    (tmp_path / "address" / "small.tar.gz").rename(tmp_path / "kept" / "small.tar.gz")
    assert command(*words).returncode == 0


@pytest.fixture
def liar() -> Iterator[str]:
    """An address that promises a thousand bytes and sends three."""

    class Short(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Three bytes."""
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"abc")

        log_message = functools.partialmethod(lambda self, *words: None)

    with HTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/small.tar.gz"
        server.shutdown()


def test_half_a_download_is_not_kept(
    command: Command, publish: Callable[..., None], small: Publication, cache: Path, liar: str
) -> None:
    """A connection that ends early is told, also where no digest is published."""
    publish(replace(small, files=(DataFile(liar),)))
    told = command("verify")
    assert told.returncode == 3
    assert f"cannot be fetched from {liar}: 3 of 1,000 bytes arrived" in told.stderr
    assert files(cache) == []


def test_what_cannot_be_run_keeps_no_other(
    command: Command, publish: Callable[..., None], small: Publication, tmp_path: Path
) -> None:
    """An address that is gone is one sentence and 3; the other claims are verified."""
    gone = replace(small, name="gone", files=(DataFile((tmp_path / "gone").as_uri()),))
    publish(gone, off(small, 2), replace(small, name="good"))
    told = command("verify")
    assert told.returncode == 3  # what could not be run wins over what differs
    words = [line.split() for line in told.stdout.splitlines()]
    assert [line[:3] for line in words] == [
        ["not", "run", "gone"],
        ["differs", "small", "fid"],
        ["ok", "good", "fid"],
    ]
    assert "geneval: gone could not be run: gone cannot be fetched" in told.stderr


def test_a_number_that_cannot_be_computed(
    command: Command, publish: Callable[..., None], small: Publication, pictures: Pictures
) -> None:
    """A metric's problem stands in the place of its source, and ends with 3."""
    few = cifar(Path("few.tar.gz").absolute(), stack(pictures, 1, 10), stack(pictures, 2, 10))
    publish(replace(small, files=(few,)))
    told = command("verify")
    assert (told.returncode, told.stdout.split()[:5]) == (
        3,
        ["failed", "small", "fid", "ours", "—"],
    )
    assert "10 generated samples" in told.stdout


def test_wrong_words(command: Command) -> None:
    """A name that is not known: 2 and the nearest one."""
    told = command("verify", "cifar")
    assert (told.returncode, told.stdout) == (2, "")
    assert "unknown publication 'cifar'; did you mean 'cifar10'?" in told.stderr


def test_every_claim_is_listed(command: Command) -> None:
    """The published table itself: nothing of it has been run in this test's cache."""
    lines = command("verify", "--list").stdout.splitlines()
    assert len(lines) == sum(len(one.claims) for one in PUBLICATIONS.values())
    assert all(line.startswith("not run here  ") for line in lines)
