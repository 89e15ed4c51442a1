"""The entry point of `pkd` and of `python -m pkdcli`."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from pkdcli.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
