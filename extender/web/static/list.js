// A list of which only the rows in sight exist: 5,000 nodes cost what a screenful costs.

import { h } from "./dom.js";

const SPARE = 4;

export class List {
  /** `render(item)` returns a row's children; `seen(items)` is told what has come into sight; `chosen(item)` of a choice. */
  constructor(view, rows, { render, seen, chosen }) {
    Object.assign(this, { view, rows, render, seen, chosen, items: [], at: -1, shown: new Map() });
    view.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(view);
    rows.addEventListener("click", (event) => this.click(event));
    view.addEventListener("keydown", (event) => this.key(event));
  }

  get height() {
    return parseFloat(getComputedStyle(this.view).getPropertyValue("--row"));
  }

  /** Shows other items; the chosen one stays chosen where it is among them. */
  set(items, name) {
    this.items = items;
    this.at = items.findIndex((item) => item.name === name);
    this.rows.style.height = `${items.length * this.height}px`;
    this.redraw();
  }

  redraw() {
    this.shown.clear();
    this.rows.replaceChildren();
    this.draw();
  }

  draw() {
    const height = this.height;
    const first = Math.max(0, Math.floor(this.view.scrollTop / height) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((this.view.scrollTop + this.view.clientHeight) / height) + SPARE);
    for (const [place, row] of this.shown) {
      if (place < first || place >= last) {
        row.remove();
        this.shown.delete(place);
      }
    }
    const fresh = [];
    for (let place = first; place < last; place++) {
      if (this.shown.has(place)) continue;
      fresh.push(this.items[place]);
      this.put(place, height);
    }
    this.mark();
    if (fresh.length) this.seen(fresh);
  }

  put(place, height) {
    const item = this.items[place];
    const row = h("div", { class: "node", role: "option", id: `row-${place}`, "data-place": place, "aria-setsize": this.items.length, "aria-posinset": place + 1 }, this.render(item));
    row.style.transform = `translateY(${place * height}px)`;
    this.shown.get(place)?.remove();
    this.shown.set(place, row);
    this.rows.append(row);
  }

  /** Draws the rows of some names again, where they are in sight. */
  refresh(names) {
    const height = this.height;
    for (const place of [...this.shown.keys()]) {
      if (names.has(this.items[place]?.name)) this.put(place, height);
    }
    this.mark();
  }

  mark() {
    for (const [place, row] of this.shown) row.setAttribute("aria-selected", place === this.at);
    if (this.shown.has(this.at)) this.view.setAttribute("aria-activedescendant", `row-${this.at}`);
    else this.view.removeAttribute("aria-activedescendant");
  }

  click(event) {
    const row = event.target.closest(".node");
    if (row) this.choose(Number(row.dataset.place));
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.view.clientHeight / this.height) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.items.length, End: this.items.length }[event.key];
    if (step === undefined || !this.items.length) return;
    event.preventDefault();
    this.choose(Math.min(this.items.length - 1, Math.max(0, this.at + step)));
  }

  choose(place) {
    this.at = place;
    const height = this.height;
    const top = place * height;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (top + height > this.view.scrollTop + this.view.clientHeight) this.view.scrollTop = top + height - this.view.clientHeight;
    this.draw();
    this.chosen(this.items[place]);
  }
}
