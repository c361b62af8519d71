// How many devices are in which state: a bar, and the same in words.

import { STATES } from "../../parts/values.js";
import { to } from "../../router.js";
import { number } from "../../text.js";
import { html } from "../../ui.js";

const ORDER = ["up_to_date", "updating", "waiting", "failing", "blocked", "silent", "no_target"];

/** `states` are devices by state; with `group` the words are the ways to the group's devices in that state. */
export function StateBar({ states, group }) {
    const some = ORDER.filter((state) => states[state] > 0);
    return html`
        <div class="state-bar" aria-hidden="true">
            ${some.map((state) => html`<span key=${state} class=${`bar-fill ${STATES[state].tone} ${state}`} style=${{ flexGrow: states[state] }}></span>`)}
        </div>
        <ul class="state-words">${some.map((state) => html`<li key=${state}><${Words} ...${{ state, count: states[state], group }} /></li>`)}</ul>
    `;
}

function Words({ state, count, group }) {
    const { label, tone, says } = STATES[state];
    const words = `${number(count)} ${label.toLowerCase()}`;
    const mark = html`<span class=${`state-mark ${tone} ${state}`} aria-hidden="true"></span>`;
    return group === undefined
        ? html`<span title=${says}>${mark}${words}</span>`
        : html`${mark}<a href=${to(["devices"], { group, state })} title=${says}>${words}</a>`;
}
