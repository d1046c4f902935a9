"""Widgets: each is a folder with its Python class, its style sheet and its view in small ES modules."""
