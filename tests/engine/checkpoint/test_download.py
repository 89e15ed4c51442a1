"""Downloads from a server on this machine that cuts, lies, refuses and redirects; and mmdet's names for weights."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import multiprocessing
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from pkdcli.engine.checkpoint import download, model_zoo, transfer
from pkdcli.engine.checkpoint.download import fetch, hash_in_name
from pkdcli.engine.checkpoint.model_zoo import resolve_weights
from pkdcli.errors import ExitCode, PkdError

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes: several blocks
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]
NAME = f"resnet50-{HASH}.pth"


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path; what goes wrong is set by the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges = True  # whether Range is honoured
        self.cuts: list[int] = []  # bytes after which each of the first connections breaks
        self.status = 200
        self.location: str | None = None
        self.slow = 0.0  # seconds before the content
        self.seen: list[str | None] = []  # the Range header of every request

    def handle_error(self, request, client_address) -> None:
        pass  # the client of a cut connection is gone

    def url(self, name: str = NAME) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/zoo/v1/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.seen.append(asked)
        if server.status != 200:
            self.send_response(server.status)
            if server.location:
                self.send_header("Location", server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if start and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(server.slow)
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "my cache"


def files(cache: Path) -> list[str]:
    """The visible files of the host's folder."""
    return sorted(path.name for path in (cache / "downloads" / "127.0.0.1").glob("[!.]*"))


def target(cache: Path, name: str = NAME) -> Path:
    return cache / "downloads" / "127.0.0.1" / name


def fails(*arguments, code=ExitCode.MISSING, **options) -> PkdError:
    with pytest.raises(PkdError) as caught:
        fetch(*arguments, **options)
    assert caught.value.code == code
    return caught.value


# The good case


def test_a_whole_download_and_its_reuse_without_network(server, cache):
    seen = []
    path = fetch(server.url(), cache, progress=lambda done, total: seen.append((done, total)))
    assert path == target(cache)
    assert path.read_bytes() == CONTENT
    assert files(cache) == [NAME, f"{NAME}.ok"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetch(server.url(), cache) == path
    assert server.seen == [None]


def test_a_verified_file_is_not_read_again(server, cache, monkeypatch):
    fetch(server.url(), cache)
    monkeypatch.setattr(download, "_sha256", lambda path: pytest.fail("read again"))
    fetch(server.url(), cache)


def test_a_file_put_there_by_hand_is_verified_and_needs_no_network(cache):
    target(cache).parent.mkdir(parents=True)
    target(cache).write_bytes(CONTENT)
    assert fetch(f"http://127.0.0.1:1/{NAME}", cache) == target(cache)
    assert files(cache) == [NAME, f"{NAME}.ok"]


def test_a_file_changed_after_it_was_verified_is_fetched_again(server, cache):
    path = fetch(server.url(), cache)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen == [None, None]


def test_a_wrong_file_stays_until_the_right_one_is_there(server, cache):
    target(cache).parent.mkdir(parents=True)
    target(cache).write_bytes(b"by hand, but wrong")
    server.status = 503
    fails(server.url(), cache)
    assert target(cache).read_bytes() == b"by hand, but wrong"
    server.status = 200
    assert fetch(server.url(), cache).read_bytes() == CONTENT


def test_a_name_without_hash_is_told_apart_by_its_address(server, cache):
    first, second = server.url("epoch_12.pth"), server.url("other/epoch_12.pth")
    assert fetch(first, cache).read_bytes() == CONTENT
    assert fetch(first, cache).read_bytes() == CONTENT
    server.content = b"another"
    assert fetch(second, cache).read_bytes() == b"another"
    assert server.seen == [None, None]


def test_a_redirect_is_followed(server, cache):
    other = Server()
    threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.status, server.location = 302, other.url()
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    other.shutdown()
    other.server_close()


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("resnet50-0676ba61.pth", "0676ba61"),
        ("faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth", "047c8118"),
        ("retinanet-20190610.pth", ""),
        ("swin_tiny_patch4_window7_224.pth", ""),
        ("model-best.pth", ""),
        ("x-" + "ab" * 32 + ".pt", "ab" * 32),
    ],
)
def test_the_hash_in_a_name(name, prefix):
    assert hash_in_name(name) == prefix


