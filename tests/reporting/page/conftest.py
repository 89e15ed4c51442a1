"""Run directories as the engine leaves them, with curves, levels, detections and images."""

from __future__ import annotations

import json
import math
import shutil

import cv2
import numpy as np
import pytest
import yaml

from pkdcli.runs.store import write_json, write_text

SIX = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")
EVIL = "<img src=x onerror=hacked=1>"


class Site:
    """Writes runs below `root`, and the images they show."""

    def __init__(self, root):
        self.root = root / "runs"
        self.folder = root / "images"
        self.folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for n in range(5):
            cv2.imwrite(str(self.folder / f"{n}.png"), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))

    def add(self, run, mAP=None, state="done", error=None, curves=True, samples=True, recipe=None, **changes):
        distilled = changes.get("role") != "baseline"
        data = {
            **{"schema": 1, "run": run, "role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101"},
            **{"student": "fcos50", "loss": "mse", "weight": 10.0, "temperature": None, "schedule": "2x"},
            **{"data": "shapes", "split": "val", "scale": "tiny", "seed": 0, "batch": 8, "epoch": 6, "epochs": 6},
            **{"teacher_title": "GFL-Res101", "student_title": "FCOS-Res50", "levels": "index", "init": "scratch"},
            **({} if distilled else {"loss": "none", "weight": None}),
            **{"seconds": 61.4, "images_per_second": 43.21, "peak_memory_mb": 900.0, **changes},
        }
        folder = self.root / run
        write_json(folder / "status.json", {**data, "state": state, "error": error, "iter": 40, "iters": 60})
        if mAP is not None:
            metrics = dict(zip(SIX, (mAP, mAP + 20.54, mAP + 1, mAP - 4, mAP - 1, mAP + 5), strict=True))
            teacher = dict(zip(SIX, (70.26, 91.5, 80.04, 60.0, 69.0, 81.25), strict=True)) if distilled else None
            write_json(folder / "result.json", {**data, "metrics": metrics, "teacher_metrics": teacher})
        student = {"name": "fcos50", "config": "fcos/fcos_r50_fpn_gn-head_1x_coco.py"}
        text = recipe or yaml.safe_dump({"pair": data["pair"], "student": student, "notes": f"{run} & <b>"})
        write_text(folder / "recipe.yaml", text)
        write_json(folder / "env.json", {"command": f"pkd train --set a='<{run}>'", "versions": {"torch": "2.15.0"}})
        if curves:
            self.curves(folder, mAP or 10.0, distilled)
        if samples:
            self.samples(folder / "samples.json", 0.9 if distilled else 0.4)
        return folder

    def curves(self, folder, mAP, distilled):
        lines = [{"kind": "start", "iter": 0}]
        for step in range(2, 61, 2):
            record = {"kind": "train", "iter": step, "epoch": 1, "lr": 0.01, "loss": 4 + 50 / step, "loss_cls": 1.0}
            if distilled:
                record |= {f"distill.loss_mse_fpn{n}": 10 / step for n in range(4)}
                levels = {"kind": "levels", "iter": step}
                for n in range(4):
                    levels |= {f"level{n}.loss": (n + 1) / step, f"level{n}.grad_share": (4 - n) / 10}
                    levels |= {f"level{n}.r": math.tanh(step / 30), f"level{n}.top10_share": 0.3}
                lines.append(levels)
            lines.append(record)
        lines += [{"kind": "val", "iter": 30, "mAP": mAP / 2}, {"kind": "val", "iter": 60, "mAP": mAP}]
        write_text(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def samples(self, path, score, classes=("circle", EVIL)):
        images = [
            {
                "id": n, "file": f"{n}.png", "path": str(self.folder / f"{n}.png"), "width": 80, "height": 60,
                "truth": [{"box": [10, 10, 30, 30], "label": 0}, {"box": [40, 20, 70, 50], "label": 1}],
                "detections": [
                    {"box": [11, 10, 30, 31], "label": 0, "score": score},
                    {"box": [40, 20, 70, 50], "label": 0, "score": 0.35},
                    {"box": [0, 0, 5, 5], "label": 1, "score": 0.06},
                ],
            }
            for n in range(5)
        ]  # fmt: skip
        write_json(path, {"schema": 1, "epoch": 6, "iter": 60, "classes": list(classes), "images": images})

    def whole(self):
        """A sweep of three weights, pkd over two seeds, and runs that are not done."""
        self.add("base", 16.04, role="baseline")
        self.add("base-s1", 15.0, role="baseline", seed=1)
        self.add("mse-10", 31.54)
        self.add("mse-30", 33.26, weight=30.0)
        self.add("mse-50", 12.0, weight=50.0)
        self.add("pkd-s0", 38.96, loss="pkd")
        self.add("pkd-s1", 38.0, loss="pkd", seed=1)
        self.add("other", 20.0, pair="retinax101-retina50", student="retina50", teacher="retinax101")
        message = {"message": f"loss is NaN at step 40 {EVIL}", "hint": "Give a smaller weight.", "code": 1}
        self.add("failed", state="failed", error=message, epoch=4, weight=70.0)
        self.add("open", state="interrupted", epoch=2, weight=90.0)
        self.add(
            f"evil {EVIL}", 5.0, weight=20.0, recipe=f"pair: x\nnotes: </template><script>hacked=1</script>{EVIL}\n"
        )
        return self


@pytest.fixture
def site(tmp_path):
    """An empty runs folder to put runs into."""
    return Site(tmp_path)


@pytest.fixture(scope="session")
def whole_site(tmp_path_factory):
    """A runs folder with a sweep, seeds, failed and open runs, for tests that only look at it."""
    return Site(tmp_path_factory.mktemp("site")).whole()


CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium without a window; tests that want it are skipped where it is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    folder = tmp_path_factory.mktemp("chromium")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 f"--user-data-dir={folder}"):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser):
    """Opens an address at a width in a scheme; what the console says of it is looked at in the end."""

    def open_page(address, width=1280, scheme="light"):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get("about:blank")
        browser.get(address)
        return browser

    browser.get_log("browser")
    yield open_page
    assert browser.get_log("browser") == []
    assert browser.execute_script("return typeof hacked") == "undefined"
    assert browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)"
                                  ".filter(name => !name.startsWith('data:'))") == []  # fmt: skip
