/* The report's molecule: frames held in the page, played to and fro. */
"use strict";

const molecule = {};
(async () => {
  const root = document.getElementById("molecule");
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  const data = JSON.parse(document.getElementById("molecule-data").textContent);
  const [slider, play, level] = ["time", "play", "level"].map(part);
  try {
    molecule.view = new VolumeView(root.querySelector("canvas"), data.view, data.colour);
    molecule.frames = await Promise.all(data.volumes.map(unpacked));
  } catch (error) {
    root.classList.add("flat");
    return;
  }
  molecule.view.zoom = data.zoom;
  molecule.view.level = level.value = data.level;
  const show = () => {
    molecule.view.show(molecule.frames[slider.value], data.box);
    part("label").textContent = data.labels[slider.value];
  };
  let playing = false, step = 1, inSight = true;
  new IntersectionObserver(([entry]) => { inSight = entry.isIntersecting; }).observe(root);
  const advance = () => {
    if (!playing) return;
    if (inSight) {
      const next = Number(slider.value) + step;
      if (next < 0 || next > Number(slider.max)) step = -step;
      slider.value = Number(slider.value) + step;
      show();
    }
    /* A slow computer plays slower, and stays usable. */
    requestAnimationFrame(() => setTimeout(advance, 180));
  };
  const stop = () => { playing = false; play.textContent = "Play"; };
  const start = () => { playing = true; play.textContent = "Pause"; advance(); };
  slider.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => (playing ? stop() : start()));
  level.addEventListener("input", () => molecule.view.contour(Number(level.value)));
  show();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches && data.volumes.length > 1) start();
})();
