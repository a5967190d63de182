// The page: what is asked, what is answered, and what of it is in sight. All of it is in `state`, which the link holds.

import { ask } from "./api.js";
import { byId, calmly, h, plural } from "./dom.js";
import { fromHash, toHash } from "./link.js";
import { List } from "./list.js";
import { holders, zones } from "./map.js";

const GIBIBYTE = 2 ** 30;
const MOST_MAPS = 16;
const EMPTY = { manifest: "", pod: 0, cpu: null, memory: null, replicas: 1, policy: "", scope: "", gate: "", drain: [], remove: [], search: "", only: "", show: "all", node: "" };
const EXAMPLE = `# The pod has a budget of its own: db gets a slice of it
# alone, metrics and backup share what is left.
apiVersion: v1
kind: Pod
metadata:
  name: database
spec:
  resources:
    requests: {cpu: "8", memory: 16Gi}
    limits: {cpu: "8", memory: 16Gi}
  containers:
  - name: db
    resources:
      requests: {cpu: "6", memory: 12Gi}
      limits: {cpu: "6", memory: 12Gi}
  - name: metrics
  - name: backup
`;

let state = { ...EMPTY };
let nodes = [];
let answer = null;
let placed = null;
let details = new Map();
const list = new List(byId("nodes"), byId("rows"), { render: row, seen: lookAt, chosen: (item) => open(item.name) });

// What is asked

const changed = () => Boolean(state.policy || state.scope || state.gate || state.drain.length || state.remove.length);

function question(more = {}) {
  const kubelet = {};
  if (state.policy) kubelet.topologyManagerPolicy = state.policy;
  if (state.scope) kubelet.topologyManagerScope = state.scope;
  if (state.gate) kubelet.featureGates = { PodLevelResources: true, PodLevelResourceManagers: state.gate === "true" };
  const change = {};
  if (Object.keys(kubelet).length) change.kubelet = kubelet;
  if (state.drain.length) change.drain = state.drain;
  if (state.remove.length) change.removePods = state.remove;
  const amounts = {};
  if (state.cpu) amounts.cpu = state.cpu;
  if (state.memory) amounts.memory = `${state.memory}Gi`;
  const body = { ...more };
  if (state.manifest.trim()) body.manifest = state.manifest;
  if (Object.keys(amounts).length) body.amounts = amounts;
  if (Object.keys(change).length) body.change = change;
  return body;
}

const asking = () => Boolean(state.manifest.trim()) || changed();

async function update() {
  byId("question").setAttribute("aria-busy", "true");
  try {
    await (asking() ? inquire() : rest());
    wrong("");
  } catch (error) {
    answer = placed = null;
    details = new Map();
    wrong(error.message);
    arrange();
  } finally {
    byId("question").setAttribute("aria-busy", "false");
  }
}

async function rest() {
  await ask("verdict", "nodes?limit=0"); // makes an older question moot
  answer = placed = null;
  details = new Map();
  arrange();
}

async function inquire() {
  const body = question();
  const fresh = await ask("verdict", "what-if?detail=brief", body);
  if (!fresh) return;
  answer = fresh;
  placed = null;
  details = new Map();
  if (state.pod >= answer.pods.length) state.pod = 0;
  arrange();
  if (answer.pods.length && state.replicas > 1) {
    placed = await ask("placed", "what-if?detail=brief", { ...body, replicas: state.replicas, together: true });
    arrange();
  } else if (answer.pods.length && !pod().fits) {
    const suggested = await ask("suggested", "what-if?detail=brief", { ...body, suggest: 8 });
    if (suggested) answer = suggested;
    arrange();
  }
}

const updateSoon = calmly(200, update);
const pod = () => answer?.pods?.[state.pod];

function wrong(sentence) {
  byId("wrong").textContent = sentence;
  byId("wrong").hidden = !sentence;
}

// What is in sight

