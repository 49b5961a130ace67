"use strict";
// The page of a study without this script shows the same figures and the first rows;
// with it the table has filters and the maps have controls.
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const columns = data.columns;
  // A condition may have the short name of an axis.
  const byName = new Map([...columns.map((column) => [column.label, column]), ...columns.map((column) => [column.name, column])]);
  const front = new Set(data.front);
  const near = new Set(data.near);
  const PAGE = 100;
  const UNKNOWN = "-";

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // Columns of text have each word once.
  const valueOf = (column, row) => {
    const cell = column.cells[row];
    return column.words && cell !== null ? column.words[cell] : cell;
  };

  // As value_text in study_values.py.
  const grouped = (value, digits) =>
    value.toLocaleString("en-US", { maximumFractionDigits: digits });
  const figures = (value, digits) => String(Number(value.toPrecision(digits)));
  const counted = (value) => {
    for (const [scale, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]])
      if (Math.abs(value) >= scale) return `${figures(value / scale, 3)} ${unit}`;
    return grouped(value, 0);
  };
  const FORMATS = {
    s: (value) => {
      const size = Math.abs(value);
      if (size >= 1) return `${value.toFixed(3)} s`;
      return size >= 1e-3 ? `${(value * 1e3).toFixed(3)} ms` : `${(value * 1e6).toFixed(1)} us`;
    },
    bytes: (value) => {
      for (const [scale, unit] of [[1e15, "PB"], [1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]])
        if (Math.abs(value) >= scale) return `${(value / scale).toFixed(1)} ${unit}`;
      return `${value.toFixed(0)} B`;
    },
    1: (value) => {
      const close = (Math.abs(value) > 0 && Math.abs(value) < 0.01) || (value > 0.99 && value < 1);
      return `${(100 * value).toFixed(close ? 2 : 1)} %`;
    },
    "bytes/s": (value) => `${FORMATS.bytes(value)}/s`,
    hosts: (value) => grouped(value, 0),
    ranks: (value) => grouped(value, 0),
    "×": (value) => `×${figures(value, 6)}`,
    "": (value) => (Number.isInteger(value) ? grouped(value, 0) : figures(value, 6)),
  };
  const textOf = (column, value) => {
    if (value === null || value === undefined) return UNKNOWN;
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "string") return value;
    if (typeof value !== "number") return JSON.stringify(value);
    const format = FORMATS[column.unit];
    if (format) return format(value);
    const shown = Math.abs(value) >= 1000 ? counted(value) : figures(value, 4);
    if (column.unit.startsWith("currency")) return shown + column.unit.slice("currency".length);
    return `${shown} ${column.unit}`;
  };

  // --- Conditions, as in a study file: "hosts >= 8, topology = zionex" ---

  const COMPARE = {
    "<=": (a, b) => a <= b,
    ">=": (a, b) => a >= b,
    "<": (a, b) => a < b,
    ">": (a, b) => a > b,
    "=": (a, b) => a === b,
    "==": (a, b) => a === b,
    "!=": (a, b) => a !== b,
  };

  const readCondition = (text) => {
    const match = /^\s*(.+?)\s*(<=|>=|==|!=|=|<|>)\s*(.+?)\s*$/.exec(text);
    if (!match) throw new Error(`"${text.trim()}" is no condition: write hosts >= 8`);
    const column = byName.get(match[1]);
    if (!column) throw new Error(`There is no column "${match[1]}".`);
    const number = Number(match[3].replaceAll("_", ""));
    const compare = COMPARE[match[2]];
    return (row) => {
      const value = valueOf(column, row);
      if (value === null) return false;
      if (typeof value === "number") return compare(value, number);
      return compare(textOf(column, value), match[3]);
    };
  };

  // --- The table of points ---

  const table = $("points");
  const state = { rows: [], page: 0, sort: null, descending: false };
  const shown = new Set(columns.filter((c) => c.shown).map((c) => c.name));
  const all = Array.from({ length: data.numbers.length }, (_, row) => row);
  // Every word of a row that a search may look for, made when first asked for.
  let words = null;
  const wordsOf = (row) => {
    words ??= all.map((r) =>
      columns.filter((c) => c.words || c.axis).map((c) => textOf(c, valueOf(c, r))).join("\n").toLowerCase());
    return words[row];
  };

  const filters = () => {
    const tests = [];
    for (const select of document.querySelectorAll("#filters select[data-column]")) {
      if (select.value === "") continue;
      const column = byName.get(select.dataset.column);
      tests.push((row) => column.cells[row] === Number(select.value));
    }
    if ($("only").value === "front") tests.push((row) => front.has(data.numbers[row]));
    if ($("only").value === "near") tests.push((row) => near.has(data.numbers[row]));
    const search = $("search").value.trim().toLowerCase();
    if (search) tests.push((row) => wordsOf(row).includes(search));
    for (const part of $("where").value.split(",")) if (part.trim()) tests.push(readCondition(part));
    return tests;
  };

  const compareCells = (column) => (a, b) => {
    const x = valueOf(column, a);
    const y = valueOf(column, b);
    if (x === null || y === null) return (x === null) - (y === null); // empty cells come last
    const order = typeof x === "number" && typeof y === "number"
      ? x - y
      : Number(textOf(column, x) > textOf(column, y)) - Number(textOf(column, x) < textOf(column, y));
    return state.descending ? -order : order;
  };

  const update = () => {
    let tests = [];
    try {
      tests = filters();
      $("where-fault").textContent = "";
      $("where").removeAttribute("aria-invalid");
    } catch (fault) {
      $("where-fault").textContent = fault.message;
      $("where").setAttribute("aria-invalid", "true");
      return;
    }
    state.rows = all.filter((row) => tests.every((test) => test(row)));
    if (state.sort) state.rows.sort(compareCells(byName.get(state.sort)));
    else if (state.descending) state.rows.reverse();
    state.page = 0;
    draw();
  };

  const command = (number) => `shardplan report DIR --point ${number} -o point-${number}.html`;

  const pageCell = (number) => {
    const cell = element("td");
    const href = data.pages[number];
    if (href) {
      cell.append(element("a", "plan", { href, "aria-label": `Plan page of point ${number}` }));
      if (data.remarks[number]) cell.append(" ", element("span", data.remarks[number], { class: "bad" }));
      return cell;
    }
    const button = element("button", "how", {
      type: "button", "aria-label": `How to make the plan page of point ${number}`,
    });
    button.addEventListener("click", () => {
      $("command").textContent = command(number);
      $("command-box").hidden = false;
    });
    cell.append(button);
    return cell;
  };

  const drawRow = (row, visible) => {
    const number = data.numbers[row];
    const line = element("tr");
    line.append(element("th", String(number), { scope: "row", class: "n" }));
    if (front.has(number)) line.className = "on-front";
    for (const column of visible) {
      const value = valueOf(column, row);
      const cell = element("td", textOf(column, value));
      cell.className = column.number ? "n" : column.name === "why" ? "long" : "text";
      if (column.name === "status") cell.className = `status ${value}`;
      line.append(cell);
    }
    line.append(pageCell(number));
    return line;
  };

  const heading = (name, text, title, isNumber) => {
    const head = element("th", null, { scope: "col", class: isNumber ? "n" : "text" });
    const button = element("button", text, { type: "button", title });
    const sorted = state.sort === name;
    head.setAttribute("aria-sort", !sorted ? "none" : state.descending ? "descending" : "ascending");
    button.addEventListener("click", () => {
      state.descending = state.sort === name && !state.descending;
      state.sort = name;
      update();
      table.tHead.querySelector(`button[data-name="${CSS.escape(String(name))}"]`)?.focus();
    });
    button.dataset.name = String(name);
    head.append(button);
    return head;
  };

  const draw = () => {
    const visible = columns.filter((column) => shown.has(column.name));
    const heads = element("tr");
    heads.append(heading(null, "point", "number in the order of the file", true));
    for (const column of visible) heads.append(heading(column.name, column.label, `${column.name}: ${column.title}`, column.number));
    heads.append(element("th", "page", { scope: "col" }));
    table.tHead.replaceChildren(heads);
    const first = state.page * PAGE;
    const rows = state.rows.slice(first, first + PAGE);
    table.tBodies[0].replaceChildren(...rows.map((row) => drawRow(row, visible)));
    const total = state.rows.length;
    $("points-count").textContent = total
      ? `${grouped(first + 1, 0)} to ${grouped(first + rows.length, 0)} of ${grouped(total, 0)} points`
      : "No point meets all filters.";
    const last = Math.max(0, Math.ceil(total / PAGE) - 1);
    for (const [id, page] of [["first", 0], ["previous", state.page - 1], ["next", state.page + 1], ["last", last]]) {
      $(id).dataset.page = String(page);
      $(id).disabled = page < 0 || page > last || page === state.page;
    }
  };

  for (const id of ["first", "previous", "next", "last"])
    $(id).addEventListener("click", (event) => {
      state.page = Number(event.currentTarget.dataset.page);
      draw();
    });
  for (const kind of ["input", "change"]) $("filters").addEventListener(kind, update);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  // Not a button of type "reset": its event comes before the fields are empty.
  $("clear").addEventListener("click", () => {
    $("filters").reset();
    update();
  });
  $("choose").addEventListener("change", (event) => {
    const box = event.target;
    if (box.checked) shown.add(box.value);
    else shown.delete(box.value);
    draw();
  });

  // --- Maps of two axes ---

  const maps = data.maps;
  const status = byName.get("status");

  const levelOf = (map, cell) => {
    if (map.min === null) return cell % 10;
    const scale = map.log ? Math.log : (value) => value;
    const span = scale(map.max) - scale(map.min);
    return span > 0 ? Math.min(9, Math.floor((10 * (scale(cell) - scale(map.min))) / span)) : 5;
  };

  const mapCell = (map, column, row) => {
    if (row === undefined) return element("td", "", { class: "none", title: "not a finished point of the study" });
    const number = data.numbers[row];
    const cell = element("td", null, { title: `point ${number}` });
    if (column.cells[row] === null) {
      const state = valueOf(status, row);
      cell.className = `status ${state}`;
      cell.textContent = data.signs[state] ?? UNKNOWN;
      cell.title += `: ${state}`;
      return cell;
    }
    cell.className = `level l${levelOf(map, column.cells[row])}`;
    const text = textOf(column, valueOf(column, row));
    cell.append(data.pages[number] ? element("a", text, { href: data.pages[number] }) : text);
    if (front.has(number)) cell.append(" ", element("span", "◆", { title: "on the front" }));
    return cell;
  };

  const drawMap = (map, across, down, places) => {
    const column = byName.get(map.column);
    const grid = $(`map-${map.column}`);
    const heads = element("tr");
    heads.append(element("th", down ? `${down.label} \\ ${across.label}` : across.label, { scope: "col" }));
    for (const word of across.words) heads.append(element("th", textOf(across, word), { scope: "col" }));
    grid.tHead.replaceChildren(heads);
    const names = down ? down.words.map((word) => textOf(down, word)) : [map.column];
    grid.tBodies[0].replaceChildren(...names.map((name, j) => {
      const line = element("tr");
      line.append(element("th", name, { scope: "row" }));
      for (let i = 0; i < across.words.length; i++) line.append(mapCell(map, column, places.get(`${i},${j}`)));
      return line;
    }));
  };

  // Axes are columns of words, so cells are indices of values.
  const drawMaps = () => {
    const across = byName.get($("across").value);
    const down = $("down") && byName.get($("down").value);
    const held = [];
    for (const label of document.querySelectorAll("[data-held]")) {
      const axis = byName.get(label.dataset.held);
      label.hidden = axis === across || axis === down;
      if (!label.hidden) held.push([axis, Number(label.querySelector("select").value)]);
    }
    const places = new Map();
    for (const row of all)
      if (held.every(([axis, index]) => axis.cells[row] === index))
        places.set(`${across.cells[row]},${down ? down.cells[row] : 0}`, row);
    for (const map of maps) drawMap(map, across, down, places);
  };

  const remember = () => {
    for (const select of [$("across"), $("down")]) if (select) select.dataset.before = select.value;
  };

  const startMaps = () => {
    if (!$("map-controls")) return;
    const changed = (event) => {
      const [across, down] = [$("across"), $("down")];
      if (down && across.value === down.value) // the two change places
        (event.target === across ? down : across).value = event.target.dataset.before;
      remember();
      drawMaps();
    };
    for (const kind of ["input", "change"]) $("map-controls").addEventListener(kind, changed);
    remember(); // the maps of these values are there
  };

  document.documentElement.classList.add("js");
  startMaps();
  update();
})();
