/**
 * The one table of panels.
 *
 * A panel is `create(session, element)`: it fills its element and returns `{show(), hide()}`. Its
 * name is its word (`panel.NAME`) and what the address says. `applies` says for what it is.
 */

const found = (path) => import(path).then((module) => module.create).catch(() => null);

export const createPoint = await found("./point.js");

export const PANELS = [
  { name: "learning", create: await found("./learning.js"), applies: (info) => Boolean(info.learning) },
  { name: "walk", create: await found("./walk.js"), applies: () => true },
  { name: "selected", create: await found("./selected.js"), applies: () => true },
  { name: "dims", create: await found("./dims.js"), applies: () => true },
  { name: "draw", create: await found("./drawing.js"), applies: () => true },
  { name: "damage", create: await found("./damage.js"), applies: ({ damages }) => damages.length > 0 },
  { name: "arithmetic", create: await found("./arithmetic.js"), applies: () => true },
].filter(({ create }) => create);
