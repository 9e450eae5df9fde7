/** Shows openapi.json: every path with what it takes. */
const { paths } = await (await fetch("/api/openapi.json")).json();
for (const [path, methods] of Object.entries(paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const section = document.createElement("section");
    const title = document.createElement("h2");
    title.textContent = `${method.toUpperCase()} ${path}`;
    const takes = document.createElement("ul");
    for (const { name, in: place, required, schema } of operation.parameters ?? []) {
      const item = document.createElement("li");
      item.textContent = `${name} (${place}${required ? ", required" : ""}) ${schema?.description ?? schema?.type ?? ""}`;
      takes.append(item);
    }
    const body = operation.requestBody?.content?.["application/json"]?.schema;
    if (body !== undefined) {
      const shown = document.createElement("pre");
      shown.textContent = JSON.stringify(body.properties ?? body, null, 2);
      section.append(title, takes, shown);
    } else section.append(title, takes);
    document.getElementById("paths").append(section);
  }
}
