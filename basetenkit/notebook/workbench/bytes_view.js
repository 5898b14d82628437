// A textarea that can be edited, over the same text in colour. Whatever came from a server is set as textContent.
function el(tag, cls, parent) { const n = document.createElement(tag); n.className = cls; parent.appendChild(n); return n; }

function render({ model, el: root }) {
  root.classList.add("bk-bytes");
  const box = el("div", "bk-bytes-box", root);
  const drawn = el("pre", "bk-bytes-drawn", box);
  drawn.setAttribute("aria-hidden", "true");
  const area = el("textarea", "bk-bytes-area", box);
  area.spellcheck = false; area.wrap = "soft"; area.autocomplete = "off";
  const said = el("div", "bk-bytes-where", root);
  said.setAttribute("role", "status");
  let timer = null, base = 0;

  const whole = () => model.get("segments").map((s) => s[0]).join("");
  function draw() {
    const text = whole();
    const hex = model.get("mode") === "hex";
    box.classList.toggle("bk-hex", hex);
    area.setAttribute("aria-label", `The response's bytes as ${hex ? "hexadecimal digits" : "text"}, editable`);
    area.setAttribute("aria-invalid", model.get("invalid") ? "true" : "false");
    if (document.activeElement !== area && !timer) area.value = text;
    drawn.replaceChildren();
    if (area.value !== text) { drawn.textContent = area.value + "\n"; return; }
    for (const [piece, style] of model.get("segments")) {
      const span = document.createElement("span");
      span.className = style.split(" ").filter(Boolean).map((s) => "bk-" + s).join(" ");
      span.textContent = piece;
      drawn.appendChild(span);
    }
    drawn.appendChild(document.createTextNode("\n"));
  }
  function tell() { said.textContent = model.get("where"); said.classList.toggle("bk-wrong", model.get("invalid")); }
  function send() {
    timer = null;
    model.set("draft", [base, area.value]);
    model.save_changes();
  }
  area.addEventListener("input", () => {
    if (!timer) base = model.get("version");
    drawn.textContent = area.value + "\n";
    clearTimeout(timer); timer = setTimeout(send, 250);
  });
  area.addEventListener("blur", () => { if (timer) { clearTimeout(timer); send(); } else if (!model.get("invalid")) draw(); });
  // JupyterLab's own key bindings (Enter, Escape, x, dd) must not see what is typed here.
  area.addEventListener("keydown", (e) => e.stopPropagation());
  function caret() { model.set("caret", [area.selectionStart]); model.save_changes(); }
  area.addEventListener("keyup", (e) => { if (/^(Arrow|Home|End|Page)/.test(e.key)) caret(); });
  area.addEventListener("click", caret);
  model.on("change:segments", draw);
  model.on("change:version", () => { clearTimeout(timer); timer = null; area.value = whole(); draw(); });
  model.on("change:where change:invalid", () => { tell(); area.setAttribute("aria-invalid", String(model.get("invalid"))); });
  area.value = whole();
  draw(); tell();
}
export default { render };
