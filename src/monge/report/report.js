"use strict";

(function theme() {
  const button = document.querySelector(".theme");
  const modes = ["system", "light", "dark"];
  let mode = "system";
  // A page opened from disk may have no storage; the choice then lasts as long as the page.
  try { mode = localStorage.getItem("monge-theme") || mode; } catch { /* stays with the system */ }
  function apply() {
    if (mode === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = mode;
    button.textContent = "Theme: " + mode;
    document.dispatchEvent(new Event("themechange"));
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    mode = modes[(modes.indexOf(mode) + 1) % modes.length];
    try { localStorage.setItem("monge-theme", mode); } catch { /* not kept */ }
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  if (!modes.includes(mode)) mode = "system";
  apply();
})();

// Pointing at a series or its legend entry brings it out of the others.
document.querySelectorAll("svg.chart").forEach((chart) => {
  if (chart.querySelectorAll("g.series[data-series]").length < 2) return;
  chart.addEventListener("pointerover", (event) => {
    const series = event.target.closest("[data-series]");
    chart.classList.toggle("picking", Boolean(series));
    chart.querySelectorAll("[data-series]").forEach((part) => {
      part.classList.toggle("picked", Boolean(series) && part.dataset.series === series.dataset.series);
    });
  });
  chart.addEventListener("pointerleave", () => chart.classList.remove("picking"));
});

(function map() {
  const source = document.getElementById("map-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const canvas = document.querySelector(".map canvas");
  const context = canvas.getContext("2d");
  const tip = document.querySelector(".tip");
  const legend = document.querySelector(".classes");
  const sheet = document.getElementById("map-sprite");
  const colours = 10;
  const margin = 26;
  const picked = new Set();
  let size = { width: 0, height: 0 };
  let near = -1;

  // Colour and shape together tell fifty classes apart, also for readers who see few colours.
  const shapes = [
    (x, y, r) => { context.arc(x, y, r, 0, 7); },
    (x, y, r) => { context.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8); },
    (x, y, r) => { context.moveTo(x, y - r * 1.25); context.lineTo(x + r * 1.15, y + r * 0.85); context.lineTo(x - r * 1.15, y + r * 0.85); context.closePath(); },
    (x, y, r) => { context.moveTo(x, y - r * 1.3); context.lineTo(x + r * 1.3, y); context.lineTo(x, y + r * 1.3); context.lineTo(x - r * 1.3, y); context.closePath(); },
    (x, y, r) => { context.rect(x - r * 1.3, y - r * 0.5, r * 2.6, r); context.rect(x - r * 0.5, y - r * 1.3, r, r * 2.6); },
  ];
  const outlines = ["M7 2a5 5 0 1 0 .01 0z", "M2.5 2.5h9v9h-9z", "M7 1.5 12.5 11.5H1.5z", "M7 .8 13.2 7 7 13.2.8 7z", "M5.2 1h3.6v4.2H13v3.6H8.8V13H5.2V8.8H1V5.2h4.2z"];
  const shapeOf = (c) => c % shapes.length;

  const buttons = data.classes.map((name, c) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "s" + (c % colours);
    button.setAttribute("aria-pressed", "false");
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 14 14");
    icon.setAttribute("aria-hidden", "true");
    const outline = document.createElementNS("http://www.w3.org/2000/svg", "path");
    outline.setAttribute("d", outlines[shapeOf(c)]);
    icon.append(outline);
    const text = document.createElement("span");
    text.textContent = name;
    button.append(icon, text);
    button.addEventListener("click", () => {
      if (!picked.delete(c)) picked.add(c);
      button.setAttribute("aria-pressed", String(picked.has(c)));
      draw();
    });
    legend.append(button);
    return button;
  });

  const place = (p) => [margin + p[0] * (size.width - 2 * margin), margin + (1 - p[1]) * (size.height - 2 * margin)];

  function draw() {
    const ratio = devicePixelRatio || 1;
    size = { width: canvas.clientWidth, height: canvas.clientHeight };
    canvas.width = size.width * ratio;
    canvas.height = size.height * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const inks = buttons.map((button) => getComputedStyle(button).color);
    const radius = data.points.length > 400 ? 3.1 : 4.2;
    data.points.forEach((p, i) => {
      const [x, y] = place(p);
      context.beginPath();
      shapes[shapeOf(p[2])](x, y, i === near ? radius * 2 : radius);
      context.globalAlpha = picked.size && !picked.has(p[2]) ? 0.08 : 0.8;
      // Of two modalities the second is drawn as outlines.
      if (p[3]) {
        context.strokeStyle = inks[p[2]];
        context.lineWidth = 1.6;
        context.stroke();
      } else {
        context.fillStyle = inks[p[2]];
        context.fill();
      }
    });
    context.globalAlpha = 1;
    names();
  }

  // The name of a class stands at its most central point: a mean could lie between two groups.
  const centres = data.classes.map((_, c) => {
    const own = data.points.filter((p) => p[2] === c);
    const median = [0, 1].map((k) => own.map((p) => p[k]).sort((a, b) => a - b)[own.length >> 1]);
    return own.reduce((best, p) => (Math.hypot(p[0] - median[0], p[1] - median[1]) < Math.hypot(best[0] - median[0], best[1] - median[1]) ? p : best), own[0]);
  });

  function names() {
    const style = getComputedStyle(document.body);
    const ground = getComputedStyle(canvas.closest(".card")).backgroundColor;
    context.font = "600 13px " + style.fontFamily;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 4;
    context.lineJoin = "round";
    data.classes.forEach((name, c) => {
      if (picked.size ? !picked.has(c) : data.classes.length > 20) return;
      const [x, y] = place(centres[c]);
      const text = name.length > 18 ? name.slice(0, 17) + "…" : name;
      context.strokeStyle = ground;
      context.strokeText(text, x, y);
      context.fillStyle = style.color;
      context.fillText(text, x, y);
    });
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best = event.pointerType === "touch" ? 900 : 200;
    let found = -1;
    data.points.forEach((p, i) => {
      if (picked.size && !picked.has(p[2])) return;
      const [x, y] = place(p);
      const d = (x - px) ** 2 + (y - py) ** 2;
      if (d < best) { best = d; found = i; }
    });
    if (found !== near) { near = found; draw(); }
    tip.hidden = found < 0;
    if (found < 0) return;
    const [x, y] = place(data.points[found]);
    tip.querySelector("span").textContent = data.classes[data.points[found][2]];
    const picture = tip.querySelector("i");
    picture.hidden = !sheet;
    if (sheet) {
      const zoom = 84 / data.side;
      picture.style.backgroundImage = "url(" + sheet.src + ")";
      picture.style.backgroundSize = sheet.naturalWidth * zoom + "px " + sheet.naturalHeight * zoom + "px";
      picture.style.backgroundPosition = -(found % data.columns) * 84 + "px " + -Math.floor(found / data.columns) * 84 + "px";
    }
    tip.style.left = Math.min(Math.max(x - 52, 0), size.width - 104) + "px";
    tip.style.top = (y > 150 ? y - 138 : y + 14) + "px";
  }

  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return;
    near = -1;
    tip.hidden = true;
    draw();
  });
  document.addEventListener("themechange", draw);
  new ResizeObserver(draw).observe(canvas);
})();
