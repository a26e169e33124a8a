/* One panel a run: a map of its latents, the volume at the place chosen, its movies over time. */
"use strict";

const TIME = [[0, 114, 178], [86, 180, 233], [230, 159, 0], [213, 94, 0]];
const timeColour = (share) => {
  const x = Math.min(Math.max(share, 0), 1) * (TIME.length - 1), i = Math.min(Math.floor(x), TIME.length - 2);
  return `rgb(${TIME[i].map((c, k) => Math.round(c + (x - i) * (TIME[i + 1][k] - c)))})`;
};
const ink = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
/* Smallest and largest; Math.min(...values) fails beyond some 100,000 values. */
const ends = (values) => values.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

async function asked(url, body) {
  const answer = await fetch(url, body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error || `the server answered ${answer.status}`);
}

class Panel {
  constructor(element, run, index, all) {
    Object.assign(this, { run, index, all, mode: "look", path: [], lasso: [], chosen: [], kept: new Map() });
    this.part = (name) => element.querySelector(`[data-part=${name}]`);
    this.map = this.part("map");
    this.note = this.part("note");
    this.part("name").textContent = run.name;
    this.movies = this.part("movie");
    for (const movie of Object.keys(run.movies)) this.movies.add(new Option(movie, movie));
    this.slider = this.part("time");
    this.level = this.part("level");
    const [first, last] = ends(run.time);
    this.colours = run.time.map((t) => timeColour((t - first) / (last - first || 1)));
    this.fit();
    try {
      this.view = new VolumeView(this.part("volume"), run.view);
      this.view.zoom = run.zoom;
      this.view.turned = () => this.others((x) => { x.view.view = this.view.view.slice(); x.view.draw(); });
    } catch (error) { this.say(`This browser shows no volumes: ${error.message}.`); }
    this.level.value = run.level;
    this.listen();
    this.choose(run.movie);
    new ResizeObserver(() => this.draw()).observe(this.map);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  others(act) { for (const panel of this.all) if (panel !== this && panel.view) act(panel); }
  say(text) { this.note.textContent = text; }
  busy(text) { this.part("busy").textContent = text; }

  listen() {
    this.movies.addEventListener("change", () => {
      this.choose(this.movies.value);
      this.others((x) => { if (this.movies.value in x.run.movies) x.choose(this.movies.value); });
    });
    this.slider.addEventListener("input", () => {
      this.step(Number(this.slider.value));
      this.others((x) => { if (x.movies.value === this.movies.value) x.step(Number(this.slider.value)); });
    });
    this.level.addEventListener("input", () => this.view && this.view.contour(Number(this.level.value)));
    this.part("play").addEventListener("click", () => this.play());
    for (const mode of ["look", "draw", "select"])
      this.part(mode).addEventListener("click", () => this.become(mode));
    this.part("save").addEventListener("click", () => this.save());
    this.part("whole").addEventListener("click", () => {
      this.become("select");
      this.chosen = this.run.movies[this.movies.value].slice();
      this.selected();
    });
    const map = this.map;
    map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); this.press(event); });
    map.addEventListener("pointermove", (event) => {
      if (map.hasPointerCapture(event.pointerId)) this.drag(event);
    });
    map.addEventListener("pointerup", () => this.release());
  }

  become(mode) {
    this.mode = mode;
    for (const x of ["look", "draw", "select"]) this.part(x).setAttribute("aria-pressed", x === mode);
    this.part("saving").hidden = mode === "look";
    this.part("save").textContent = mode === "draw" ? "Save volumes along the path" : "Save selection as STAR";
    if (mode === "draw") this.path = [];
    if (mode === "select") this.chosen = [];
    this.say({ look: "", draw: "Draw a path on the map.", select: "Draw around the frames to select." }[mode]);
    this.draw();
  }

  /* Where frames lie on the map's canvas, in CSS pixels. */
  fit() {
    [this.x, this.y] = [0, 1].map((axis) => {
      const [a, b] = ends(this.run.places.map((p) => p[axis])), margin = 0.06 * (b - a || 1);
      return [a - margin, b + margin];
    });
  }
  onMap([x, y]) {
    return [((x - this.x[0]) / (this.x[1] - this.x[0])) * this.map.clientWidth,
            (1 - (y - this.y[0]) / (this.y[1] - this.y[0])) * this.map.clientHeight];
  }
  fromMap([u, v]) {
    return [this.x[0] + (u / this.map.clientWidth) * (this.x[1] - this.x[0]),
            this.y[0] + (1 - v / this.map.clientHeight) * (this.y[1] - this.y[0])];
  }
  pointer(event) { const box = this.map.getBoundingClientRect(); return [event.clientX - box.x, event.clientY - box.y]; }

  press(event) {
    const at = this.pointer(event);
    if (this.mode === "look") { this.held = this.look(at); return; }
    if (this.mode === "draw") this.path.push(this.fromMap(at));
    else this.lasso = [at];
    this.draw();
  }
  drag(event) {
    const at = this.pointer(event);
    if (this.mode === "look") return this.look(at, this.held);
    if (this.mode === "draw" && distance(this.onMap(this.path[this.path.length - 1]), at) > 4)
      this.path.push(this.fromMap(at));
    if (this.mode === "select") this.lasso.push(at);
    this.draw();
  }
  release() {
    if (this.mode === "select" && this.lasso.length > 2) {
      const inside = ([u, v]) => {
        let odd = false;
        this.lasso.forEach(([a, b], i) => {
          const [c, d] = this.lasso[(i + 1) % this.lasso.length];
          if (b > v !== d > v && u < a + ((v - b) / (d - b)) * (c - a)) odd = !odd;
        });
        return odd;
      };
      this.chosen = this.run.places.map((p, row) => (inside(this.onMap(p)) ? row : -1)).filter((row) => row >= 0);
      this.selected();
    }
    if (this.mode === "draw") this.say(`A path of ${this.path.length} points; drag on to lengthen it.`);
    this.lasso = [];
    this.draw();
  }
  selected() { this.say(`${this.chosen.length} frames selected.`); this.draw(); }

  /* The frame under the pointer, of the movie `held` if one is, or the place itself; returns the frame's movie. */
  look(at, held) {
    let row = -1, nearest = 7;
    for (const i of held ? this.run.movies[held] : this.run.places.keys()) {
      const away = distance(this.onMap(this.run.places[i]), at);
      if (away < nearest) [row, nearest] = [i, away];
    }
    if (row < 0) { this.show({ place: this.fromMap(at) }); return undefined; }
    const [movie, rows] = Object.entries(this.run.movies).find(([, x]) => x.includes(row));
    if (movie !== this.movies.value) this.choose(movie, rows.indexOf(row));
    else this.step(rows.indexOf(row));
    return movie;
  }

  choose(movie, step = 0) {
    this.movies.value = movie;
    this.slider.max = this.run.movies[movie].length - 1;
    this.step(step);
  }
  step(index) {
    this.slider.value = index;
    this.show({ row: this.run.movies[this.movies.value][Number(this.slider.value)] });
  }
  play() {
    const button = this.part("play");
    if (this.playing) { this.playing = false; button.textContent = "Play"; return; }
    this.playing = true;
    button.textContent = "Pause";
    const next = async () => {
      if (!this.playing) return;
      const count = Number(this.slider.max) + 1;
      this.slider.value = (Number(this.slider.value) + 1) % count;
      this.slider.dispatchEvent(new Event("input"));
      await this.loading;
      setTimeout(next, 150);
    };
    next();
  }

  /* Show a frame or a place; while one volume is made only the latest wish is remembered. */
  show(wish) {
    this.wish = wish;
    this.place = "row" in wish ? this.run.places[wish.row] : wish.place;
    this.part("shown").textContent = "row" in wish
      ? `image ${this.run.images[wish.row]}, frame ${this.run.frame[wish.row]} of ${this.movies.value}`
      : "a state between frames";
    this.draw();
    if (!this.loading) this.loading = this.load().finally(() => { this.loading = null; });
  }
  async load() {
    while (this.wish) {
      const wish = this.wish;
      this.wish = null;
      const [x, y] = wish.place || [];
      const url = `volume?run=${this.index}&` + ("row" in wish ? `row=${wish.row}` : `x=${x}&y=${y}`);
      try {
        if (!this.kept.has(url)) {
          this.busy("Calculating …");
          this.kept.set(url, new Uint8Array(await (await asked(url)).arrayBuffer()));
          if (this.kept.size > 300) this.kept.delete(this.kept.keys().next().value);
        }
        this.busy("");
        if (!this.view) return;
        this.view.level = Number(this.level.value);
        this.view.show(this.kept.get(url), this.run.box);
        this.seen = wish;
      } catch (error) { this.busy(error.message); }
    }
  }

  async save() {
    const name = this.part("saved").value, run = this.index;
    try {
      this.say("Saving …");
      const answer = this.mode === "draw"
        ? await asked("path", { run, name, places: this.along(Number(this.part("count").value)) })
        : await asked("selection", { run, name, rows: this.chosen });
      this.say(`Saved in ${(await answer.json()).folder}`);
    } catch (error) { this.say(error.message); }
  }
  /* Places evenly spaced along the path drawn. */
  along(count) {
    if (this.path.length < 2) throw new Error("no path is drawn: draw one on the map first.");
    const length = [0];
    this.path.slice(1).forEach((p, i) => length.push(length[i] + distance(p, this.path[i])));
    return Array.from({ length: count }, (_, k) => {
      const at = (k / (count - 1)) * length[length.length - 1];
      let i = length.findIndex((x) => x >= at - 1e-12);
      i = Math.max(1, i);
      const share = (at - length[i - 1]) / (length[i] - length[i - 1] || 1);
      return this.path[i].map((b, axis) => this.path[i - 1][axis] + share * (b - this.path[i - 1][axis]));
    });
  }

  draw() {
    const map = this.map, scale = window.devicePixelRatio || 1;
    map.width = map.clientWidth * scale;
    map.height = map.clientHeight * scale;
    const pen = map.getContext("2d");
    pen.scale(scale, scale);
    const chosen = new Set(this.chosen);
    this.run.places.forEach((place, row) => {
      const [u, v] = this.onMap(place);
      pen.globalAlpha = this.mode === "select" && this.chosen.length && !chosen.has(row) ? 0.2 : 0.75;
      pen.fillStyle = this.colours[row];
      pen.beginPath(); pen.arc(u, v, chosen.has(row) ? 4 : 2.6, 0, 7); pen.fill();
    });
    pen.globalAlpha = 1;
    const line = (points, colour, width) => {
      pen.strokeStyle = colour; pen.lineWidth = width; pen.beginPath();
      points.forEach(([u, v], i) => (i ? pen.lineTo(u, v) : pen.moveTo(u, v)));
      pen.stroke();
    };
    const rows = this.run.movies[this.movies.value] || [];
    line(rows.map((row) => this.onMap(this.run.places[row])), ink("--soft"), 1.2);
    if (this.path.length) line(this.path.map((p) => this.onMap(p)), ink("--path"), 3);
    if (this.lasso.length) line([...this.lasso, this.lasso[0]], ink("--ink"), 1.5);
    if (this.place) {
      const [u, v] = this.onMap(this.place);
      pen.strokeStyle = ink("--ink"); pen.lineWidth = 2.5;
      pen.beginPath(); pen.arc(u, v, 7, 0, 7); pen.stroke();
    }
    pen.fillStyle = ink("--soft"); pen.font = "12px system-ui, sans-serif";
    pen.fillText(this.run.axes[0], 8, map.clientHeight - 6);
    pen.save(); pen.translate(14, map.clientHeight - 24); pen.rotate(-Math.PI / 2);
    pen.fillText(this.run.axes[1], 0, 0); pen.restore();
  }
}

const panels = [];
asked("runs").then((answer) => answer.json()).then((runs) => runs.forEach((run, index) =>
  panels.push(new Panel(document.querySelectorAll("[data-panel]")[index], run, index, panels))));
