"""What shows and works in a cell of JupyterLab: forms, live views, the workbench."""
