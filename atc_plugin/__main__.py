"""The command line: `python -m atc_plugin`, or the script `atc`."""

from __future__ import annotations


def main() -> None:
    """Do what the arguments of this process ask for, and end it."""
    from .commands.group import atc

    atc.main(prog_name="atc")


if __name__ == "__main__":
    main()
