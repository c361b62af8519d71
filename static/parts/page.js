// The frame of a view: its heading, which also is the window's title, what happened before it, and its parts.

import { notice } from "../session.js";
import { html, useEffect, useRef } from "../ui.js";

let isFirst = true;

/**
 * A view. `actions` stand beside the heading; `above` is the way back. The first field is where one goes on where there is little
 * else (`startsInField`); other views begin at their heading.
 */
export function Page({ title, above, actions, startsInField = false, isNarrow = false, children }) {
    const place = useRef(null);
    useEffect(() => {
        document.title = `${title} – tender`;
    }, [title]);
    useEffect(() => {
        const field = startsInField ? place.current.querySelector("input") : null;
        if (field !== null) {
            const described = [field.getAttribute("aria-describedby"), place.current.querySelector("#notice")?.id];
            field.setAttribute("aria-describedby", described.filter(Boolean).join(" "));
            field.focus();
        } else if (!isFirst) {
            place.current.querySelector("h1").focus();
        }
        isFirst = false;
    }, []);
    return html`
        <div class=${isNarrow ? "view narrow" : "view"} ref=${place}>
            ${above}
            <div class="title">
                <h1 tabindex="-1">${title}</h1>
                ${actions && html`<div class="actions">${actions}</div>`}
            </div>
            ${notice.value !== null && html`<p id="notice" class="notice" role="status">${notice.value}</p>`}
            ${children}
        </div>
    `;
}

/** Moves the focus to the heading of the view, when what had it is gone. */
export function focusHeading() {
    document.querySelector("main h1")?.focus();
}

/** A part of a view, with a heading of its own if it has a title. */
export function Card({ title, actions, children, ...attributes }) {
    return html`
        <section class="card" ...${attributes}>
            ${title && html`<div class="title"><h2>${title}</h2>${actions && html`<div class="actions">${actions}</div>`}</div>`}
            ${children}
        </section>
    `;
}

/** Where there is nothing yet: what that means, and what to do next. */
export function Empty({ title, children }) {
    return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

/**
 * What `useData` found, as `show` draws it; before that a word that it comes, and what went wrong if it did. What is out of date is
 * still shown, and fades.
 */
export function Loaded({ of, show }) {
    const { data, complaint, isOld, reload } = of;
    if (complaint !== null && !isOld) {
        return html`<div class="failure" role="alert"><p>${complaint}</p><button type="button" onClick=${reload}>Try again</button></div>`;
    }
    if (data === undefined) {
        return html`<p class="loading" role="status">Loading…</p>`;
    }
    return html`<div class=${isOld ? "old" : ""} aria-busy=${isOld}>${show(data)}</div>`;
}
