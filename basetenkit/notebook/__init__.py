"""Widgets for JupyterLab: the form, the live view, the workbench."""