/** Nodes in the order of the answer, or by name; with what is said of each. */
function items() {
  const said = new Map((pod()?.nodes || []).map((finding) => [finding.node, finding]));
  const before = new Map((pod()?.before || []).map((finding) => [finding.node, finding]));
  const known = new Map(nodes.map((node) => [node.name, node]));
  const names = said.size ? [...said.keys(), ...nodes.map((node) => node.name).filter((name) => !said.has(name))] : [...known.keys()];
  const copies = new Map();
  for (const place of placed?.together || []) if (place.fits) copies.set(place.node, (copies.get(place.node) || 0) + 1);
  return names.map((name) => ({ name, node: known.get(name), said: said.get(name), before: before.get(name), copies: copies.get(name) }));
}

const FILTERS = {
  all: () => true,
  fits: (item) => item.said?.fits,
  refuses: (item) => item.said && !item.said.fits,
  gains: (item) => item.said?.fits && item.before && !item.before.fits,
  loses: (item) => item.before?.fits && !item.said?.fits,
};

function arrange() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  const every = items();
  const found = every.filter(
    (item) => words.every((word) => item.name.toLowerCase().includes(word)) && (!state.only || item.node?.policy === state.only) && FILTERS[state.show](item),
  );
  list.set(found, state.node);
  document.querySelector("main").classList.toggle("changed", changed() && Boolean(pod()));
  byId("count").textContent = found.length === every.length ? plural(every.length, "node") : `${found.length.toLocaleString("en")} of ${plural(every.length, "node")}`;
  byId("nodes").querySelector(":scope > p")?.remove();
  if (!found.length && nodes.length) byId("nodes").append(h("p", {}, "No node is like that."));
  summarize();
  sliders();
  changes();
  detail();
}

function row(item) {
  const { node, said } = item;
  const known = details.get(item.name);
  const map = known?.map || node;
  const about = map?.fault ? map.knowledge : [map?.policy, map?.scope, map?.knowledge === "exact" ? null : map?.knowledge].filter(Boolean).join(" · ");
  return [
    h("div", {}, h("h3", { title: item.name }, item.name), h("p", { class: "about" }, about)),
    map?.zones ? zones(map, known?.finding?.admission, true) : h("p", { class: "muted" }, map?.fault || "not there today"),
    h("div", {}, verdict(item), h("p", { class: "said", title: said?.sentence }, said?.sentence || (item.before ? "the node is gone" : ""))),
  ];
}

function verdict(item) {
  const { said, before } = item;
  if (!said) return null;
  const kind = said.fits ? "fits" : said.outcome === "unknown" ? "unknown" : "refuses";
  const text = { fits: "✓ fits", refuses: "✕ does not fit", unknown: "? not known" }[kind];
  const trend = before && before.fits !== said.fits ? (said.fits ? " ▲" : " ▼") : "";
  const copies = placed ? (item.copies ? ` · takes ${item.copies}` : "") : said.fits && said.score ? ` · score ${said.score}` : "";
  return h("p", { class: `verdict ${kind}` }, text + trend + copies);
}

/** Fetches the maps of the nodes that have come into sight, and what of them the pod would take. */
async function lookAt(fresh) {
  const missing = fresh.filter((item) => item.node?.zones && !details.has(item.name)).map((item) => item.name);
  const mine = details;
  for (let first = 0; first < missing.length; first += MOST_MAPS) {
    const names = missing.slice(first, first + MOST_MAPS);
    for (const name of names) mine.set(name, {});
    try {
      await fetchDetails(names, mine);
    } catch {
      for (const name of names) mine.delete(name);
    }
    if (details !== mine) return;
    list.refresh(new Set(names));
    if (names.includes(state.node)) detail();
  }
}

async function fetchDetails(names, into) {
  const kind = `maps ${names[0]}`;
  if (asking()) {
    const there = names.filter((name) => !state.drain.includes(name));
    if (!there.length) return;
    const found = await ask(kind, "what-if?maps=true", question({ nodes: there }));
    const said = new Map((found?.pods?.[state.pod]?.nodes || []).map((finding) => [finding.node, finding]));
    for (const map of found?.maps || []) into.set(map.name, { map, finding: said.get(map.name) });
  } else {
    const found = await ask(kind, `nodes?detail=map&names=${names.map(encodeURIComponent).join(",")}`);
    for (const map of found?.nodes || []) into.set(map.name, { map });
  }
}

