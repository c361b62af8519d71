// Bars: how many of each kind there are, as lengths, words and numbers.

import { number } from "../text.js";
import { html } from "../ui.js";

/** `bars` are `{key, label, value, tone?, href?}`; all of them are parts of `whole`. */
export function Bars({ label, bars, whole }) {
    return html`<ul class="bars" aria-label=${label}>${bars.map((bar) => html`<${Bar} key=${bar.key} ...${{ bar, whole }} />`)}</ul>`;
}

function Bar({ bar: { label, value, tone = "plain", href }, whole }) {
    const percent = whole === 0 ? 0 : (value / whole) * 100;
    return html`
        <li>
            <span class="bar-label">${href === undefined ? label : html`<a href=${href}>${label}</a>`}</span>
            <span class="bar-track" aria-hidden="true"><span class=${`bar-fill ${tone}`} style=${{ width: `${percent}%` }}></span></span>
            <span class="bar-value">${number(value)}</span>
        </li>
    `;
}
