"""`python -m mgdmkit ...` is `mgdm ...`."""

from mgdmkit.cli.main import main

if __name__ == "__main__":
    main()