// The answer in words

function summarize() {
  const section = byId("answer");
  section.hidden = !answer;
  if (!answer) return;
  const parts = [];
  const mine = pod();
  if (answer.pods.length > 1) parts.push(chooser());
  if (mine) {
    const of = mine.nodes.length;
    parts.push(h("strong", { class: `verdict ${mine.fits ? "fits" : "refuses"}` }, mine.fits ? `✓ Fits on ${mine.summary.admitted} of ${plural(of, "node")}` : `✕ Fits on none of ${plural(of, "node")}`));
    if (placed) parts.push(h("p", {}, `${placed.placed} of ${placed.together.length} copies have a place, one after the other.`, why(placed.together)));
    if (mine.before) parts.push(h("p", {}, `${plural(mine.gains.length, "node")} gained, ${mine.loses.length} lost.`));
    if (mine.suggestions.length) parts.push(h("h2", {}, "The smallest change that works"), suggestions(mine.suggestions));
  }
  if (answer.lost?.length) parts.push(losses("would not be admitted again", answer.lost));
  const homeless = (answer.displaced || []).filter((place) => !place.fits);
  if (homeless.length) parts.push(losses("would find no other node", homeless));
  if (answer.displaced?.length && !homeless.length) parts.push(h("p", {}, `All ${answer.displaced.length} pods of the drained nodes find another one.`));
  section.replaceChildren(...parts);
}

function chooser() {
  const options = answer.pods.map((one, index) => h("option", { value: index, selected: index === state.pod }, `${one.kind} ${one.name} ${one.fits ? "✓" : "✕"}`));
  return h("select", { "aria-label": "Pod in view", onchange: (event) => set({ pod: Number(event.target.value) }) }, options);
}

function why(places) {
  const lost = places.find((place) => !place.fits);
  return lost?.reasons?.length ? ` Then, on ${plural(lost.reasons[0].nodes, "node")}: ${lost.reasons[0].sentence}.` : null;
}

const suggestions = (found, here) => h("ul", { class: "plain" }, found.map((one) => h("li", { class: "suggestion" }, one.sentence, here ? null : h("span", { class: "muted" }, ` – on ${one.node}`))));

function losses(text, pods) {
  const shown = pods.slice(0, 20).map((one) => h("li", {}, `${one.namespace}/${one.name}`, h("span", { class: "muted" }, ` ${one.node || ""} ${one.sentence || one.reasons?.[0]?.sentence || ""}`)));
  return h("details", {}, h("summary", { class: "verdict refuses" }, `${plural(pods.length, "running pod")} ${text}`), h("ul", { class: "plain" }, shown));
}

// The controls

function sliders() {
  const mine = pod();
  byId("amounts").hidden = !mine;
  if (!mine) return;
  const asked = mine.amounts || {};
  dial("cpu", state.cpu ?? asked.cpu, Math.max(16, ...nodes.slice(0, 50).map(largest("cpu"))), (value) => value);
  dial("memory", state.memory ?? Math.ceil((asked.memory || 0) / GIBIBYTE), Math.max(16, ...nodes.slice(0, 50).map(largest("memory")).map((most) => Math.ceil(most / GIBIBYTE))), (value) => `${value}Gi`);
  dial("replicas", state.replicas, 100, (value) => value);
}

const largest = (resource) => (node) => Math.max(0, ...(node.zones || []).map((zone) => zone.allocatable[resource] || 0));

function dial(name, value, most, text) {
  const input = byId(name);
  input.closest("label").hidden = !value;
  if (!value) return;
  input.max = Math.max(most, value);
  if (document.activeElement !== input) input.value = value;
  byId(`${name}-shown`).textContent = text(Number(input.value));
  byId(`${name}-shown`).classList.toggle("changed", name === "replicas" ? state.replicas > 1 : state[name] !== null);
}

