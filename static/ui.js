// What draws the page: Preact, with htm for markup and signals for what several parts share. Text is always text here: nothing
// that a device or the server says can become markup.

import htm from "./vendor/htm.js";
import { h } from "./vendor/preact.js";

export { createContext, render } from "./vendor/preact.js";
export { useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
export { computed, signal } from "./vendor/preact-signals.js";

/** Characters that begin and end a part with a direction of its own: one of them too many, and a `<bdi>` ends later, or earlier, than its element. */
const ISOLATES = /[\u2066-\u2069]/g;

/** Whatever is in a `<bdi>` must not turn around what is beside it. */
function kept(child) {
    if (Array.isArray(child)) {
        return child.map(kept);
    }
    return typeof child === "string" ? child.replace(ISOLATES, "") : child;
}

export const html = htm.bind((type, properties, ...children) => h(type, properties, ...(type === "bdi" ? children.map(kept) : children)));
