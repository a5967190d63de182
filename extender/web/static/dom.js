// The few words of DOM that the page needs.

/** Makes an element: attributes, `on…` handlers, `class`; children are nodes, texts or lists of them. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "width%") element.style.width = `${value}%`;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Calls at most once in a while, with the last arguments. */
export function calmly(milliseconds, act) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...args), milliseconds);
  };
}

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** Bytes as people write them; rounded down, as it is what can still be had. */
export function bytes(amount) {
  for (const [unit, suffix] of [[2 ** 40, "Ti"], [2 ** 30, "Gi"], [2 ** 20, "Mi"]]) {
    if (amount >= unit) return `${Math.floor((amount / unit) * 10) / 10}${suffix}`;
  }
  return `${Math.floor(amount / 1024)}Ki`;
}

export const amount = (resource, value) =>
  resource === "memory" || resource.startsWith("hugepages-") ? bytes(value) : `${value}`;

/** The members of a CPU list such as 0-3,8. */
export function cpus(list) {
  const found = new Set();
  for (const part of (list || "").split(",").filter(Boolean)) {
    const [first, last = first] = part.split("-").map(Number);
    for (let cpu = first; cpu <= last; cpu++) found.add(cpu);
  }
  return found;
}