function changes() {
  const undo = (field, name) => h("button", { type: "button", class: "quiet", "aria-label": `Undo: ${name}`, onclick: () => set({ [field]: state[field].filter((one) => one !== name) }) }, "undo");
  byId("changes").replaceChildren(
    ...state.drain.map((name) => h("li", {}, `${name} is drained `, undo("drain", name))),
    ...state.remove.map((name) => h("li", {}, `${name} is gone `, undo("remove", name))),
  );
}

// One node

function open(name) {
  set({ node: name }, false);
  detail();
}

function close() {
  set({ node: "" }, false);
  list.at = -1;
  list.mark();
  detail();
  byId("nodes").focus();
}

function detail() {
  const aside = byId("detail");
  const node = nodes.find((one) => one.name === state.node);
  const known = details.get(state.node);
  const map = known?.map || (state.node && node);
  aside.hidden = !map;
  document.querySelector("main").classList.toggle("open", Boolean(map));
  if (!map) return;
  const item = items().find((one) => one.name === state.node) || {};
  aside.replaceChildren(
    h("header", {}, h("h2", {}, map.name), h("button", { type: "button", class: "quiet", onclick: close, title: "Esc" }, "Close")),
    h("div", { class: "chips" }, chips(map)),
    ...(item.said ? [h("div", {}, verdict(item), h("p", {}, known?.finding?.sentence || item.said.sentence))] : []),
    ...sides(map, known),
    h("section", {}, h("h3", {}, "Who holds what"), holders(map)),
    h("section", { id: "ways" }),
    h("p", { class: "row" }, drainButton(map.name)),
  );
  for (const line of aside.querySelectorAll("tr[data-pod]")) {
    line.addEventListener("mouseenter", () => dim(line.dataset.pod));
    line.addEventListener("mouseleave", () => dim(null));
    if (map.holders) line.append(h("td", {}, removeButton(map.holders[line.dataset.pod])));
  }
  if (item.said && !item.said.fits && item.said.outcome === "refused" && known?.map) suggestOn(map.name);
}

function sides(map, known) {
  const now = zones(map, known?.finding?.admission, false);
  if (!changed() || !map.holders) return [now];
  const today = h("figure", {}, h("h3", {}, "Today"), h("p", { class: "muted" }, "…"));
  ask("today", `nodes?detail=map&names=${encodeURIComponent(map.name)}`).then((found) => {
    if (found?.nodes.length) today.replaceChild(zones(found.nodes[0], null, false), today.lastChild);
    else today.remove();
  });
  return [h("div", { class: "sides" }, today, h("figure", {}, h("h3", {}, "After the change"), now))];
}

function chips(map) {
  if (map.fault) return h("span", {}, map.fault);
  const gates = Object.entries(map.configuration?.featureGates || {}).map(([name, on]) => `${name} ${on ? "on" : "off"}`);
  const options = Object.entries({ ...map.configuration?.cpuManagerPolicyOptions, ...map.configuration?.topologyManagerPolicyOptions }).map(([name, value]) => (value === "true" ? name : `${name} ${value}`));
  return [map.policy, `scope ${map.scope}`, `CPUs ${map.cpuPolicy}`, `memory ${map.memoryPolicy}`, map.kubeletVersion || map.version, map.knowledge, ...options, ...gates, ...(map.estimates || []).map((what) => `not told: ${what}`)]
    .filter(Boolean)
    .map((text) => h("span", {}, text));
}

const drainButton = (name) => (state.drain.includes(name) ? null : h("button", { type: "button", onclick: () => set({ drain: [...state.drain, name] }) }, "What if it were drained?"));

function removeButton(holder) {
  if (!holder?.namespace) return null;
  const name = `${holder.namespace}/${holder.name}`;
  return h("button", { type: "button", class: "quiet", title: `What if ${name} were gone?`, "aria-label": `What if ${name} were gone?`, onclick: () => set({ remove: [...new Set([...state.remove, name])] }) }, "✕");
}

function dim(pod) {
  for (const cell of byId("detail").querySelectorAll(".cell")) cell.classList.toggle("dim", pod !== null && cell.dataset.pod !== pod);
}

