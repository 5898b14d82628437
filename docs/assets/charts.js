// Draws each chart of the page from the Vega specification beside it, with the scripts of this site only.
for (const element of document.querySelectorAll(".chart")) {
  const { $schema, ...spec } = JSON.parse(element.querySelector("script").textContent);
  vegaEmbed(element.querySelector("div"), spec, { mode: "vega", actions: false });
}
