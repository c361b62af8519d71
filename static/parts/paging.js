// The way through a list that the server gives page by page. Where one is, is in the address: `after` is the cursor that the page
// began with, and `from` how many rows are before it. Cursors lead on, and not back: the way that was gone is kept here.

import { go, route } from "../router.js";
import { html } from "../ui.js";
import { Pages } from "./table.js";

/** The first page, whatever the list is narrowed down to. */
export const FIRST_PAGE = { after: undefined, from: undefined };

/** By the cursor of a page, as the address has it, where the page before it is. */
const before = new Map();

/** Back and on, from a page that shows so many rows of `total`, to the one at the cursor `next`. */
export function CursorPages({ shown, next, total }) {
    const { path, parameters } = route.value;
    const from = Number(parameters.from) || 0;
    const walk = (there) => go(path, { ...parameters, ...there });
    const on = () => {
        before.set(String(next), { after: parameters.after, from: parameters.from });
        walk({ after: next, from: from + shown });
    };
    // Who came by a link alone goes back to the beginning.
    const back = () => walk(before.get(parameters.after) ?? FIRST_PAGE);
    return html`<${Pages} ...${{ from, shown, total }} back=${parameters.after === undefined ? null : back} on=${next === null ? null : on} />`;
}
