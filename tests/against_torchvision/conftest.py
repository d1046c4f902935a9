"""These tests have an environment of their own (requirements.txt here); without torchvision nothing is collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torchvision") else ["test_*.py"]
