"""Scripts for PyneCore's own loader: pytest, which looks for doctests, must not import them."""

collect_ignore_glob = ["*.py"]