# Cut connections


def test_a_cut_connection_goes_on_where_it_broke(server, cache):
    server.cuts = [100_000, 250_000]
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen == [None, "bytes=100000-", "bytes=350000-"]
    assert files(cache) == [NAME, f"{NAME}.ok"]


def test_a_server_without_range_starts_over(server, cache):
    server.ranges = False
    server.cuts = [100_000, 99_000]
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen == [None, "bytes=100000-", "bytes=99000-"]


def test_a_connection_that_always_breaks_is_given_up_and_resumed_by_the_next_command(server, cache):
    server.cuts = [100_000, 0, 0, 0]
    error = fails(server.url(), cache)
    assert error.message == (f"can't download {server.url()}: the connection broke off after 100,000 of 512,000 bytes.")
    assert files(cache) == [f"{NAME}.part"]
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen[-1] == "bytes=100000-"


def test_a_part_that_is_already_whole(server, cache):
    target(cache).parent.mkdir(parents=True)
    target(cache, f"{NAME}.part").write_bytes(CONTENT)
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_starts_over(server, cache):
    target(cache).parent.mkdir(parents=True)
    target(cache, f"{NAME}.part").write_bytes(CONTENT + b"more")
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen == [f"bytes={len(CONTENT) + 4}-", None]


def test_halves_of_a_file_without_hash_are_not_joined(server, cache):
    target(cache).parent.mkdir(parents=True)
    target(cache, "epoch_12.pth.part").write_bytes(b"half of another file")
    assert fetch(server.url("epoch_12.pth"), cache).read_bytes() == CONTENT


# Wrong content


def test_corrupted_once_is_fetched_again(server, cache):
    target(cache).parent.mkdir(parents=True)
    target(cache, f"{NAME}.part").write_bytes(b"x" * 1000)
    assert fetch(server.url(), cache).read_bytes() == CONTENT
    assert server.seen == ["bytes=1000-", None]


def test_wrong_content_twice_is_an_error_and_leaves_nothing(server, cache):
    server.content = b"<html>Please log in</html>"
    error = fails(server.url(), cache)
    wrong = hashlib.sha256(server.content).hexdigest()[:8]
    assert str(error) == (
        f"{server.url()} arrives with the wrong content: its SHA-256 begins with {wrong}, not with {HASH}. "
        "Perhaps a proxy or a login page answered instead of the server.\n"
        "Try again with a network, or download the file elsewhere and put it at\n"
        f"  {target(cache)}\n"
        f"To check it, `sha256sum '{target(cache)}'` must begin with {HASH}.\n"
        "The environment variable PKD_CACHE chooses the cache folder."
    )
    assert server.seen == [None, None]
    assert files(cache) == []


def test_a_given_prefix_rules_over_the_name(server, cache):
    assert fetch(server.url("x-00000000.pth"), cache, sha256_prefix=HASH[:4].upper()).read_bytes() == CONTENT
    assert fetch(server.url("y-00000000.pth"), cache, sha256_prefix="").read_bytes() == CONTENT
    fails(server.url("z.pth"), cache, sha256_prefix="0" * 64)


# No server, no file, no space


def test_404_names_the_address_the_place_and_the_check(server, cache):
    server.status = 404
    error = fails(server.url("swin_tiny.pth"), cache)
    assert str(error) == (
        f"can't download {server.url('swin_tiny.pth')}: the server answers 404 Not Found.\n"
        "Try again with a network, or download the file elsewhere and put it at\n"
        f"  {target(cache, 'swin_tiny.pth')}\n"
        "Its name states no checksum, so none is checked.\n"
        "The environment variable PKD_CACHE chooses the cache folder."
    )
    assert files(cache) == []


def test_refused_port(cache):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = fails(f"http://127.0.0.1:{port}/{NAME}", cache)
    assert error.message == f"can't download http://127.0.0.1:{port}/{NAME}: Connection refused."


