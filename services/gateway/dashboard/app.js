/** The dashboard: what REST says, drawn; and drawn again when an event tells that it changed. */
const find = (id) => document.getElementById(id);
const CHART = { width: 900, height: 260, left: 55, bottom: 25, top: 10 };
let selected = null;
let hours = 24;

async function api(path, options = {}) {
  const response = await fetch(path, {
    ...options,
    headers: options.body ? { "content-type": "application/json" } : {},
  });
  if (response.status === 401) {
    showSignIn();
    throw new Error("signed out");
  }
  if (!response.ok) throw new Error((await response.json()).detail);
  return response.status === 204 ? null : response.json();
}

function showSignIn() {
  find("sign-in").hidden = false;
  find("plant").hidden = true;
  find("sign-out").hidden = true;
}

find("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api("/api/session/", { method: "POST", body: JSON.stringify({ token: find("token").value }) });
    find("sign-in-problem").textContent = "";
    await open();
  } catch {
    find("sign-in-problem").textContent = "Nobody is known by this token.";
  }
});

find("sign-out").addEventListener("click", async () => {
  await api("/api/session/", { method: "DELETE" });
  location.reload();
});

for (const button of document.querySelectorAll("[data-hours]")) {
  button.addEventListener("click", () => {
    hours = Number(button.dataset.hours);
    drawSensor().catch(() => undefined);
  });
}

const number = (value, digits = 4) => (value === null ? "–" : Number(value.toPrecision(digits)).toLocaleString("en"));
const time = (text) => (text === null ? "never" : new Date(text).toLocaleString());

