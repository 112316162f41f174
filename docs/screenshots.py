"""Take the pictures of the README and of the gallery from reports, with Chromium: python -m docs.screenshots [RESULTS]

RESULTS, by default results/, must contain demo_sequences and demo_nuclei (`make run`).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent / "images"
WIDTH, NARROW, COLOURS = 1000, 850, 256
ALONE = """<style>
main > section:not(#{chapter}), header, nav {{ display: none !important }}
body {{ display: block !important; margin: 0 24px !important }}
main, h2 {{ margin: 0 !important; padding: 8px 0 0 !important; border: 0 !important }}
main > section {{ border: 0 !important; margin: 0 !important; padding: 0 !important }}
</style>"""
# Name of the picture, experiment, chapter of its report ("": the start of the page), and height in pixels.
PICTURES = [
    ("report_sequences", "demo_sequences", "", 900),
    ("report_nuclei", "demo_nuclei", "", 900),
    ("gallery_motifs", "demo_sequences", "explanation", 900),
    ("gallery_baselines", "demo_sequences", "audit", 800),
    ("gallery_diagnosis", "demo_sequences", "diagnosis", 700),
    ("gallery_performance", "demo_nuclei", "performance", 900),
    ("gallery_objects", "demo_nuclei", "objects", 900),
    ("gallery_confidence", "demo_nuclei", "confidence", 900),
    ("gallery_attention", "demo_nuclei", "explanation", 900),
    ("gallery_methods", "demo_nuclei", "methods", 700),
]


def main(results: str = "results") -> None:
    """Write all pictures to docs/images."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium on PATH")
    for name, experiment, chapter, height in PICTURES:
        page = Path(results, experiment, "report.html").resolve()
        with tempfile.TemporaryDirectory() as folder:
            alone = Path(folder) / "page.html"  # this chapter: with #chapter, a picture may begin elsewhere
            rule = ALONE.format(chapter=chapter) if chapter else ""
            alone.write_text(page.read_text(encoding="utf-8").replace("</head>", f"{rule}</head>", 1), encoding="utf-8")
            picture = Path(folder) / "picture.png"
            command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            command += [
                f"--window-size={WIDTH if not chapter else NARROW},{height}",
                f"--screenshot={picture}",
                alone.as_uri(),
            ]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            image = Image.open(picture).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
            image.save(FOLDER / f"{name}.png", optimize=True)
        print(FOLDER / f"{name}.png", (FOLDER / f"{name}.png").stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
