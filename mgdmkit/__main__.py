"""`python -m mgdmkit ...` is `mgdm ...`."""

import sys

try:
    from mgdmkit.cli.main import main
except ModuleNotFoundError as error:
    if (error.name or "mgdmkit").startswith("mgdmkit"):
        raise
    sys.exit(
        f"mgdmkit's packages are not in this Python ({error.name} is missing from {sys.executable}): use "
        f".venv/bin/python, or see docs/install.md"
    )

if __name__ == "__main__":
    main()
