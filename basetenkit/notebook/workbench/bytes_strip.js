// The reads of one response along time, or along the body where there is none: a tick a read, coloured by what it completed.
const NS = "http://www.w3.org/2000/svg";
const PAD = 14, TOP = 10, HEIGHT = 64, AXIS = 44;

function shape(tag, attributes, parent, text) {
  const n = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(attributes)) n.setAttribute(k, v);
  if (text !== undefined) n.textContent = text;
  parent.appendChild(n);
  return n;
}

function steps(low, high) {
  const raw = (high - low) / 6 || 1, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * size).find((s) => s >= raw);
  const out = [];
  for (let x = Math.ceil(low / step) * step; x <= high + step / 1e6; x += step) out.push(x);
  return [out, Math.max(0, -Math.floor(Math.log10(step)))];
}

function render({ model, el: root }) {
  root.classList.add("bk-strip");
  root.tabIndex = 0;
  root.setAttribute("role", "slider");
  root.setAttribute("aria-label", "Arrivals: how many reads have come");
  function draw() {
    const reads = model.get("reads"), step = model.get("step"), unit = model.get("unit");
    root.setAttribute("aria-valuemin", 0); root.setAttribute("aria-valuemax", reads.length);
    root.setAttribute("aria-valuenow", step); root.setAttribute("aria-valuetext", model.get("said"));
    const wide = Math.max(root.clientWidth, 320);
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("width", wide); svg.setAttribute("height", HEIGHT + 14); svg.setAttribute("aria-hidden", "true");
    root.replaceChildren(svg);
    if (!reads.length) { shape("text", { x: PAD, y: 30, class: "bk-axis" }, svg, "Where the reads ended is not known: paste bytes have no arrivals"); return; }
    const low = Math.min(0, reads[0].at), high = Math.max(...reads.map((r) => r.at), low + 1e-9);
    const x = (v) => PAD + ((v - low) / (high - low)) * (wide - 2 * PAD);
    shape("line", { x1: PAD, x2: wide - PAD, y1: AXIS, y2: AXIS, class: "bk-axis-line" }, svg);
    const [marks, digits] = steps(low, high);
    for (const m of marks) {
      shape("line", { x1: x(m), x2: x(m), y1: AXIS, y2: AXIS + 4, class: "bk-axis-line" }, svg);
      shape("text", { x: x(m), y: AXIS + 16, class: "bk-axis", "text-anchor": "middle" }, svg, m.toFixed(digits));
    }
    shape("text", { x: wide - PAD, y: HEIGHT + 11, class: "bk-axis", "text-anchor": "end" }, svg, unit);
    reads.forEach((r, i) => {
      const group = shape("g", { class: `bk-${r.kind}${i < step ? "" : " bk-later"}` }, svg);
      if (r.error > 0) shape("rect", { x: x(r.at - r.error), width: Math.max(x(r.at) - x(r.at - r.error), 0.5), y: TOP + 4, height: AXIS - TOP - 8, class: "bk-bound" }, group);
      shape("rect", { x: x(r.at) - 1.25, width: 2.5, y: TOP, height: AXIS - TOP, class: "bk-tick" }, group);
      shape("title", {}, group, r.said);
      const hit = shape("rect", { x: x(r.at) - 4, width: 8, y: 0, height: AXIS + 6, class: "bk-hit" }, group);
      hit.addEventListener("click", () => go(i + 1));
    });
    if (step) {
      const now = x(reads[step - 1].at);
      shape("path", { d: `M${now - 5} 0 L${now + 5} 0 L${now} 8 Z`, class: "bk-now" }, svg);
    }
  }
  function go(step) {
    model.set("step", Math.max(0, Math.min(model.get("reads").length, step)));
    model.save_changes();
  }
  root.addEventListener("keydown", (e) => {
    const n = model.get("reads").length, by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
    const to = e.key === "Home" ? 0 : e.key === "End" ? n : by ? model.get("step") + by : null;
    if (to === null) return;
    e.preventDefault(); e.stopPropagation();
    go(to);
  });
  model.on("change:reads change:step change:unit", draw);
  const seen = new ResizeObserver(draw);
  seen.observe(root.parentElement || root);
  requestAnimationFrame(draw);
  return () => seen.disconnect();
}
export default { render };
