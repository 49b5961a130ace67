"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const SVG = "http://www.w3.org/2000/svg";

  /* ---- words: as in shardplan/units.py ---- */

  const scaled = (value, steps) => {
    for (const [scale, unit, digits] of steps) {
      if (Math.abs(value) >= scale) return `${(value / scale).toFixed(digits)} ${unit}`;
    }
    return null;
  };
  const UNITS = {
    bytes: (value) =>
      scaled(value, [[1e15, "PB", 1], [1e12, "TB", 1], [1e9, "GB", 1], [1e6, "MB", 1], [1e3, "kB", 1]]) ??
      `${value.toFixed(0)} B`,
    s: (value) => scaled(value, [[1, "s", 3], [1e-3, "ms", 3]]) ?? `${(value * 1e6).toFixed(1)} us`,
    share: (value) => `${(100 * value).toFixed(1)} %`,
  };
  const count = (value) => value.toLocaleString("en-US");

  const make = (name, text = "", className = "") => {
    const node = document.createElement(name);
    node.textContent = text;
    if (className) node.className = className;
    return node;
  };

  /* ---- ranks as text: "0-7,12" ---- */

  const runs = (text) =>
    text.split(",").map((part) => {
      const [first, last = first] = part.split("-").map(Number);
      return [first, last];
    });
  const meets = (text, low, high) => runs(text).some(([a, b]) => a <= high && b >= low);

  /* ---- stacked columns: read out a place, light a layer ---- */

  const readers = { rank: [], host: [] };
  const chooseRank = (rank) => readers.rank.forEach((read) => read(rank));

  const columnsOf = (root, figure) => {
    const svg = root.querySelector("svg.plot");
    const slider = root.querySelector("input.place");
    const output = root.querySelector("output");
    const cursor = svg.appendChild(document.createElementNS(SVG, "rect"));
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("height", "100%");
    cursor.setAttribute("visibility", "hidden");
    const form = UNITS[figure.unit];
    const nameOf = (at) => (figure.shown ? figure.shown[at] : at);

    const read = (at) => {
      slider.value = at;
      slider.setAttribute("aria-valuetext", `${figure.place} ${nameOf(at)}`);
      cursor.setAttribute("x", `${(100 * at) / figure.count}%`);
      cursor.setAttribute("width", `max(${100 / figure.count}%, 2px)`);
      cursor.style.width = `max(${100 / figure.count}%, 2px)`;
      cursor.setAttribute("visibility", "visible");
      const values = figure.layers.map(([name, values]) => [name, values[at]]);
      const total = values.reduce((sum, [, value]) => sum + value, 0);
      const parts = values
        .filter(([, value]) => value > 0)
        .map(([name, value]) => `${name} ${form(value)}`);
      const limit = figure.limit
        ? ` of ${form(figure.limit[at])} ${figure.limit_name} (${UNITS.share(total / figure.limit[at])})`
        : "";
      output.textContent = `${figure.place} ${nameOf(at)}: ${form(total)}${limit}` +
        (parts.length > 1 ? ` = ${parts.join(" + ")}` : "");
    };
    const indexOf = (place) => {
      if (!figure.shown) return Math.min(place, figure.count - 1);
      const found = figure.shown.findIndex((value) => value >= place);
      return found < 0 ? figure.count - 1 : found;
    };
    const choose = (at) => {
      if (figure.place === "rank") chooseRank(nameOf(at));
      else read(at);
    };
    (readers[figure.place] ?? []).push((place) => read(indexOf(place)));
    slider.addEventListener("input", () => choose(Number(slider.value)));
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const at = Math.floor(((event.clientX - box.left) / box.width) * figure.count);
      if (at >= 0 && at < figure.count) choose(at);
    });

    for (const key of all("span.key[data-layer]", root)) {
      const button = make("button");
      button.type = "button";
      button.append(...key.childNodes);
      button.setAttribute("aria-pressed", "false");
      key.replaceWith(button);
      button.addEventListener("click", () => {
        const lit = button.getAttribute("aria-pressed") !== "true";
        all("button[aria-pressed]", root).forEach((b) => b.setAttribute("aria-pressed", "false"));
        all("path.layer", svg).forEach((path, i) =>
          path.classList.toggle("lit", lit && i === Number(key.dataset.layer)));
        button.setAttribute("aria-pressed", String(lit));
        root.classList.toggle("dimmed", lit);
      });
    }
  };

  /* ---- the map: what lies under the pointer ---- */

  const mapOf = (root, tables, showRank) => {
    const image = root.querySelector("img");
    const output = root.querySelector("output");
    const number = document.getElementById("map-rank");
    const cross = root.querySelector(".picture").appendChild(make("div", "", "cross"));
    const rows = tables.rows.length;
    const MOST = 4;

    const held = (low, high, from, to) => {
      const found = [];
      for (let i = from; i <= to; i += 1) {
        for (const [ranks, share] of tables.rows[i][9]) {
          if (meets(ranks, low, high)) found.push([i, share]);
        }
      }
      return found;
    };
    const words = ([i, share]) =>
      `${tables.rows[i][0]} (${tables.types[tables.rows[i][4]]}, ${
        share >= 1 ? "whole" : `${UNITS.share(share)} of it`})`;
    const place = (low, high) => (low === high ? `rank ${low}` : `ranks ${low}-${high}`);

    image.addEventListener("pointermove", (event) => {
      const box = image.getBoundingClientRect();
      const x = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999999);
      const y = Math.min(Math.max((event.clientY - box.top) / box.height, 0), 0.999999);
      const wide = Math.max(1, tables.num_ranks / box.width);
      const tall = Math.max(1, rows / box.height);
      const low = Math.floor(x * tables.num_ranks);
      const high = Math.min(low + Math.ceil(wide) - 1, tables.num_ranks - 1);
      const from = Math.floor(y * rows);
      const to = Math.min(from + Math.ceil(tall) - 1, rows - 1);
      const found = held(low, high, from, to);
      const more = found.length > MOST ? ` and ${found.length - MOST} more` : "";
      const which = from === to ? tables.rows[from][0] : `tables ${from + 1} to ${to + 1} by cost`;
      output.textContent = `${place(low, high)}, ${which}: ` +
        (found.length ? found.slice(0, MOST).map(words).join(", ") + more : "nothing");
      cross.style.left = `${(100 * low) / tables.num_ranks}%`;
      cross.style.width = `max(2px, ${100 / tables.num_ranks}%)`;
      cross.style.top = "0";
      cross.style.bottom = "0";
      number.value = low;
      chooseRank(low);
    });
    readers.rank.push((rank) => {
      cross.style.left = `${(100 * rank) / tables.num_ranks}%`;
      cross.style.width = `max(2px, ${100 / tables.num_ranks}%)`;
      cross.style.top = "0";
      cross.style.bottom = "0";
      number.value = rank;
    });
    number.addEventListener("change", () => chooseRank(Number(number.value)));
    const show = () => showRank(Number(number.value));
    document.getElementById("map-show").addEventListener("click", show);
    image.addEventListener("click", show);
  };

  /* ---- the table of tables: filter, sort, pages ---- */

  const PAGE = 100;
  const tableOf = (root, tables) => {
    const body = root.querySelector("tbody");
    const heads = all("thead th", root);
    const filter = document.getElementById("filter");
    const status = document.getElementById("count");
    const [previous, next] = ["previous", "next"].map((id) => document.getElementById(id));
    const value = (row, column) => {
      if (column === 4) return tables.types[row[4]];
      if (column === 5) return tables.kernels[row[5]];
      if (column === 6) return Number.parseInt(row[6], 10);
      return row[column];
    };
    const shown = [
      (row) => row[0],
      (row) => count(row[1]),
      (row) => String(row[2]),
      (row) => UNITS.bytes(row[3]),
      (row) => tables.types[row[4]],
      (row) => tables.kernels[row[5]],
      (row) => row[6],
      (row) => UNITS.s(row[7]),
      (row) => UNITS.share(row[8]),
    ];
    const CLASSES = ["name", "n", "n", "n", "text", "text", "ranks", "n", "n"];
    const searched = tables.rows.map((row) =>
      `${row[0]} ${tables.types[row[4]]} ${tables.kernels[row[5]]}`.toLowerCase());
    let order = tables.rows.map((_, i) => i);
    let found = order;
    let first = 0;

    const draw = () => {
      const lines = found.slice(first, first + PAGE).map((i) => {
        const line = document.createElement("tr");
        shown.forEach((text, column) => {
          const cell = make(column ? "td" : "th", text(tables.rows[i]), CLASSES[column]);
          if (!column) cell.scope = "row";
          line.append(cell);
        });
        return line;
      });
      body.replaceChildren(...lines);
      const last = Math.min(first + PAGE, found.length);
      status.textContent = found.length
        ? `${count(first + 1)} to ${count(last)} of ${count(found.length)}` +
          (found.length < order.length ? ` (${count(order.length)} in all)` : "")
        : "No table matches.";
      previous.disabled = first === 0;
      next.disabled = last >= found.length;
    };
    const search = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const ranks = words.filter((w) => /^rank:\d+$/.test(w)).map((w) => Number(w.slice(5)));
      const texts = words.filter((w) => !/^rank:\d+$/.test(w));
      found = words.length
        ? order.filter((i) =>
          texts.every((word) => searched[i].includes(word)) &&
          ranks.every((rank) => meets(tables.rows[i][6], rank, rank)))
        : order;
      first = 0;
      draw();
    };
    const sort = (column, ascending) => {
      const sign = ascending ? 1 : -1;
      order = tables.rows.map((_, i) => i).sort((a, b) => {
        const [x, y] = [value(tables.rows[a], column), value(tables.rows[b], column)];
        return x < y ? -sign : x > y ? sign : a - b;
      });
      search();
    };
    sortable(heads, 7, sort);
    filter.addEventListener("input", search);
    previous.addEventListener("click", () => { first = Math.max(0, first - PAGE); draw(); });
    next.addEventListener("click", () => { first += PAGE; draw(); });
    search();
    return (rank) => {
      filter.value = `rank:${rank}`;
      search();
      document.getElementById("tables").scrollIntoView();
      filter.focus({ preventScroll: true });
    };
  };

  /* Headings become buttons; numbers are sorted from the largest first. */
  const sortable = (heads, sorted, sort) => {
    heads.forEach((head, column) => {
      const button = make("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      head.setAttribute("aria-sort", column === sorted ? "descending" : "none");
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const ascending = now === "none" ? !head.classList.contains("n") : now === "descending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        sort(column, ascending);
      });
    });
  };

  /* Small tables are sorted in place, by what their cells stand for. */
  const inPlace = (table) => {
    const body = table.tBodies[0];
    const valueOf = (row, column) => {
      const cell = row.cells[column];
      const value = cell.dataset.value ?? cell.textContent.replace(/,/g, "");
      return value.trim() === "" || Number.isNaN(Number(value)) ? cell.textContent : Number(value);
    };
    sortable(all("thead th", table), -1, (column, ascending) => {
      const sign = ascending ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [valueOf(a, column), valueOf(b, column)];
        return x < y ? -sign : x > y ? sign : 0;
      });
      body.append(...rows);
    });
  };

  /* ---- the timeline: zoom, and read out a bar ---- */

  const lanesOf = (root, ranks) => {
    const output = root.querySelector("output");
    const select = document.getElementById("operation");
    const strips = all("[data-lanes]", root);
    const [smaller, larger] = ["zoom-out", "zoom-in"].map((id) => document.getElementById(id));
    const MOST_ZOOM = 32;
    let zoom = 1;

    const choose = (strip, at, scrolls) => {
      const rank = ranks[strip];
      const span = rank.spans[at];
      all(".span.chosen", root).forEach((bar) => bar.classList.remove("chosen"));
      const bar = strips[strip].querySelector(`[data-span="${at}"]`);
      bar.classList.add("chosen");
      if (scrolls) {
        const box = strips[strip];
        box.scrollLeft = (span.start_s / data.step_s) * box.scrollWidth - box.clientWidth / 3;
      }
      select.value = `${strip}.${at}`;
      const words = [
        `rank ${rank.rank}, ${span.operation} (${span.stage}, ${span.stream}): ` +
          `${UNITS.s(span.end_s - span.start_s)} from ${UNITS.s(span.start_s)}`,
        span.batch ? `works for batch ${span.batch > 0 ? "+" : ""}${span.batch}` : "",
        span.wait_s > 0 ? `after waiting ${UNITS.s(span.wait_s)} for others` : "",
        span.bound ? `bound by ${span.bound}` : "",
        span.link ? `fullest link: ${span.link}` : "",
      ];
      output.textContent = words.filter(Boolean).join("; ");
    };

    const setZoom = (value) => {
      const before = zoom;
      zoom = Math.min(Math.max(value, 1), MOST_ZOOM);
      strips.forEach((strip) => {
        const middle = (strip.scrollLeft + strip.clientWidth / 2) / before;
        strip.querySelector("svg.plot").style.width = `${100 * zoom}%`;
        strip.scrollLeft = middle * zoom - strip.clientWidth / 2;
      });
      root.classList.toggle("zoomed", zoom >= 8);
      smaller.disabled = zoom === 1;
      larger.disabled = zoom === MOST_ZOOM;
    };

    ranks.forEach((rank, strip) => {
      const group = make("optgroup");
      group.label = `rank ${rank.rank}`;
      rank.spans.forEach((span, at) => {
        const option = make("option", `${span.operation}, from ${UNITS.s(span.start_s)}`);
        option.value = `${strip}.${at}`;
        group.append(option);
      });
      select.append(group);
      for (const name of ["pointerover", "click"]) {
        strips[strip].addEventListener(name, (event) => {
          const bar = event.target.closest(".span");
          if (bar) choose(strip, Number(bar.dataset.span), false);
        });
      }
      strips[strip].addEventListener("scroll", () => {
        strips.forEach((other) => { other.scrollLeft = strips[strip].scrollLeft; });
      });
    });
    select.selectedIndex = -1;
    select.addEventListener("change", () => choose(...select.value.split(".").map(Number), true));
    larger.addEventListener("click", () => setZoom(zoom * 2));
    smaller.addEventListener("click", () => setZoom(zoom / 2));
    setZoom(1);
  };

  /* ---- start ---- */

  document.documentElement.classList.add("js");
  for (const [key, figure] of Object.entries(data.figures ?? {})) {
    columnsOf(document.querySelector(`[data-figure="${key}"]`), figure);
  }
  all("table.sortable").forEach(inPlace);
  if (data.tables) {
    const showRank = tableOf(document.getElementById("table-of-tables"), data.tables);
    const map = document.querySelector('[data-figure="map"]');
    if (map) mapOf(map, data.tables, showRank);
  }
  const lanes = document.querySelector('[data-figure="lanes"]');
  if (lanes) lanesOf(lanes, data.lanes);
  document.documentElement.dataset.ready = "true";
})();
