/**
 * The one table of panels.
 *
 * A panel is `create(session, element)`: it fills its element and returns `{show(), hide()}`. Its
 * name is its word (`panel.NAME`) and what the address says. `applies` says for what it is. One that
 * the rest of the page follows is made `atOnce`, others when they are first shown.
 */

import { create as arithmetic } from "./arithmetic.js";
import { create as damage } from "./damage.js";
import { create as dims } from "./dims.js";
import { create as draw } from "./drawing.js";
import { create as learning } from "./learning.js";
import { create as selected } from "./selected.js";
import { create as walk } from "./walk.js";

const always = () => true;

export const PANELS = [
  { name: "learning", create: learning, applies: (info) => Boolean(info.learning), atOnce: true },
  { name: "walk", create: walk, applies: always },
  { name: "selected", create: selected, applies: always },
  { name: "dims", create: dims, applies: always },
  { name: "draw", create: draw, applies: always },
  { name: "damage", create: damage, applies: ({ damages }) => damages.length > 0 },
  { name: "arithmetic", create: arithmetic, applies: always },
];
