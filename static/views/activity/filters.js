// Filters of the lists here, kept in the address; and the way to what is older.

import { Choice, SearchField } from "../../parts/filters.js";
import { go, refine, route } from "../../router.js";
import { html } from "../../ui.js";

/** Sets what a parameter is narrowed down to. Whoever narrows begins at the latest again. */
function set(name, value) {
    refine({ [name]: value, before: undefined });
}

export function TextFilter({ name, label, hint }) {
    const change = (text) => set(name, text);
    return html`<${SearchField} value=${route.value.parameters[name]} role=${null} ...${{ label, hint, change }} />`;
}

/** A choice of `options`: `[value, label]` each. */
export function ChoiceFilter({ name, label, options }) {
    const value = route.value.parameters[name] ?? "";
    // What is in the address is kept, also while nobody knows what it is called.
    const isKnown = value === "" || options.some(([key]) => String(key) === value);
    const all = [["", "All"], ...options, ...(isKnown ? [] : [[value, value.slice(0, 80)]])];
    return html`<${Choice} options=${all} change=${(value) => set(name, value)} ...${{ label, value }} />`;
}

/** The parameters of these names, and those of the page. */
export function filtersOf(names) {
    const { parameters } = route.value;
    return Object.fromEntries([...names, "before"].filter((name) => parameters[name]).map((name) => [name, parameters[name]]));
}

/** Whether anything is filtered, apart from the page. */
export function isFiltered(names) {
    return names.some((name) => route.value.parameters[name]);
}

/** Takes all of these filters away. */
export function ClearFilters({ names }) {
    const clear = () => refine(Object.fromEntries([...names, "before"].map((name) => [name, undefined])));
    return isFiltered(names) && html`<button type="button" onClick=${clear}>Show all</button>`;
}

/** The ways to the latest and to what is older; `next` is where that begins, and `null` if there is nothing. */
export function Older({ next }) {
    const { path, parameters } = route.value;
    const isLatest = parameters.before === undefined;
    const show = (before) => {
        go(path, { ...parameters, before });
        scrollTo(0, 0);
    };
    if (isLatest && next === null) {
        return null;
    }
    return html`
        <nav class="pages" aria-label="Pages">
            <button type="button" disabled=${isLatest} onClick=${() => show(undefined)}>Latest</button>
            <button type="button" disabled=${next === null} onClick=${() => show(next)}>Older</button>
        </nav>
    `;
}
