"""Clips on disk and labels in words: which there are, whether they are sound, and which frames a model sees of them.

Knows no network: what is read, made and checked here needs no weights.
"""
