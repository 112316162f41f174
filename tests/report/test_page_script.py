"""The script of the page, in a browser."""

import json

import pytest
from browser import needs_chromium, run_in_browser

from biocnn.report.blocks import Code, Section, Text, table
from biocnn.report.figures import Gallery, new_figure, style
from biocnn.report.glossary import Explainer
from biocnn.report.page import render

NUMBERS = ["1,234", ".1", ".2", ".3", ".983\n.97–.99", "3.2\u00a0×\u00a010⁻⁵", "−.5", "–", "10", "< 10⁻³⁰⁰", "", "2.0"]
NAMES = ["seed10", "x", "y", "z", "seed9", "b", "a", "c", "d", "e", "f", "AUROC"]
SCRIPT = """
const [head, name] = all("#performance th:last-child, #performance th:first-child").reverse();
const column = (i) => all("#performance tbody tr").filter((row) => !row.hidden).map((row) => lines(row.cells[i])[0]);
found.sorted = [0, 1, 2].map(() => { head.querySelector("button").click(); return [head.ariaSort, column(1)]; });
name.querySelector("button").click();
found.names = column(0);
found.keyboard = all("th button, p abbr, .tools button").every((part) => part.tabIndex === 0);
found.unsorted = document.querySelectorAll("#data th button").length;
const field = document.querySelector("#performance input");
const type = (text) => { field.value = text; field.dispatchEvent(new Event("input")); };
type("seed 9");
found.filtered = [column(0), document.querySelector(".count").textContent];
const saved = [];
Blob = class { constructor(parts) { saved.push(parts.join("")); } };
URL.createObjectURL = () => "#saved";
const press = (label, within) => all("button", within).find((one) => one.textContent === label).click();
press("TSV", document.querySelector("#performance"));
type("");
press("Save SVG", document.querySelector("figure"));
found.saved = saved;
press("Enlarge", document.querySelector("figure"));
const large = document.querySelector("dialog svg"), width = () => large.viewBox.baseVal.width / 100;
const key = (name) => large.parentElement.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
found.zoom = [document.querySelector("dialog").open, width()];
for (const name of ["+", "ArrowRight", "0"]) { key(name); found.zoom.push(width(), large.viewBox.baseVal.x); }
large.dispatchEvent(new WheelEvent("wheel", { deltaY: -400, clientX: 600, clientY: 400 }));
found.zoom.push(width() < 0.9);
document.querySelector("dialog").close();
const word = document.querySelector("#performance p abbr");
word.dispatchEvent(new PointerEvent("pointerenter"));
found.hint = document.querySelector("#hint:not([hidden])").textContent;
dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
found.hidden = document.querySelector("#hint").hidden;
const open = () => all("details").map((part) => part.open);
found.print = [open()];
for (const event of ["beforeprint", "afterprint"]) { dispatchEvent(new Event(event)); found.print.push(open()); }
found.chapter = document.querySelector("nav [aria-current]").textContent;
const colour = (element, property) => getComputedStyle(element)[property];
found.dark = [colour(document.body, "backgroundColor"), colour(document.body, "color"),
  colour(document.querySelector(".sheet svg path[style*='--ink'], .sheet svg g[style*='--ink']"), "fill")];
found.wide = document.documentElement.scrollWidth > innerWidth;
const rules = [...document.styleSheets[0].cssRules];
for (const rule of rules) if (rule.media?.mediaText === "print") rule.media.mediaText = "all";
found.head = colour(name.querySelector("button"), "display");
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    rows = list(zip(NAMES, NUMBERS, strict=True))
    with style():
        figure = new_figure(1.0, 2.0)
        figure.subplots().set_title("Title")
        picture = Gallery(folder / "figures").add("line", figure, "a line", "Rises.")
    sections = [
        Section(
            "performance", "Performance", [Text("The AUROC is high."), table("All.", ["Run", "n"], rows, "n"), picture]
        ),
        Section("data", "Data", [table("One row.", ["Split"], [["train"]]), Code("Settings", "seed: 1", folded=True)]),
    ]
    page = {
        "title": "reb1",
        "verdict": "",
        "tiles": [],
        "origin": "",
        "explain": Explainer(folder),
        "sections": sections,
    }
    (folder / "report.html").write_text(render("page.html.j2", **page), encoding="utf-8")
    return run_in_browser(folder / "report.html", SCRIPT, "--blink-settings=preferredColorScheme=0")


pytestmark = needs_chromium


def test_no_script_fails(found):
    assert "error" not in found, found


def test_columns_sort_by_value_and_return_to_the_first_order(found):
    shown = [cell.split("\n")[0] for cell in NUMBERS]
    rising = ["−.5", "< 10⁻³⁰⁰", "3.2\u00a0×\u00a010⁻⁵", ".1", ".2", ".3", ".983", "2.0", "10", "1,234"]
    assert found["sorted"] == [
        ["ascending", [*rising, "–", ""]],
        ["descending", [*rising[::-1], "–", ""]],
        [None, shown],
    ]
    assert found["names"] == ["a", "AUROC", "b", "c", "d", "e", "f", "seed9", "seed10", "x", "y", "z"]
    assert found["keyboard"]
    assert not found["unsorted"], "a table of one row has nothing to sort"


def test_rows_are_filtered_and_saved_as_they_are_shown(found):
    assert found["filtered"] == [["seed9"], "1 of 12"]
    assert found["saved"][0] == "Run\tn\tn, note\nseed9\t0.983\t.97–.99\n"


def test_a_saved_figure_has_colours_of_its_own(found):
    svg = found["saved"][1]
    assert svg.startswith("<svg width=")
    assert "var(" not in svg
    assert "#1f2328" in svg.lower()


def test_figures_are_enlarged_moved_and_restored(found):
    opened, first, closer, _, moved, x, restored, origin, wheel = found["zoom"]
    assert opened
    assert closer < first == restored
    assert moved == closer
    assert x > origin == 0
    assert wheel


def test_words_explain_themselves(found):
    assert found["hint"].startswith("Area under the ROC curve")
    assert found["hidden"]


def test_print_unfolds_everything_and_folds_it_again(found):
    before, printed, after = found["print"]
    assert not all(before)
    assert all(printed)
    assert after == before
    assert found["head"] == "contents", "further pages repeat the heads of tables, but not the text of boxes"


def test_pages_and_figures_are_dark_on_dark_screens(found):
    paper, ink, drawn = (json.loads(f"[{colour[4:-1]}]") for colour in found["dark"])
    assert max(paper) < 60
    assert min(ink) > 200
    assert drawn == ink
    assert found["chapter"] == "Performance"
    assert not found["wide"]
