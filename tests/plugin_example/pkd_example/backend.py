"""mmengine's side of the tracker; imported by the process that trains."""

from pathlib import Path

from mmengine.visualization import BaseVisBackend
from mmengine.visualization.vis_backend import force_init_env


class Lines(BaseVisBackend):
    """Appends what it is told to a text file, a line each.

    Args:
        save_dir: The tracker's folder in the run directory.
        title: The first line.
    """

    def __init__(self, save_dir: str, title: str) -> None:
        super().__init__(save_dir)
        self.file = Path(save_dir) / "lines.txt"
        self.title = title

    def _init_env(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._write(self.title)

    @property
    def experiment(self) -> "Lines":
        """What mmengine takes for the object behind a backend."""
        return self

    @force_init_env
    def add_scalars(self, scalar_dict, step=0, file_path=None, **kwargs) -> None:
        """Write a record of metrics.jsonl."""
        self._write(f"{step}: " + ", ".join(f"{key}={value:.4g}" for key, value in scalar_dict.items()))

    def _write(self, line: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
