"""Run a page in a browser without a window, and return what a script finds in it."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")


def run_in_browser(page: Path, script: str, *options: str) -> dict:
    """Open a copy of a page, and run a script in it after those of the page.

    Parameters
    ----------
    page
        HTML file.
    script
        Statements that assign findings to the object ``found``.
    options
        Command line options of the browser.

    Returns
    -------
    found
        The findings; ``error`` if the script or one of the page failed.
    """
    watch = "<script>const failures = []; onerror = (text) => failures.push(text);</script>"
    tell = f"""<script>{{
      const found = {{}};
      try {{ {script} }} catch (error) {{ failures.push(String(error.stack)); }}
      if (failures.length) found.error = failures.join("; ");
      const told = {{ id: "found", textContent: JSON.stringify(found) }};
      document.body.append(Object.assign(document.createElement("pre"), told));
    }}</script>"""
    copy = page.with_name("in_browser.html")
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{watch}", 1).replace("</body>", f"{tell}</body>")
    copy.write_text(text, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,800", *options]
    command += [f"--user-data-dir={page.parent / 'browser'}", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
