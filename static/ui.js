// What draws the page: Preact, with htm for markup and signals for what several parts share. Text is always text here: nothing
// that a device or the server says can become markup.

import htm from "./vendor/htm.js";
import { h } from "./vendor/preact.js";

export { createContext, render } from "./vendor/preact.js";
export { useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
export { computed, signal } from "./vendor/preact-signals.js";

export const html = htm.bind(h);
