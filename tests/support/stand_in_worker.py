"""What `pkdcli.engine.worker` does towards the outside, in the twentieth of a second; a script."""

import json
import os
import signal
import sys
import time

manners = dict(pair.split("=") for pair in os.environ.get("MANNERS", "").split(",") if pair)


def read(path):
    with open(path) as file:
        return json.load(file)


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.status, self.job = self.read("status.json"), self.read("job.json")

    def read(self, name):
        return read(f"{self.folder}/{name}")

    def write(self, name, content):
        with open(f"{self.folder}/{name}.part", "w") as file:
            json.dump(content, file)
        os.replace(f"{self.folder}/{name}.part", f"{self.folder}/{name}")

    def say(self, **fields):
        self.status.update(fields)
        self.write("status.json", self.status)

    def fail(self, message, hint, code):
        self.say(state="failed", phase=None, error={"message": message, "hint": hint, "code": code})
        return code

    def work(self):
        status, folder = self.status, self.folder
        manner = next((manner for part, manner in manners.items() if part in status["run"]), "well")
        print("the worker of", status["run"], "is", manner, flush=True)
        if manner == "fails":
            return self.fail("the loss is NaN at step 3.", "Try a smaller --weight.", 1)
        if manner == "lacks":
            return self.fail("no weights.", "Download them.", 3)
        if manner == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if manner == "waits":
            self.say(phase="train", epoch=1, epochs=6, iter=3, iters=600, train_loss=1.5, it_per_s=2.0, eta_s=3700)
            time.sleep(60)
            return 77
        if manner == "shows":  # long enough for a frame of the screen
            time.sleep(2)
        mAP = {"teacher": 70.0, "baseline": 20.0}.get(status["role"]) or 30.0 + status["weight"] / 10
        if manner.replace(".", "").isdigit():  # what it shall reach
            mAP = float(manner)
        if pause := self.job.get("pause"):  # a search's trial
            with open(f"{folder}/metrics.jsonl", "a") as file:
                records = [{"kind": "train", "iter": pause["at"], "seconds": 0.1 * pause["at"]}]
                kind = "rung" if pause["mean"] else "val"
                records += [{"kind": kind, "iter": pause["at"], "mAP": mAP - 10}] if pause["measure"] else []
                file.writelines(json.dumps(one) + "\n" for one in records)
            error = {"message": f"paused after {pause['at']} of 6 steps", "hint": None, "code": 0}
            self.say(state="interrupted", phase=None, iter=pause["at"], paused=pause["at"], error=error)
            return 0
        metrics = {"mAP": mAP, "AP50": mAP + 20, "AP75": mAP + 1, "AP_S": None, "AP_M": mAP, "AP_L": mAP + 5}
        with open(f"{folder}/recipe.yaml") as recipe:
            lines = [line for line in recipe if line.startswith(("max_", "val_im"))]
        knobs = dict(line.rstrip().split(": ") for line in lines)
        open(f"{folder}/{'teacher' if status['role'] == 'teacher' else 'student'}.pth", "w").close()
        teacher = self.job["teacher"]
        self.write(
            "result.json",
            {
                **status,
                "split": "val",
                "epoch": 6,
                "metrics": metrics,
                "teacher_metrics": read(f"{teacher}/result.json")["metrics"] if teacher else None,
                **{key: None if value == "null" else int(value) for key, value in knobs.items()},
            },
        )
        self.say(state="done", phase=None, epoch=6, epochs=6)
        return 0


runs = [Run(folder) for folder in sys.argv[1:]]


def asked(*_):
    for run in runs:
        if run.status["state"] == "running":
            error = None
            if os.path.exists(f"{run.folder}/.cancel"):
                by = run.read(".cancel")["by"]
                error = {"message": f"cancelled with `pkd cancel` by {by}", "hint": None, "code": 130}
            run.say(state="interrupted", phase=None, error=error)
    sys.exit(130)


signal.signal(signal.SIGINT, asked)
for run in runs:
    run.say(state="running", phase="start", pid=os.getpid(), host=os.uname().nodename)
sys.exit(max(run.work() for run in runs))