async function suggestOn(name) {
  const found = await ask("ways", "what-if", question({ nodes: [name], suggest: 1 })).catch(() => null);
  const section = byId("ways");
  const ways = found?.pods?.[state.pod]?.suggestions;
  if (ways?.length && section && state.node === name) section.replaceChildren(h("h3", {}, "What would make it fit here"), suggestions(ways, true));
}

// State, link, and hands

function set(part, again = true) {
  state = { ...state, ...part };
  remember();
  if (again) updateSoon();
}

const remember = calmly(150, async () => {
  const kept = Object.fromEntries(Object.entries(state).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(EMPTY[name])));
  history.replaceState(null, "", Object.keys(kept).length ? await toHash(kept) : location.pathname);
});

function fill() {
  for (const name of ["manifest", "policy", "scope", "gate", "search"]) byId(name).value = state[name];
  byId("policy-filter").value = state.only;
  byId("replicas").value = state.replicas;
  document.querySelector(`input[name=show][value="${state.show}"]`).checked = true;
}

async function restore() {
  const kept = await fromHash(location.hash);
  state = { ...EMPTY, ...(kept && typeof kept === "object" ? kept : {}) };
  fill();
}

function listen() {
  byId("manifest").addEventListener("input", (event) => set({ manifest: event.target.value, cpu: null, memory: null, pod: 0 }));
  for (const name of ["policy", "scope", "gate"]) byId(name).addEventListener("change", (event) => set({ [name]: event.target.value, show: "all" }) ?? fill());
  for (const name of ["cpu", "memory", "replicas"]) {
    byId(name).addEventListener("input", (event) => {
      set({ [name]: Number(event.target.value) });
      byId(`${name}-shown`).textContent = name === "memory" ? `${event.target.value}Gi` : event.target.value;
    });
  }
  byId("search").addEventListener("input", (event) => set({ search: event.target.value }, false) ?? arrangeSoon());
  byId("policy-filter").addEventListener("change", (event) => set({ only: event.target.value }, false) ?? arrange());
  byId("show").addEventListener("change", (event) => set({ show: event.target.value }, false) ?? arrange());
  byId("example").addEventListener("click", () => write(EXAMPLE));
  byId("clear").addEventListener("click", () => {
    state = { ...EMPTY, node: state.node };
    fill();
    set({});
  });
  byId("copy").addEventListener("click", copyLink);
  byId("question").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", keys);
  window.addEventListener("hashchange", () => restore().then(update));
  drops();
}

const arrangeSoon = calmly(60, arrange);

function write(text) {
  byId("manifest").value = text;
  set({ manifest: text, cpu: null, memory: null, pod: 0 });
}

function keys(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "range" && event.target.type !== "radio";
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (state.node) close();
  } else if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const target = { "/": "search", p: "manifest", n: "nodes" }[event.key];
    if (!target) return;
    event.preventDefault();
    byId(target).focus();
  }
}

function drops() {
  const area = byId("manifest");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  document.addEventListener("dragleave", () => area.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    area.classList.remove("over");
    const files = [...event.dataTransfer.files];
    const texts = files.length ? await Promise.all(files.map((file) => file.text())) : [event.dataTransfer.getData("text")];
    if (texts.join("").trim()) write(texts.join("\n---\n"));
  });
}

async function copyLink() {
  const { pathname, origin } = location;
  const link = origin + pathname + (await toHash(state));
  try {
    await navigator.clipboard.writeText(link);
    byId("copy").textContent = "Copied";
  } catch {
    history.replaceState(null, "", link);
    byId("copy").textContent = "It is in the address bar";
  }
  setTimeout(() => (byId("copy").textContent = "Copy link"), 2000);
}

async function begin() {
  listen();
  await restore();
  try {
    nodes = (await ask("nodes", "nodes")).nodes;
  } catch (error) {
    wrong(error.message);
    return;
  }
  arrange();
  await update();
  document.documentElement.dataset.ready = "yes";
}

begin();
