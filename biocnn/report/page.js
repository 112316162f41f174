"use strict";
// What makes a page interactive: sorted and filtered tables, enlarged figures, hints, copies. Without it, everything
// can still be read.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function button(label, title, action) {
  const element = make("button", { type: "button", title, onclick: () => action(element) }, label);
  return element;
}

// Copies and downloads

const experiment = document.querySelector("h1").textContent.trim();

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // pages that are opened as files may have no clipboard
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

function download(text, type, name) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: `${experiment}_${name}`.replace(/[^\w.-]+/g, "_") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// Tables

const POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const UNITS = { "%": 0.01, B: 1, kB: 1e3, MB: 1e6, GB: 1e9, s: 1, min: 60, h: 3600 };

/** Return the plain notation of a number as it is printed here ("−.5", "1,234", "3.2 × 10⁻⁵"), and its unit. */
function plain(text) {
  const words = text.replace(/^< /, "").replace(/[−–](?=[.\d])/g, "-").replace(/(?<=\d),(?=\d{3})/g, "")
    .replace(/(?:\s*×\s*)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/, (found, power, start) =>
      `${start ? "" : 1}e${[...power].map((c) => (c === "⁻" ? "-" : POWERS.indexOf(c))).join("")}`);
  const found = words.match(/^([+-]?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)\s?(%|[kMG]?B|s|min|h)?$/);
  return found ? { number: found[1].replace(/^([+-]?)\./, "$10."), unit: found[2] ?? "" } : null;
}

function amount(text) {
  const found = plain(text);
  return found ? Number(found.number) * (UNITS[found.unit] ?? 1) : NaN;
}

/** Return the first line and the small line of a cell. */
function lines(cell) {
  const small = cell.querySelector("small")?.textContent.trim() ?? "";
  const first = [...cell.childNodes].filter((node) => node.nodeName !== "SMALL").map((node) => node.textContent);
  return [first.join("").trim(), small];
}

/** Compare cells: numbers by value, other text in natural order, empty cells last. */
function compare(a, b, down) {
  const empty = (text) => text === "" || text === "–";
  if (empty(a) || empty(b)) return empty(a) - empty(b);
  const [x, y] = [amount(a), amount(b)];
  const order = Number.isNaN(x) || Number.isNaN(y)
    ? a.localeCompare(b, "en", { numeric: true, sensitivity: "base" })
    : x - y;
  return down ? -order : order;
}

/** Return a table as tab-separated text: shown rows, numbers in plain notation, small lines in columns of their own. */
function separated(table) {
  const rows = all("tbody tr", table).filter((row) => !row.hidden).map((row) => [...row.cells].map(lines));
  const heads = [...table.tHead.rows[0].cells].map((cell) => lines(cell)[0].replace(/\s+/g, " "));
  const noted = heads.map((_, i) => rows.some((row) => row[i]?.[1]));
  const value = (text) => {
    const found = plain(text);
    return (found && !found.unit ? found.number : text).replace(/\s+/g, " ");
  };
  const line = (cells) => cells.flatMap((cell, i) => (noted[i] ? cell : cell[0])).join("\t");
  return [heads.map((name) => [name, `${name}, note`]), ...rows.map((row) => row.map((cell) => cell.map(value)))]
    .map(line).join("\n") + "\n";
}

function sortable(table) {
  const body = table.tBodies[0], original = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const sort = button("", "Sort", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort ?? "none"];
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      if (next !== "none") head.setAttribute("aria-sort", next);
      const down = next === "descending", text = new Map(original.map((row) => [row, lines(row.cells[column])[0]]));
      body.append(...(next === "none" ? original
        : original.toSorted((a, b) => compare(text.get(a), text.get(b), down))));
    });
    sort.append(...head.childNodes);
    if (sort.textContent.trim()) head.append(sort);
  });
}

function filter(table) {
  const count = make("span", { className: "count", ariaLive: "polite" });
  const field = make("input", { type: "search", placeholder: "Filter rows", ariaLabel: "Filter rows" });
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean), rows = all("tbody tr", table);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
  return [field, count];
}

function tables() {
  all("table").forEach((table, number) => {
    const frame = table.closest(".scroll"), rows = table.tBodies[0].rows.length;
    const name = `${table.closest("section").id}_${number + 1}.tsv`;
    const tools = make("p", { className: "tools" },
      button("Copy", "Copy the table as tab-separated text", (own) => copy(separated(table), own)),
      button("TSV", "Download the table", () => download(separated(table), "text/tab-separated-values", name)));
    if (rows > 1) sortable(table);
    if (rows > 11) tools.prepend(...filter(table));
    frame.after(tools);
  });
}

// Figures

