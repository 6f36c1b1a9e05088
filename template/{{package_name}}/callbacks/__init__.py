"""Pictures and tables of what a model does; name them in a config under ``trainer.callbacks``.

A config may use each class of this folder's files by its name alone.
"""
