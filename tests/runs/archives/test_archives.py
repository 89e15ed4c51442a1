"""Archives of runs: the same bytes again, and nothing taken out of one that somebody has tampered with."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import replace

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.archives import unpack
from pkdcli.runs.archives.contents import NAME, Manifest, files_of
from pkdcli.runs.archives.pack import write
from pkdcli.runs.archives.place import place
from pkdcli.runs.archives.unpack import extract, read_list
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

RUN = "a__pkd-w10__s0-12345678"
FILE = f"runs/{RUN}/recipe.yaml"
NOTHING = "Nothing was written. Copy it again, or pack again with `pkd archive`."


@pytest.fixture
def run(tmp_path) -> RunPaths:
    """A run that has stopped, with a training state and what belongs to its machine alone."""
    paths = RunPaths(tmp_path / "from" / RUN)
    write_json(paths.status, {"run": RUN, "state": "interrupted"})
    paths.recipe.write_text("version: 1\n")
    for name in ("checkpoints/epoch_0001.pth", "modules/mine.py", "eval/a-val.json"):
        (paths.root / name).parent.mkdir()
        (paths.root / name).write_bytes(name.encode() * 50)
    for name in (".lock", "slurm.json", "half.part", "trackers/big"):
        (paths.root / name).parent.mkdir(exist_ok=True)
        (paths.root / name).write_text("of this machine")
    return paths


@pytest.fixture
def packed(run, tmp_path):
    archive = tmp_path / "a.tar.gz"
    write(archive, Manifest("0.1.0", [RUN], []), [run], [])
    return archive


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def names(paths: RunPaths) -> list[str]:
    return [file.relative_to(paths.root).as_posix() for file in files_of(paths)]


def test_what_travels(run):
    going = ["checkpoints/epoch_0001.pth", "eval/a-val.json", "modules/mine.py", "recipe.yaml", "status.json"]
    assert names(run) == going
    write_json(run.result, {"role": "distill", "metrics": {"mAP": 1.0}})
    run.student.touch()
    # A finished run is known by its weights and goes on from nothing.
    assert names(run) == [*going[1:4], "result.json", "status.json", "student.pth"]


def test_the_same_run_makes_the_same_bytes_whenever_and_by_whomever_it_is_packed(run, packed, tmp_path):
    for file in run.root.rglob("*"):
        os.utime(file, (1, 1))
    run.recipe.chmod(0o600)
    write(tmp_path / "other-name.tar.gz", Manifest("0.1.0", [RUN], []), [run], [])
    assert (tmp_path / "other-name.tar.gz").read_bytes() == packed.read_bytes()


def test_all_comes_out_as_it_went_in(run, packed, into):
    manifest = extract(packed, into)
    assert manifest == read_list(packed)
    assert [file.name for file in manifest.files] == [f"runs/{RUN}/{name}" for name in names(run)]
    for file in manifest.files:
        content = (into / file.name).read_bytes()
        assert content == (run.root / file.name.removeprefix(f"runs/{RUN}/")).read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest.size == sum(file.size for file in manifest.files)


def refused(archive, into) -> str:
    with pytest.raises(PkdError) as error:
        extract(archive, into)
    assert error.value.code == ExitCode.USAGE
    assert error.value.hint == NOTHING
    assert not list(into.parent.glob("evil*"))
    return error.value.message.removeprefix(f"{archive} can't be unpacked: ").removesuffix(".")


def entry(name: str, content: bytes = b"", **fields) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for key, value in fields.items():
        setattr(made, key, value)
    return made, content


def forged(path, files: dict[str, bytes] | None = None, extra=(), listed=None, **said):
    """An archive whose list says what it is told to.

    Args:
        path: Where it is written.
        files: What is in it and in its list.
        extra: What is only in it.
        listed: Its list of files, in place of the right one.
        said: Other fields of the list.
    """
    files = {FILE: b"version: 1\n"} if files is None else files
    rows = [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    content = {"schema": 1, "pkd": "0.1.0", "runs": [RUN], "teachers": [], "data": [], "outside": []}
    first = entry(NAME, json.dumps({**content, "files": rows if listed is None else listed, **said}).encode())
    with tarfile.open(path, "w:gz") as tar:
        for made, body in [first, *(entry(name, body) for name, body in files.items()), *extra]:
            tar.addfile(made, io.BytesIO(body))
    return path


def test_a_forged_one_that_is_right_is_taken(tmp_path, into):
    extract(forged(tmp_path / "f.tar.gz"), into)
    assert (into / FILE).read_text() == "version: 1\n"


@pytest.mark.parametrize(
    "name",
    ["../evil", f"runs/{RUN}/../../../evil", "/evil", f"runs/{RUN}//evil", "runs/other/evil", f"runs/{RUN}", "evil"],
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, into, name):
    assert refused(forged(tmp_path / "f.tar.gz", {name: b"x"}), into) == f"{name!r} would lie outside of its runs"
    assert not list(into.iterdir())


@pytest.mark.parametrize("run", ["..", "a/b", "", ".hidden", "a\\b"])
def test_a_run_that_no_folder_can_be_is_refused(tmp_path, into, run):
    assert refused(forged(tmp_path / "f.tar.gz", runs=[run]), into) == f"{run!r} is no name of a run"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../evil"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.DIRTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(tmp_path, into, kind, target):
    path = tmp_path / "f.tar.gz"
    rows = [{"name": FILE, "size": 0, "sha256": hashlib.sha256(b"").hexdigest()}]
    forged(path, {}, [entry(FILE, type=kind, linkname=target)], listed=rows)
    assert refused(path, into) == f"{FILE} is no plain file but a link or a device"
    assert not (into / FILE).is_symlink()


def test_files_beyond_the_list_or_twice_in_it_are_refused(tmp_path, into):
    more = forged(tmp_path / "f.tar.gz", extra=[entry("evil", b"x")])
    assert refused(more, into) == "'evil' is not in its list of files, or is in it twice"
    twice = forged(tmp_path / "g.tar.gz", {FILE: b"x", FILE.replace("recipe", "Recipe"): b"x"})
    assert refused(twice, into) == f"{FILE.replace('recipe', 'Recipe')!r} is in it twice"


def test_content_that_was_changed_is_named(tmp_path, into, packed):
    with tarfile.open(packed) as tar:
        parts = [(one, tar.extractfile(one).read()) for one in tar]
    path = tmp_path / "changed.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for one, content in parts:
            body = content.replace(b"mine", b"evil") if one.name.endswith("mine.py") else content
            tar.addfile(one, io.BytesIO(body))
    assert refused(path, into) == f"runs/{RUN}/modules/mine.py was changed after it was packed"


def test_a_size_that_is_not_as_listed_is_named(tmp_path, into):
    rows = [{"name": FILE, "size": 5, "sha256": "0" * 64}]
    path = forged(tmp_path / "f.tar.gz", {}, [entry(FILE, b"too long")], listed=rows)
    assert refused(path, into) == f"{FILE} has 8 bytes, and 5 in its list of files"


def test_more_behind_its_end_is_refused(packed, into, tmp_path):
    (tmp_path / "more.tar.gz").write_bytes(packed.read_bytes() + gzip.compress(b"0" * (2 << 20)))
    assert refused(tmp_path / "more.tar.gz", into) == "there is more behind its end"


@pytest.mark.parametrize("left", [0.3, 0.6, 0.99])
def test_one_that_was_cut_short_is_refused(packed, into, tmp_path, left):
    content = packed.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(content[: int(len(content) * left)])
    assert refused(cut, into) in ("it is damaged: its end is missing", "it is damaged")


def test_a_file_less_than_the_list_names_it(tmp_path, into):
    rows = [{"name": FILE, "size": 1, "sha256": "0" * 64}]
    path = forged(tmp_path / "f.tar.gz", {}, listed=rows)
    assert refused(path, into) == f"{FILE} is missing, as the end of the file may be"


def test_a_flipped_bit_is_found(packed, into, tmp_path):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "flipped.tar.gz").write_bytes(content)
    assert refused(tmp_path / "flipped.tar.gz", into)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no archive", "it is no .tar.gz, or a damaged one"),
        (gzip.compress(b"no tar" * 500), "it is damaged"),
        (b"", "it is damaged"),
    ],
    ids=["text", "gzip", "empty"],
)
def test_what_is_no_archive(tmp_path, into, content, why):
    (tmp_path / "x.tar.gz").write_bytes(content)
    assert refused(tmp_path / "x.tar.gz", into) == why


def test_somebody_elses_archive(tmp_path, into):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.addfile(*[part if n == 0 else io.BytesIO(part) for n, part in enumerate(entry("a.txt", b"x"))])
    said = refused(tmp_path / "x.tar.gz", into)
    assert said == "it was not made by `pkd archive`, whose files begin with manifest.json"


@pytest.mark.parametrize("said", [{"listed": [{"name": FILE}]}, {"runs": 3}, {"data": [{}]}, {"listed": "x"}])
def test_a_list_that_is_none(tmp_path, into, said):
    assert refused(forged(tmp_path / "f.tar.gz", **said), into) == "its list of files can't be read"


def test_a_later_version_is_named(tmp_path, into):
    path = forged(tmp_path / "f.tar.gz", schema=2, pkd="9.0")
    with pytest.raises(PkdError, match=r"was made by pkd 9\.0, whose archives are others"):
        extract(path, into)


def test_one_that_swells_up_is_refused_before_a_byte_is_written(tmp_path, into):
    rows = [{"name": FILE, "size": 10**12, "sha256": "0" * 64}]
    path = forged(tmp_path / "f.tar.gz", {}, listed=rows)
    assert refused(path, into).endswith("bytes would become 1,000,000,000,000, which no run does")
    assert not list(into.iterdir())


def test_a_disk_that_is_too_small_is_said_before_a_byte_is_written(packed, into, monkeypatch):
    usage = unpack.shutil.disk_usage(into)
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(PkdError, match="no space left to unpack") as error:
        extract(packed, into)
    assert error.value.code == ExitCode.MISSING
    assert not list(into.iterdir())


def test_a_header_that_claims_a_huge_length_is_not_read(tmp_path, into, packed):
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 10**11
    with tarfile.open(packed) as tar:
        first = tar.next()
        listed = tar.extractfile(first).read()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(first, io.BytesIO(listed))
    plain = raw.getvalue().rstrip(b"\0")
    plain += b"\0" * (-len(plain) % 512)
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(plain + header.tobuf() + b"\0" * 5120))
    assert refused(bomb, into).startswith(("it is damaged", f"{FILE.rsplit('/', 1)[0]}"))


def test_folders_are_put_into_place_all_or_none(tmp_path):
    staged, there = tmp_path / "staged", tmp_path / "there"
    for name in ("a", "b"):
        (staged / name).mkdir(parents=True)
        (staged / name / "new").touch()
    (there / "a").mkdir(parents=True)
    (there / "a" / "old").touch()
    with pytest.raises(PkdError, match="can't write"):
        place([(staged / "a", there / "a"), (staged / "missing", there / "b")])
    assert [path.name for path in (there / "a").iterdir()] == ["old"]
    assert not (there / "b").exists()
    assert [path.name for path in (staged / "a").iterdir()] == ["new"]
    place([(staged / name, there / name) for name in ("a", "b")])
    assert sorted(path.relative_to(there).as_posix() for path in there.rglob("new")) == ["a/new", "b/new"]
    assert not (there / "a" / "old").exists()


def test_a_file_that_changes_while_it_is_packed_is_named(run, tmp_path, monkeypatch):
    from pkdcli.runs.archives import pack

    monkeypatch.setattr(pack, "sha256", lambda path: "0" * 64)
    with pytest.raises(PkdError, match="changed while it was packed"):
        write(tmp_path / "a.tar.gz", replace(Manifest("0.1.0", [RUN], [])), [run], [])
    assert not (tmp_path / "a.tar.gz").exists()
