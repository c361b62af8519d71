// What narrows a list down: a search that follows the typing, and choices. Their values live in the address.

import { html, useEffect, useId, useRef, useState } from "../ui.js";

// Between two keystrokes, and not after each.
const TYPING_MS = 250;

/**
 * A field to search with: `change` gets what is typed, when the typing pauses. Where there are several beside each other, `role` is
 * `null`: a view has one search.
 */
export function SearchField({ label, hint, value = "", change, role = "search" }) {
    const id = useId();
    const [typed, setTyped] = useState(value);
    const sent = useRef(value);
    const timer = useRef();
    const latest = useRef();
    latest.current = change;
    useEffect(() => () => clearTimeout(timer.current), []);
    useEffect(() => {
        // What comes from elsewhere, such as a button that clears all filters, counts; what is being typed stays.
        if (value !== sent.current) {
            clearTimeout(timer.current);
            sent.current = value;
            setTyped(value);
        }
    }, [value]);
    const send = (text) => {
        clearTimeout(timer.current);
        sent.current = text;
        latest.current(text);
    };
    const type = ({ target }) => {
        setTyped(target.value);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => send(target.value.trim()), TYPING_MS);
    };
    return html`
        <div class="field search" role=${role}>
            <label for=${id}>${label}</label>
            <input id=${id} type="search" autocomplete="off" autocapitalize="none" spellcheck=${false} placeholder=${hint} value=${typed} onInput=${type} />
        </div>
    `;
}

/** A choice of `options`, `[value, label]` each, which counts at once. */
export function Choice({ label, options, value = "", change }) {
    const id = useId();
    return html`
        <div class="field">
            <label for=${id}>${label}</label>
            <select id=${id} value=${value} onChange=${({ target }) => change(target.value)}>
                ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${String(key) === String(value)}>${text}</option>`)}
            </select>
        </div>
    `;
}
