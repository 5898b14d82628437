"""A real JupyterLab and a real Chromium, driven by playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, TimeoutError, sync_playwright

from ..real.servers import free_port, process

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """JupyterLab on `folder`; yields its address. Without a token: it listens on loopback, for the length of a test."""
    port = free_port()
    home = folder / ".home"
    env = os.environ | {f"JUPYTER_{name}": str(home / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    env["IPYTHONDIR"] = str(home / "ipython")
    env |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    options = ["--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--ServerApp.root_dir={folder}"]
    options += ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
    options += [
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", *options]
    with process(command, f"{address}/api/status", folder / "lab.log", env=env):
        yield address


@contextlib.contextmanager
def page(height: int = 6000) -> Iterator[Page]:
    """A tall page: JupyterLab draws only the cells that are in view."""
    path = os.environ.get("BASETENKIT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        try:
            yield browser.new_page(viewport={"width": 1280, "height": height})
        finally:
            browser.close()


def run_all(page: Page, address: str, notebook: str, timeout_s: float = 120) -> None:
    """Opens a notebook and runs all its cells to the end."""
    page.goto(f"{address}/lab/tree/{notebook}?reset")
    idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
    page.wait_for_selector(idle, state="attached", timeout=60_000)
    select = page.locator(".jp-Dialog .jp-mod-accept")  # JupyterLab may ask for a kernel the first time
    with contextlib.suppress(TimeoutError):
        select.click(timeout=3000)
    page.click('li.lm-MenuBar-item:has-text("Run")')
    page.click('li.lm-Menu-item[data-command="runmenu:run-all"]')
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    until = time.monotonic() + timeout_s
    while not last.inner_text().strip("[]: \n").isdigit():
        assert time.monotonic() < until, "the notebook did not end"
        page.wait_for_timeout(250)
    page.wait_for_timeout(1500)


def run_cell(page: Page, at: int, shows: str, timeout_s: float = 60) -> None:
    """Runs one code cell until the page shows a text; again where JupyterLab lost the keys, as it does while it scrolls."""
    editor = page.locator(".jp-CodeCell").nth(at).locator(".cm-content")
    until = time.monotonic() + timeout_s
    while True:
        editor.scroll_into_view_if_needed()
        editor.focus()
        editor.press("Control+Enter")
        with contextlib.suppress(TimeoutError):
            page.wait_for_selector(shows, timeout=5000)
            return
        said = page.locator(".jp-CodeCell").nth(at).inner_text()
        assert time.monotonic() < until, f"cell {at} does not show {shows!r} but {said!r}"


def go_dark(page: Page) -> None:
    """JupyterLab's own dark theme, by its menu."""
    page.click('li.lm-MenuBar-item:has-text("Settings")')
    page.hover('.lm-Menu-item:has-text("Theme")')
    page.click('.lm-Menu-item:has-text("JupyterLab Dark")')
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    page.wait_for_timeout(800)


def save(page: Page) -> None:
    """Saves the notebook by the menu, and waits until it is no longer marked as changed."""
    page.click('li.lm-MenuBar-item:has-text("File")')
    page.click('li.lm-Menu-item[data-command="docmanager:save"]')
    page.wait_for_selector(".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-current:not(.jp-mod-dirty)")
