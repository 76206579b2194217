"""`geneval reference`: moments built from images, shown, and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import cleanfid
import numpy as np
import pytest
from cleanfid.features import get_reference_statistics
from numpy.typing import NDArray
from pytorch_fid.fid_score import compute_statistics_of_path

from geneval.extractors import weights
from geneval.ledger import file_digest

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def built(command: Command, digit_files: tuple[Path, Path]) -> CompletedProcess[str]:
    """ref.npz, of the held-out digits."""
    return command("reference", "build", digit_files[1], "--out", "ref.npz")


def test_build_says_what_it_wrote(command: Command, built: CompletedProcess[str]) -> None:
    """Count, width and what the features were made by, the same as `show` prints."""
    assert built.returncode == 0
    for part in ("samples      600", "features     64 wide", "ext          digits", "area8"):
        assert part in built.stdout
    assert command("reference", "show", "ref.npz").stdout == built.stdout


def test_a_run_takes_it_as_reference(
    command: Command, built: CompletedProcess[str], digit_files: tuple[Path, Path]
) -> None:
    """`--reference ref.npz` serves FID, and the plan refuses what it cannot serve with 2."""
    told = command("run", "fid", "--samples", digit_files[0], "--reference", "ref.npz")
    assert told.returncode == 0
    assert "1197/600" in told.stdout
    assert "known only by its moments" in told.stdout
    refused = command("run", "fid,kid", "--samples", digit_files[0], "--reference", "ref.npz")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "kid needs reference samples, but ref.npz holds moments only" in refused.stderr


def test_wrong_words(command: Command, digit_files: tuple[Path, Path], tmp_path: Path) -> None:
    """Images where moments are meant, an absent file, another suffix: 2 and one sentence."""
    for words, says in (
        (("show", digit_files[0]), "holds no moments"),
        (("show", "absent.npz"), "does not exist"),
        (("build", digit_files[0], "--out", "ref.txt"), "written as .npz"),
        (("build", "absent", "--out", "ref.npz"), "does not exist"),
    ):
        told = command("reference", *words)
        assert (told.returncode, told.stdout) == (2, "")
        assert says in told.stderr


# ------------------------------------------------------------------- from and for other tools


INCEPTION = "extractor={name: inception-v3, preset: tf1}"


def arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Everything an npz holds."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture
def foreign(command: Command, built: CompletedProcess[str], tmp_path: Path) -> Path:
    """stats.npz: mu and sigma of the held-out digits and nothing else, as pytorch-fid saves them.

    pytorch_fid.fid_score.save_fid_stats: `np.savez_compressed(path, mu=m1, sigma=s1)`.
    """
    one = arrays(tmp_path / "ref.npz")
    np.savez_compressed(tmp_path / "stats.npz", mu=one["mu"], sigma=one["sigma"])
    return tmp_path / "stats.npz"


@pytest.fixture
def adm(tmp_path: Path) -> Path:
    """adm.npz: moments of both layers of Inception, float32 variances, and images beside them."""
    means = {"mu": np.arange(2048.0), "mu_s": np.arange(2023.0)}
    variances = {"sigma": np.eye(2048, dtype=np.float32), "sigma_s": 2 * np.eye(2023)}
    images = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez_compressed(tmp_path / "adm.npz", arr_0=images, **means, **variances)
    return tmp_path / "adm.npz"


@pytest.mark.parametrize("n", [600, None])
def test_import_keeps_the_moments_and_says_what_made_them(
    command: Command, foreign: Path, digit_files: tuple[Path, Path], tmp_path: Path, n: int | None
) -> None:
    """The imported file serves as the one built here; without --n, n is unknown everywhere."""
    words = ["reference", "import", foreign, "--out", "mine.npz", "--set", "extractor=digits"]
    told = command(*words, *([] if n is None else ["--n", n]))
    assert told.returncode == 0
    for part in (f"samples      {n or 'unknown'}", "ext          digits", "resize       area8"):
        assert part in told.stdout
    mine, ref = arrays(tmp_path / "mine.npz"), arrays(tmp_path / "ref.npz")
    assert mine.keys() == (ref.keys() if n else ref.keys() - {"n"})
    assert all(np.array_equal(mine[name], ref[name]) for name in mine)
    numbers = []
    for name in ("mine.npz", "ref.npz"):
        ran = command("run", "fid", "--samples", digit_files[0], "--reference", name, "--json")
        assert ran.returncode == 0
        (value, *_) = json.loads(ran.stdout)["runs"][0]["result"]["metrics"][0]["values"]
        numbers.append((value["number"], value["n"]["reference"]))
    assert numbers[0] == (numbers[1][0], n)


@pytest.mark.usefixtures("twin_weights")
def test_import_of_adm_refuses_another_resize_rule_later(
    command: Command, adm: Path, digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Both layers are kept; the rule it was imported as serves, another is refused with 2."""
    told = command("reference", "import", adm, "--out", "mine.npz", "--set", INCEPTION)
    assert told.returncode == 0
    assert f"the images in {adm} stay there" in told.stderr
    mine = arrays(tmp_path / "mine.npz")
    assert np.array_equal(mine["sigma_s"], 2 * np.eye(2023))
    assert (mine["sigma"].dtype, "arr_0" in mine) == (np.float64, False)
    run = ("run", "fid,sfid", "--samples", digit_files[0], "--reference", "mine.npz", "--dry-run")
    assert command(*run, "--set", INCEPTION).returncode == 0
    refused = command(*run, "--set", INCEPTION.replace("tf1", "clean"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "mine.npz was made with resize tf1, the suite has clean" in refused.stderr


@pytest.mark.parametrize("offline", [False, True])
def test_import_wants_the_digest_of_the_weights(
    command: Command,
    adm: Path,
    inception_twin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offline: bool,
) -> None:
    """Absent weights are fetched, so that the whole digest is noted; offline it says how."""
    digest = file_digest(inception_twin)
    known = weights.Published(inception_twin.as_uri(), digest[:8])
    monkeypatch.setitem(weights.PUBLISHED, "inception-v3", known)  # type: ignore[arg-type]
    monkeypatch.setenv("HF_HUB_OFFLINE", str(int(offline)))
    told = command("reference", "import", adm, "--out", "mine.npz", "--set", INCEPTION)
    if offline:
        assert told.returncode == 2
        assert "run `geneval weights pull inception-v3` online" in told.stderr
        assert not (tmp_path / "mine.npz").exists()
    else:
        assert told.returncode == 0
        made_by = json.loads(str(arrays(tmp_path / "mine.npz")["made_by"]))
        assert made_by == {
            "ext": "inception-v3",
            "weights": digest,
            "resize": "tf1",
            "prec": "fp32",
        }


@pytest.mark.parametrize(
    ("change", "words", "code", "says"),
    [
        ({}, ["extractor=pixels"], 2, "holds moments of 64 features, the extractor pixels makes"),
        ({"mu_s": np.zeros(3), "sigma_s": np.eye(3)}, [], 2, "spatial features, which digits does"),
        ({"made_by": np.array('{"resize": "clean"}')}, [], 2, "was made with resize clean"),
        ({"n": np.array(600)}, ["--n", 5], 2, "is of 600 samples as it says itself, not of 5"),
        ({"sigma": np.triu(np.ones((64, 64)))}, [], 3, "the covariance is not symmetric"),
        ({"mu": np.full(64, np.nan)}, [], 3, "not finite"),
    ],
    ids=["width", "no such layer", "made otherwise", "n", "asymmetric", "nan"],
)
def test_import_refuses(
    command: Command,
    foreign: Path,
    tmp_path: Path,
    change: dict[str, NDArray[np.generic]],
    words: list[object],
    code: int,
    says: str,
) -> None:
    """What is not of this extractor, or no moments at all: one sentence, and nothing written."""
    np.savez(foreign, **{**arrays(foreign), **change})
    sets = ["--set", *words] if words and "=" in str(words[0]) else words
    told = command("reference", "import", foreign, "--out", "mine.npz", *sets)
    assert (told.returncode, told.stdout) == (code, "")
    assert says in told.stderr
    assert not (tmp_path / "mine.npz").exists()


def test_export_is_read_by_pytorch_fid_and_clean_fid(
    command: Command,
    built: CompletedProcess[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their own readers give the moments; the file holds nothing else, in float64.

    clean-fid looks for custom statistics in `stats` beside its own files.
    """
    monkeypatch.setattr(cleanfid, "__file__", str(tmp_path / "__init__.py"))
    out = tmp_path / "stats" / "mine_clean_custom_na.npz"
    told = command("reference", "export", "ref.npz", "--out", out)
    assert (told.returncode, told.stdout) == (0, f"{out}\n")
    ref = arrays(tmp_path / "ref.npz")
    read = (
        compute_statistics_of_path(str(out), None, 1, 64, "cpu"),
        get_reference_statistics("mine", "na", split="custom"),
    )
    for mean, cov in read:
        assert (mean.dtype, cov.dtype) == (np.float64, np.float64)
        assert np.array_equal(mean, ref["mu"])
        assert np.array_equal(cov, ref["sigma"])
    assert arrays(out).keys() == {"mu", "sigma"}


@pytest.mark.usefixtures("twin_weights")
def test_export_for_adm(command: Command, adm: Path, tmp_path: Path) -> None:
    """Four arrays by the names that guided-diffusion's `read_statistics` asks for."""
    command("reference", "import", adm, "--out", "mine.npz", "--set", INCEPTION)
    told = command("reference", "export", "mine.npz", "--out", "out.npz", "--form", "adm")
    assert told.returncode == 0
    given, out = arrays(adm), arrays(tmp_path / "out.npz")
    assert out.keys() == {"mu", "sigma", "mu_s", "sigma_s"}
    assert all(np.array_equal(out[name], given[name]) for name in out)
    assert {array.dtype for array in out.values()} == {np.dtype(np.float64)}


def test_wrong_words_of_exchange(
    command: Command, built: CompletedProcess[str], tmp_path: Path
) -> None:
    """A form the file lacks, an unknown one, a pickle, an absent file: 2 and one sentence."""
    (tmp_path / "stats.pkl").touch()
    for words, says in (
        (("export", "ref.npz", "--out", "a.npz", "--form", "adm"), "no moments of spatial"),
        (("export", "ref.npz", "--out", "a.npz", "--form", "edm"), "'edm'"),
        (("export", "ref.npz", "--out", "a.pkl"), "written as .npz"),
        (("export", "absent.npz", "--out", "a.npz"), "does not exist"),
        (("import", "stats.pkl", "--out", "a.npz"), "is a pickle, which can run code"),
        (("import", "ref.npz", "--out", "a.npz", "--n", 1), "--n"),
        (("import", "ref.npz", "--out", "a.txt"), "written as .npz"),
    ):
        told = command("reference", *words)
        assert (told.returncode, told.stdout) == (2, "")
        assert says in told.stderr
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize("name", ["build", "show", "import", "export"])
def test_help_has_an_example(command: Command, name: str) -> None:
    """Every command's help shows an example that starts with the command."""
    told = command("reference", name, "--help")
    assert told.returncode == 0
    assert f"\n  geneval reference {name} " in told.stdout
