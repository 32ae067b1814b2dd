/** The few elements that panels are made of. */

/**
 * Make an element.
 *
 * @param {string} tag such as "div" or "button.primary": classes follow the name
 * @param {Object<string, any>} properties attributes; functions are listeners (`onclick`)
 * @param {...(Node|string|null)} children
 */
export function element(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list" && key !== "form") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let count = 0;

/** An id that no other element of the page has. */
export function freshId(name) {
  count += 1;
  return `${name}-${count}`;
}

/** A button with words on it. */
export function button(words, onclick, properties = {}) {
  return element("button.button", { type: "button", onclick, ...properties }, words);
}

/**
 * A slider with its label before and its value behind.
 *
 * @param {{label: string, low: number, high: number, step?: number|"any", value: number,
 *          words?: (value: number) => string, oninput: (value: number) => void}} options
 * @returns {{element: HTMLElement, input: HTMLInputElement, set: (value: number) => void}}
 */
export function slider({ label, low, high, step = "any", value, words = String, oninput }) {
  const id = freshId("slider");
  const output = element("output", { for: id });
  const input = element("input.slider", { type: "range", id, min: low, max: high, step, value });
  const say = () => {
    const text = words(Number(input.value));
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => {
    say();
    oninput(Number(input.value));
  });
  input.addEventListener("keydown", (event) => {
    const far = { PageUp: 0.1, PageDown: -0.1 }[event.key] ?? fineStep(event.key, step);
    if (!far) return;
    event.preventDefault();
    input.value = Number(input.value) + far * (high - low);
    say();
    oninput(Number(input.value));
  });
  say();
  const set = (next) => {
    input.value = next;
    say();
  };
  const name = element("label", { htmlFor: id }, label);
  return { element: element("div.control", {}, name, output, input), input, output, set, say };
}

/** Arrows move a slider without steps by a hundredth of its way. */
function fineStep(key, step) {
  if (step !== "any") return 0;
  return { ArrowRight: 0.01, ArrowUp: 0.01, ArrowLeft: -0.01, ArrowDown: -0.01 }[key] ?? 0;
}

/** A choice among a few, with its label. */
export function choice(label, options, value, onchange) {
  const id = freshId("choice");
  const select = element("select.field.small", { id, onchange: () => onchange(select.value) });
  for (const [key, words] of options) select.append(element("option", { value: key }, words));
  select.value = value;
  return {
    element: element("div.choice", {}, element("label", { htmlFor: id }, label), select),
    select,
  };
}

/** A box to tick, with its label. */
export function tickbox(label, checked, onchange) {
  const input = element("input", {
    type: "checkbox",
    checked,
    onchange: () => onchange(input.checked),
  });
  return element("label.tickbox", {}, input, element("span", {}, label));
}

/** A paragraph in which a panel says what is going on; screen readers say it too. */
export function status() {
  return element("p.note.panel-status", { role: "status" });
}

/** Offer a file for download. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