/** Return a figure as an SVG file, with colours in place of the page's variables. */
function drawn(svg) {
  const box = svg.viewBox.baseVal, text = new XMLSerializer().serializeToString(svg);
  return text.replace(/var\(--[\w-]+, (#\w+)\)/g, "$1")
    .replace("<svg", `<svg width="${box.width}pt" height="${box.height}pt" stroke-linejoin="round"`);
}

/** Show a figure in a window of its own, where it can be enlarged and moved. */
function enlarge(figure) {
  const svg = figure.querySelector(".sheet svg").cloneNode(true), whole = svg.viewBox.baseVal;
  const home = [whole.x, whole.y, whole.width, whole.height], view = [...home];
  const show = () => svg.setAttribute("viewBox", view.join(" "));
  const scale = (factor, x = 0.5, y = 0.5) => { // around a point, given as fractions of the view
    const width = Math.min(Math.max(view[2] * factor, home[2] / 40), home[2] * 1.5), height = width * home[3] / home[2];
    view.splice(0, 4, view[0] + x * (view[2] - width), view[1] + y * (view[3] - height), width, height);
    show();
  };
  const move = (x, y) => { view[0] += x; view[1] += y; show(); };
  const reset = () => { view.splice(0, 4, ...home); show(); };
  const pixel = () => 1 / svg.getScreenCTM().a; // size of a pixel of the screen in the units of the figure
  const at = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [(point.x - view[0]) / view[2], (point.y - view[1]) / view[3]];
  };
  const pointers = new Map();
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    scale(1.0015 ** event.deltaY, ...at(event));
  }, { passive: false });
  svg.addEventListener("dblclick", (event) => scale(0.5, ...at(event)));
  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [other] = [...pointers.values()].filter((one) => one.pointerId !== event.pointerId);
    if (other) { // two fingers
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      scale(apart(before) / apart(event), ...at(event));
    } else move((before.clientX - event.clientX) * pixel(), (before.clientY - event.clientY) * pixel());
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => pointers.delete(event.pointerId));
  const close = button("Close", "Close (Esc)", () => dialog.close());
  const dialog = make("dialog", { className: "zoom", ariaLabel: "Enlarged figure" }, make("p", { className: "tools" },
    button("−", "Smaller (−)", () => scale(1.4)), button("+", "Larger (+)", () => scale(1 / 1.4)),
    button("Whole", "Whole figure (0)", reset), close), svg);
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  dialog.addEventListener("keydown", (event) => {
    if (event.key in step) move(...step[event.key].map((part) => part * view[2] / 10));
    else if ("+=".includes(event.key)) scale(1 / 1.4);
    else if (event.key === "-") scale(1.4);
    else if (event.key === "0") reset();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

function figures() {
  for (const figure of all("figure")) {
    const svg = figure.querySelector(".sheet svg");
    if (!svg) continue;
    svg.addEventListener("click", () => enlarge(figure));
    figure.querySelector(".tools").prepend(
      button("Enlarge", "Enlarge and move the figure", () => enlarge(figure)),
      button("Save SVG", "Download the figure", () => download(drawn(svg), "image/svg+xml", `${figure.id.slice(7)}.svg`)));
  }
}

// Hints

/** Show explanations at once when a word is pointed at, focused or touched. */
function hints() {
  const hint = make("div", { className: "hint", role: "tooltip", id: "hint", hidden: true });
  document.body.append(hint);
  const show = (word) => {
    hint.textContent = word.dataset.hint;
    hint.hidden = false;
    const box = word.getBoundingClientRect(), own = hint.getBoundingClientRect();
    const below = box.bottom + own.height + 12 < innerHeight;
    hint.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    hint.style.top = `${below ? box.bottom + 6 : box.top - own.height - 6}px`;
  };
  const hide = () => { hint.hidden = true; };
  for (const word of all("abbr[title]")) {
    word.dataset.hint = word.title;
    word.removeAttribute("title");
    word.setAttribute("aria-describedby", "hint");
    const focused = word.closest("button") ?? word; // the button of a column has the focus
    if (focused === word) word.tabIndex = 0;
    word.addEventListener("pointerenter", () => show(word));
    word.addEventListener("pointerleave", hide);
    focused.addEventListener("focus", () => show(word));
    focused.addEventListener("blur", hide);
  }
  addEventListener("scroll", hide, { passive: true, capture: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

// Chapters, texts and print

function chapters() {
  const links = new Map(all("nav a[href^='#']").map((link) => [link.hash.slice(1), link]));
  const mark = () => {
    const sections = all("main > section[id]");
    const passed = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3);
    const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const current = links.get((end && scrollY ? sections : passed).at(-1)?.id);
    for (const link of links.values()) {
      if (link === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const bar = current?.parentElement;
    if (bar && bar.scrollWidth > bar.clientWidth) bar.scrollLeft = current.offsetLeft - bar.clientWidth / 3;
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}

function texts() {
  for (const block of all("pre, blockquote")) {
    const text = () => (block.matches("pre") ? block.textContent
      : all("p", block).map((part) => part.textContent).join("\n\n"));
    block.before(make("p", { className: "tools" }, button("Copy", "Copy the text", (own) => copy(text(), own))));
  }
}

function unfold() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => { for (const part of opened) part.open = false; });
}

tables();
figures();
texts();
hints();
chapters();
unfold();