function cell(row, text, className) {
  const made = row.insertCell();
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function drawSensors() {
  const { results } = await api("/api/sensors/?order=asc&limit=1000");
  const body = find("sensors");
  body.replaceChildren();
  for (const sensor of results) {
    const row = body.insertRow();
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${sensor.id} ${sensor.name}`;
    button.addEventListener("click", () => {
      selected = sensor;
      drawSensor().catch(() => undefined);
    });
    row.insertCell().append(button);
    cell(row, sensor.status, `status ${sensor.status}`);
    cell(row, sensor.value === null ? "–" : `${number(sensor.value)} ${sensor.unit}`);
    cell(row, sensor.drift === null ? "–" : `${number(sensor.drift, 3)} %`);
    cell(row, time(sensor.last_updated));
  }
  find("no-sensors").hidden = results.length > 0;
  selected = results.find(({ id }) => id === selected?.id) ?? results[0] ?? null;
}

async function drawAnomalies() {
  const { results } = await api("/api/anomalies/?resolved=false&limit=50");
  find("anomalies").replaceChildren(
    ...results.map((anomaly) => {
      const item = document.createElement("li");
      item.textContent = `${anomaly.alarm ? "Alarm" : "Flag"}, ${anomaly.severity}: sensor ${anomaly.sensor_id}, ${anomaly.type ?? "undecided"}, ${time(anomaly.timestamp)}. ${anomaly.explanation.sentence ?? ""}`;
      return item;
    }),
  );
  if (results.length === 0) find("anomalies").textContent = "None.";
}

async function drawModels() {
  const { results } = await api("/api/model-training/?current=true&limit=1000");
  const body = find("models");
  body.replaceChildren();
  for (const model of results) {
    const row = body.insertRow();
    cell(row, model.model_name);
    cell(row, String(model.version));
    cell(row, number(model.samples, 8));
    cell(row, time(model.trained_at));
  }
}

async function drawSummary() {
  const { sensors, readings, anomalies, models } = await api("/api/ml-analytics/");
  find("summary").textContent =
    `${sensors.total} sensors, ${number(readings.total, 12)} readings, ${anomalies.open} open anomalies, ${models.total} models`;
}

const svg = (name, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

async function drawSensor() {
  find("sensor").hidden = selected === null;
  if (selected === null) return;
  for (const button of document.querySelectorAll("[data-hours]"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === hours));
  find("sensor-title").textContent = `${selected.name}, ${selected.unit}`;
  const to = selected.last_updated === null ? Date.now() : Date.parse(selected.last_updated) + 1;
  const from = to - hours * 3600_000;
  const period = `from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`;
  const [{ results }, anomalies] = await Promise.all([
    api(`/api/readings/?sensor_id=${selected.id}&resolution=auto&order=asc&${period}`),
    api(`/api/anomalies/?sensor_id=${selected.id}&alarm=true&limit=200&${period}`),
  ]);
  drawChart(results, anomalies.results, from, to);
  try {
    const { predictions, method } = await api(`/api/sensors/${selected.id}/drift-prediction/?horizon=24&step=24`);
    const [last] = predictions;
    find("prediction").textContent =
      last === undefined
        ? ""
        : `In 24 hours: drift ${number(last.drift, 3)} %, ${number(last.lower)} to ${number(last.upper)} ${selected.unit} (${method}).`;
  } catch {
    find("prediction").textContent = "";
  }
}

function drawChart(buckets, anomalies, from, to) {
  const chart = find("chart");
  chart.replaceChildren();
  if (buckets.length === 0) {
    chart.append(svg("text", { x: 400, y: 130 }, "No readings in this period"));
    return;
  }
  const least = Math.min(...buckets.map(({ min }) => min));
  const most = Math.max(...buckets.map(({ max }) => max));
  const x = (ms) => CHART.left + ((ms - from) / (to - from)) * (CHART.width - CHART.left - 10);
  const y = (value) =>
    CHART.top + (1 - (value - least) / (most - least || 1)) * (CHART.height - CHART.top - CHART.bottom);
  const at = buckets.map((bucket) => ({ ...bucket, x: x(Date.parse(bucket.timestamp)) }));
  const edge = [...at.map((b) => `${b.x},${y(b.max)}`), ...at.toReversed().map((b) => `${b.x},${y(b.min)}`)];
  chart.append(
    svg("polygon", { class: "band", points: edge.join(" ") }),
    svg("polyline", { class: "mean", points: at.map((b) => `${b.x},${y(b.mean)}`).join(" ") }),
  );
  for (const anomaly of anomalies) {
    if (anomaly.value === null) continue;
    const dot = svg("circle", {
      class: "anomaly",
      r: 4,
      cx: x(Date.parse(anomaly.timestamp)),
      cy: y(Math.max(least, Math.min(most, anomaly.value))),
    });
    dot.append(svg("title", {}, `${anomaly.type ?? "undecided"}, ${anomaly.severity}`));
    chart.append(dot);
  }
  for (const value of [least, (least + most) / 2, most])
    chart.append(svg("text", { x: 4, y: y(value) + 4 }, number(value)));
  for (let k = 0; k <= 4; k++) {
    const ms = from + ((to - from) * k) / 4;
    chart.append(
      svg(
        "text",
        { x: Math.min(x(ms), CHART.width - 110), y: CHART.height - 6 },
        new Date(ms).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }),
      ),
    );
  }
}

async function drawAll() {
  await drawSensors();
  await Promise.all([drawAnomalies(), drawModels(), drawSummary(), drawSensor()]);
}

/** At most one drawing every two seconds, however many events come. */
let waiting = null;
const drawSoon = () => {
  waiting ??= setTimeout(() => {
    waiting = null;
    drawAll().catch(() => undefined);
  }, 2000);
};

async function open() {
  await api("/api/session/");
  find("sign-in").hidden = true;
  find("plant").hidden = false;
  find("sign-out").hidden = false;
  await drawAll();
  const events = new EventSource("/api/events/");
  for (const kind of ["anomaly", "drift", "model", "sensor", "reset"]) events.addEventListener(kind, drawSoon);
  setInterval(drawSoon, 15_000);
}

const code = new URLSearchParams(location.search).get("code");
if (code !== null) {
  history.replaceState(null, "", "/");
  await fetch("/api/session/", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
}
open().catch(() => undefined);
