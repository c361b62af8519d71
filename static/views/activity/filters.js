// Filters of the lists here, kept in the address; and the way to what is older.

import { go, refine, route } from "../../router.js";
import { html, useId } from "../../ui.js";

/** What has a filter: the parameter that it is in. Whoever filters begins at the latest again. */
function set(name, value) {
    refine({ [name]: value.trim(), before: undefined });
}

export function TextFilter({ name, label, ...attributes }) {
    const id = useId();
    const type = ({ target: { value } }) => set(name, value);
    return html`
        <div class="field">
            <label for=${id}>${label}</label>
            <input id=${id} type="search" value=${route.value.parameters[name] ?? ""} onInput=${type} autocomplete="off" autocapitalize="none" spellcheck=${false} ...${attributes} />
        </div>
    `;
}

/** A choice of `options`: `[value, label]` each. */
export function ChoiceFilter({ name, label, options }) {
    const id = useId();
    const value = route.value.parameters[name] ?? "";
    // What is in the address is kept, also while nobody knows what it is called.
    const known = value === "" || options.some(([key]) => String(key) === value) ? options : [...options, [value, value.slice(0, 80)]];
    return html`
        <div class="field">
            <label for=${id}>${label}</label>
            <select id=${id} value=${value} onChange=${({ target }) => set(name, target.value)}>
                <option value="">All</option>
                ${known.map(([key, text]) => html`<option key=${key} value=${String(key)}>${text}</option>`)}
            </select>
        </div>
    `;
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
