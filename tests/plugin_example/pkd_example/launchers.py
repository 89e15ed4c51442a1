"""A launcher: runs on this machine, with a lower priority."""

from dataclasses import replace

from pydantic import BaseModel, Field

from pkdcli.launch.local.launcher import LocalLauncher


class NiceLauncher(LocalLauncher):
    """Starts workers as pkd does on this machine, each by way of `nice`."""

    class Keys(BaseModel):
        """What stands under `own` in a recipe of this kind.

        Attributes:
            level: How much the runs leave to others: 0 nothing, 19 all that others want.
        """

        level: int = Field(10, ge=0, le=19)

    def run(self, specs, watcher, done, **more):
        """Carry jobs out; see `pkdcli.launch.launcher.Launcher.run`."""
        level = self.Keys(**self.recipe.own).level
        specs = [replace(spec, argv=("nice", "-n", str(level), *spec.argv)) for spec in specs]
        return super().run(specs, watcher, done, **more)
