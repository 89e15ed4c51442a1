"""The entry point of `pkd` and of `python -m pkdcli`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it quietly too."""
    try:
        from pkdcli.cli import main as command_line
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    command_line()


if __name__ == "__main__":
    main()
