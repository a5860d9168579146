"""Tasks: what a model row learns. One module per task, listed in `registry.py`.

Nothing is imported here, so that a form can show the options of the tasks without loading torch.
"""
