"""The shell: `mgdm ...`, its check of the machine, and the notebooks without a browser. May import every room.

Nothing is handed on here: `mgdm --help` waits for no room that it does not need.
"""
