"""StickActions, the dataset that the kit draws: stick people at work in six places, as real video files.

May import config alone. Like any other dataset it is read through its manifest.
"""
