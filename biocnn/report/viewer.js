"use strict";
// New images: both pictures move and zoom together, outlines can be hidden, an outline and its row choose each other.
// Uses all, make and button of page.js.

function viewer(figure) {
  const pictures = all(".pane svg", figure), marks = figure.querySelector(".marks"), bar = figure.querySelector(".bar");
  const box = pictures[0].viewBox.baseVal, home = [box.x, box.y, box.width, box.height], view = [...home];
  const outlines = new Map(all("path", marks).map((path) => [path.querySelector("title").textContent, path]));
  const rows = new Map(all("tbody tr", figure).map((row) => [row.cells[0].textContent, row]));

  const show = () => {
    for (const i of [0, 1]) view[i] = Math.min(Math.max(view[i], home[i]), home[i] + home[i + 2] - view[i + 2]);
    for (const picture of pictures) picture.setAttribute("viewBox", view.join(" "));
    figure.classList.toggle("zoomed", view[2] < home[2]);
    if (bar) scale();
  };
  const scale = () => { // 1, 2 or 5 times a power of ten, up to a quarter of the picture
    const field = figure.dataset.field * view[2] / home[2], power = 10 ** Math.floor(Math.log10(field / 4));
    const length = Math.max(...[1, 2, 5].map((step) => step * power).filter((step) => step <= field / 4));
    bar.style.width = `${100 * length / field}%`;
    bar.textContent = `${Number(length.toPrecision(3))} ${figure.dataset.unit}`;
  };
  const zoom = (factor, x = 0.5, y = 0.5) => { // around a point, given as fractions of the view
    const width = Math.min(Math.max(view[2] * factor, home[2] / 60), home[2]), height = width * home[3] / home[2];
    view.splice(0, 4, view[0] + x * (view[2] - width), view[1] + y * (view[3] - height), width, height);
    show();
  };
  const at = (event) => {
    const frame = event.currentTarget.getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
  };

  const choose = (name) => {
    for (const part of all(".chosen", figure)) part.classList.remove("chosen");
    for (const part of [outlines.get(name), rows.get(name)]) part?.classList.add("chosen");
    return [outlines.get(name), rows.get(name)];
  };
  const toRow = (name) => {
    const [, row] = choose(name);
    if (!row) return;
    row.closest("details").open = true;
    row.hidden = false;
    const frame = row.closest(".scroll");
    frame.scrollTop += row.getBoundingClientRect().top - frame.getBoundingClientRect().top - frame.clientHeight / 2;
  };
  const toOutline = (name) => {
    const [path] = choose(name);
    if (!path) return;
    marks.classList.remove("off");
    label();
    marks.append(path); // above the others
    const object = path.getBBox(), width = Math.min(Math.max(4 * object.width, 4 * object.height * home[2] / home[3], home[2] / 20), home[2]);
    const height = width * home[3] / home[2];
    view.splice(0, 4, object.x + (object.width - width) / 2, object.y + (object.height - height) / 2, width, height);
    show();
  };

  for (const picture of pictures) {
    let last = null, moved = 0;
    picture.addEventListener("wheel", (event) => { // without a key the page scrolls, as everywhere
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(1.002 ** event.deltaY, ...at(event));
    }, { passive: false });
    picture.addEventListener("pointerdown", (event) => { last = event; moved = 0; });
    picture.addEventListener("pointermove", (event) => {
      if (!last || !event.buttons) return;
      const frame = picture.getBoundingClientRect(), [x, y] = [event.clientX - last.clientX, event.clientY - last.clientY];
      moved += Math.hypot(x, y);
      if (moved > 3 && !picture.hasPointerCapture(event.pointerId)) picture.setPointerCapture(event.pointerId);
      view[0] -= x * view[2] / frame.width;
      view[1] -= y * view[3] / frame.height;
      last = event;
      show();
    });
    picture.addEventListener("click", (event) => {
      const path = event.target.closest("path");
      if (path && moved <= 3) toRow(path.querySelector("title").textContent);
    });
    picture.addEventListener("dblclick", (event) => zoom(0.5, ...at(event)));
  }
  for (const [name, row] of rows) {
    row.tabIndex = 0;
    row.addEventListener("click", () => toOutline(name));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") toOutline(name); });
  }

  const drawn = outlines.size ? "outlines" : "overlay";
  const label = () => { hide.textContent = `${marks.classList.contains("off") ? "Show" : "Hide"} ${drawn}`; };
  const hide = button("", `Show or hide the ${drawn}`, () => { marks.classList.toggle("off"); label(); });
  label();
  figure.querySelector(".panes").after(make("p", { className: "tools" },
    button("−", "Smaller", () => zoom(2)), button("+", "Larger; also a double click, or Ctrl and the wheel", () => zoom(0.5)),
    button("Whole", "Whole image", () => { view.splice(0, 4, ...home); show(); }), hide));
}

document.body.classList.add("interactive");
all("figure.viewer").forEach(viewer);
