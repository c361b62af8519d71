// Bars: how many of each kind there are, as lengths, words and numbers.

import { number } from "../text.js";
import { html } from "../ui.js";

/**
 * `bars` are `{key, label, value, tone?, parts?, href?}`; their lengths are shares of `whole`. The `parts` of a bar, `{key, label, tone,
 * value}` each, are drawn one beside the other, and named on hover.
 */
export function Bars({ label, bars, whole }) {
    return html`<ul class="bars" aria-label=${label}>${bars.map((bar) => html`<${Bar} key=${bar.key} ...${{ bar, whole }} />`)}</ul>`;
}

function Bar({ bar: { label, value, tone = "plain", parts, href }, whole }) {
    const drawn = (parts ?? [{ key: "all", tone, value }]).filter((part) => part.value > 0);
    const title = parts && drawn.map((part) => `${part.label}: ${number(part.value)}`).join(", ");
    return html`
        <li class=${value === 0 ? "none" : ""}>
            <span class="bar-label">${href === undefined ? label : html`<a href=${href}>${label}</a>`}</span>
            <span class="bar-track" aria-hidden="true" title=${title}>${drawn.map((part) => html`<${Fill} key=${part.key} ...${{ part, whole }} />`)}</span>
            <span class="bar-value">${number(value)}</span>
        </li>
    `;
}

function Fill({ part: { tone, value }, whole }) {
    return html`<span class=${`bar-fill ${tone}`} style=${{ width: `${whole === 0 ? 0 : (value / whole) * 100}%` }}></span>`;
}