def test_no_such_host(cache, monkeypatch):
    def offline(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    error = fails(f"https://download.example.org/{NAME}", cache)
    assert error.message == f"can't download https://download.example.org/{NAME}: Name or service not known."
    assert str(cache / "downloads" / "download.example.org" / NAME) in error.hint


def test_a_server_that_never_answers(cache, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}"
        error = fails(url, cache)
    assert error.message == f"can't download {url}: no answer within 0.2 seconds."


def test_no_space_left(server, cache, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = fails(server.url(), cache)
    assert error.message == f"no space left to write {target(cache)}."
    assert "PKD_CACHE" in error.hint
    assert not target(cache).exists()
    monkeypatch.undo()
    assert fetch(server.url(), cache).read_bytes() == CONTENT


def test_a_cache_that_is_a_file(server, tmp_path):
    (tmp_path / "cache").write_text("")
    error = fails(server.url(), tmp_path / "cache")
    assert error.message.startswith(f"can't write {tmp_path / 'cache' / 'downloads' / '127.0.0.1' / NAME}: ")


# Addresses and paths


def test_paths_pass_through(tmp_path, cache):
    file = tmp_path / "my weights.pth"
    file.write_bytes(b"x")
    assert fetch(str(file), cache) == file
    assert fetch(file.as_uri(), cache) == file
    assert resolve_weights(str(file), cache) == file
    assert not cache.exists()
    error = fails(str(tmp_path / "no.pth"), cache, code=ExitCode.USAGE)
    assert error.message == f"there is no file {tmp_path / 'no.pth'}."


@pytest.mark.parametrize(
    "url", ["http://download.example.org/a-00000000.pth", "ftp://127.0.0.1/a.pth", "s3://bucket/a.pth"]
)
def test_only_https(url, cache):
    assert fails(url, cache, code=ExitCode.USAGE).message == f"{url} is not an https address."
    assert not cache.exists()


def test_a_redirect_to_an_unsafe_address_is_refused(server, cache):
    server.status, server.location = 302, f"http://download.example.org/{NAME}"
    fails(server.url(), cache, code=ExitCode.USAGE)


@pytest.mark.parametrize("name", ["", "zoo/", "%2e%2e"])
def test_an_address_without_file(server, cache, name):
    fails(f"http://127.0.0.1:1/{name}", cache, code=ExitCode.USAGE)


def test_an_address_can_not_leave_the_cache(server, cache):
    assert fetch(server.url("..%2f..%2fevil.pth"), cache) == target(cache, "evil.pth")


# Several at once


def test_threads_and_processes_that_want_the_same_file(server, cache):
    server.slow = 1.0  # long enough for all to arrive while the first one is at it
    fork = multiprocessing.get_context("fork")  # they have imported torch already
    printed = fork.Queue()
    processes = [fork.Process(target=lambda: printed.put(fetch(server.url(), cache))) for _ in range(3)]
    for process in processes:
        process.start()
    got: list[Path] = []
    threads = [threading.Thread(target=lambda: got.append(fetch(server.url(), cache))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [printed.get(timeout=30) for _ in processes] == [target(cache)] * 3
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert got == [target(cache)] * 4
    assert target(cache).read_bytes() == CONTENT
    assert server.seen == [None]  # one download served all
    assert files(cache) == [NAME, f"{NAME}.ok"]


# The names of mmdet's configs


@pytest.fixture
def asked(monkeypatch):
    addresses = []

    def record(url, cache, **_):
        addresses.append(url)
        return Path(url)

    monkeypatch.setattr(download, "fetch", record)
    return addresses


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("torchvision://resnet50", "https://download.pytorch.org/models/resnet50-0676ba61.pth"),
        (
            "open-mmlab://detectron2/resnet50_caffe",
            "https://download.openmmlab.com/pretrain/third_party/resnet50_msra-5891d200.pth",
        ),
        (
            "open-mmlab://resnext101_64x4d",
            "https://download.openmmlab.com/pretrain/third_party/resnext101_64x4d-ee2c6f71.pth",
        ),
        (
            "open-mmlab://resnet50_caffe",  # the old name
            "https://download.openmmlab.com/pretrain/third_party/resnet50_caffe-788b5fa3.pth",
        ),
        (
            "mmcls://resnet18",
            "https://download.openmmlab.com/mmclassification/v0/resnet/resnet18_8xb32_in1k_20210831-fbbb1da6.pth",
        ),
        (
            "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
            "https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r50_fpn_1x_coco/"
            "retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth",
        ),
        ("https://example.org/a.pth", "https://example.org/a.pth"),
    ],
)
def test_names_of_weights(name, address, asked, cache):
    resolve_weights(name, cache)
    assert asked == [address]


def test_unknown_names_of_weights(cache):
    with pytest.raises(PkdError) as caught:
        resolve_weights("open-mmlab://detectron2/resnet50_cafe", cache)
    assert caught.value.message == "open-mmlab:// has no weights called 'detectron2/resnet50_cafe'."
    assert "open-mmlab://detectron2/resnet50_caffe?" in caught.value.hint
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(PkdError, match="mmdet's model zoo has no weights for mmdet::no/such"):
        resolve_weights("mmdet::no/such", cache)


def test_resolving_writes_nothing_into_the_home_folder(asked, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("MMENGINE_HOME", str(tmp_path / "mmengine"))
    resolve_weights("open-mmlab://resnext101_64x4d", cache)
    resolve_weights("torchvision://resnet50", cache)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def schemes(monkeypatch):
    """mmengine's table of schemes, as it was after the test."""
    from mmengine.runner.checkpoint import CheckpointLoader

    monkeypatch.setattr(CheckpointLoader, "_schemes", dict(CheckpointLoader._schemes))


def test_mmdets_pretrained_backbone_comes_through_the_cache(cache, schemes, monkeypatch):
    import torch

    from pkdcli.compat import activate

    activate()
    from mmdet.models.backbones import ResNet

    wanted = ResNet(18, base_channels=4)
    target_ = cache / "downloads" / "download.pytorch.org" / "resnet18-f37072fd.pth"
    target_.parent.mkdir(parents=True)
    torch.save(wanted.state_dict(), target_)
    # The real file is not at hand: tell the check this one's hash.
    digest = hashlib.sha256(target_.read_bytes()).hexdigest()
    monkeypatch.setattr(download, "hash_in_name", lambda name: digest[:8])
    model_zoo.install_into_mmengine(cache)
    backbone = ResNet(18, base_channels=4, init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet18"))
    backbone.init_weights()
    for key, value in wanted.state_dict().items():
        assert torch.equal(backbone.state_dict()[key], value), key
    assert json.loads((target_.parent / f"{target_.name}.ok").read_text())["sha256"] == digest


def test_offline_a_pretrained_backbone_says_where_to_put_it(server, cache, schemes):
    from mmengine.runner.checkpoint import CheckpointLoader

    model_zoo.install_into_mmengine(cache)
    server.status = 404
    with pytest.raises(PkdError) as caught:
        CheckpointLoader.load_checkpoint(server.url(), "cpu")
    assert caught.value.code == ExitCode.MISSING
    assert str(target(cache)) in caught.value.hint


def test_mmcls_gives_its_backbone(server, cache, schemes, monkeypatch):
    import io

    import torch
    from mmengine.runner.checkpoint import CheckpointLoader

    buffer = io.BytesIO()
    torch.save({"state_dict": {"backbone.conv1.weight": torch.ones(2), "head.fc.weight": torch.ones(3)}}, buffer)
    server.content = buffer.getvalue()
    monkeypatch.setattr(model_zoo, "_hub", lambda table: {"resnet18": server.url("plain.pth")})
    model_zoo.install_into_mmengine(cache)
    content = CheckpointLoader.load_checkpoint("mmcls://resnet18", "cpu")
    assert list(content["state_dict"]) == ["conv1.weight"]
