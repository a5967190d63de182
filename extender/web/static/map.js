// A node as a map: zones, cores with their siblings, who holds what, and what the pod in question would take.

import { amount, bytes, cpus, h } from "./dom.js";

const LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ";

/** CPU to what it is: class of its cell, the pod's letter and a sentence. */
function cells(node, admission) {
  const found = new Map();
  for (const cpu of cpus(node.reserved)) found.set(cpu, { kind: "reserved", text: "reserved for the system" });
  node.holders.forEach((pod, index) => {
    const letter = LETTERS[index % LETTERS.length];
    const name = `${pod.namespace}/${pod.name}`;
    const put = (list, kind, text) => {
      for (const cpu of cpus(list)) found.set(cpu, { kind, letter, pod: index, text });
    };
    put(pod.cpus, "pool", `${name}: pod shared pool`);
    for (const container of pod.containers) put(container.cpus, "held", `${name}: ${container.name}`);
    if (pod.pool) put(pod.pool, "pool", `${name}: pod shared pool`);
  });
  if (admission) {
    const put = (list, kind, text) => {
      for (const cpu of cpus(list)) found.set(cpu, { kind, letter: "•", text: `would go to ${text}` });
    };
    put(admission.podCpus, "take pool", "the pod shared pool");
    for (const name of admission.exclusive || []) put(admission.cpus[name], "take", name);
  }
  return found;
}

/** Memory of a zone that a list of blocks touches; a block on several zones counts where it could lie. */
const touching = (blocks, zone) =>
  (blocks || []).filter((block) => block.type === "memory" && block.numa.includes(zone)).reduce((sum, block) => sum + block.size / block.numa.length, 0);

function taken(admission, zone) {
  if (!admission) return 0;
  if (admission.podMemory) return touching(admission.podMemory, zone);
  return Object.values(admission.memory || {}).reduce((sum, blocks) => sum + touching(blocks, zone), 0);
}

function bar(zone, admission) {
  const whole = zone.allocatable.memory;
  if (!whole) return null;
  const held = ((whole - zone.free.memory) / whole) * 100;
  const take = Math.min((taken(admission, zone.zone) / whole) * 100, 100 - held);
  const text = `memory: ${bytes(zone.free.memory)} of ${bytes(whole)} free`;
  return h("div", { class: "bar", role: "img", "aria-label": text, title: text }, h("i", { "width%": held }), h("i", { class: "take", "width%": take }));
}

/** What is free, in as many words as there is room for. */
function head(zone, of) {
  const parts = [of > 4 ? `${zone.zone}` : `zone ${zone.zone}`];
  if (zone.free.cpu !== undefined) parts.push(`${zone.free.cpu} CPU`);
  if (zone.free.memory !== undefined && (of < 3 || zone.free.cpu === undefined)) parts.push(bytes(zone.free.memory));
  return parts.join(" · ");
}

/** The zones of a node. `mini` for the list: no letters; before the map has come, only bars. */
export function zones(node, admission, mini) {
  const by = node.holders ? cells(node, admission) : null;
  return h(
    "div",
    { class: mini ? "zones mini" : "zones" },
    node.zones.map((zone) =>
      h(
        "div",
        { class: "zone" },
        h("small", { title: "free for exclusive use" }, head(zone, mini ? node.zones.length : 1)),
        by && zone.cores
          ? h("div", { class: "cores" }, zone.cores.map((core) => h("div", { class: "core" }, core.cpus.map((cpu) => cell(cpu, by.get(cpu), mini)))))
          : cpuBar(zone),
        bar(zone, admission),
        mini ? null : others(zone),
      ),
    ),
  );
}

function cell(cpu, what, mini) {
  const kind = what?.kind || "free";
  if (mini) return h("i", { class: `cell ${kind}` });
  return h("i", { class: `cell ${kind}`, "data-pod": what?.pod, title: `CPU ${cpu}: ${what?.text || "free"}` }, what?.letter || (what ? "" : cpu));
}

function cpuBar(zone) {
  const whole = zone.allocatable.cpu;
  if (!whole) return null;
  return h("div", { class: "bar" }, h("i", { "width%": ((whole - zone.free.cpu) / whole) * 100 }));
}

/** Hugepages and devices of a zone. */
function others(zone) {
  const rest = Object.keys(zone.allocatable).filter((name) => !["cpu", "memory"].includes(name) && zone.allocatable[name]);
  return rest.map((name) => h("small", {}, `${name}: ${amount(name, zone.free[name])} of ${amount(name, zone.allocatable[name])} free`));
}

/** Who holds what, with the letters of the map. */
export function holders(node) {
  if (!node.holders?.length) return h("p", { class: "muted" }, "No pod holds anything exclusively.");
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ["", "pod", "CPUs", "memory", ""].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, node.holders.map((pod, index) => h("tr", { "data-pod": index }, h("td", {}, h("span", { class: "letter" }, LETTERS[index % LETTERS.length])), h("td", {}, podName(pod)), h("td", {}, h("code", {}, podCpus(pod))), h("td", {}, podMemory(pod))))),
  );
}

const podName = (pod) => (pod.namespace === "default" || !pod.namespace ? pod.name : `${pod.namespace}/${pod.name}`);
const podCpus = (pod) => pod.cpus || pod.containers.map((container) => container.cpus).filter(Boolean).join(" + ") || "–";

function podMemory(pod) {
  const blocks = pod.memory || pod.containers.flatMap((container) => container.memory || []);
  return blocks.map((block) => `${bytes(block.size)}${block.type === "memory" ? "" : ` ${block.type}`} of zone ${block.numa.join(", ")}`).join("; ") || "–";
}
