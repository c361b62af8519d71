// Registrations one below the other: rows where there is room, and blocks on phones, where all of it must be seen to decide.

import { ActionButton } from "../../parts/outcome.js";
import { Ago, Short } from "../../parts/values.js";
import { mayChange } from "../../session.js";
import { html } from "../../ui.js";
import { keyOf } from "./key.js";
import { Keys, Kind, Says } from "./shown.js";

/** `chosen` are registrations by their keys, and `choose` gets others; `decide` has `accept(some)` and `reject(some)`. */
export function List({ label, rows, chosen, choose, outcome, decide }) {
    const areAll = rows.every((row) => chosen.has(keyOf(row)));
    const set = (some, is) => {
        const next = new Map(chosen);
        some.forEach((row) => (is ? next.set(keyOf(row), row) : next.delete(keyOf(row))));
        choose(next);
    };
    const one = (row) => {
        const isChosen = chosen.has(keyOf(row));
        return html`<${One} key=${keyOf(row)} ...${{ row, isChosen, outcome, decide }} choose=${() => set([row], !isChosen)} />`;
    };
    return html`
        ${mayChange.value && html`
            <label class="check all-registrations">
                <input type="checkbox" checked=${areAll} onChange=${() => set(rows, !areAll)} />Choose all on this page
            </label>
        `}
        <ul class="registrations" aria-label=${label}>${rows.map(one)}</ul>
    `;
}

function One({ row, isChosen, choose, outcome, decide }) {
    const { mac_address: address, device, metadata, last_appeared: asked, state } = row;
    return html`
        <li class=${isChosen ? "registration chosen" : "registration"}>
            ${mayChange.value && html`
                <span class="choice"><input type="checkbox" aria-label=${`Choose ${address}`} checked=${isChosen} onChange=${choose} /></span>
            `}
            <div class="registration-who">
                <strong><${Short} of=${address} /></strong>
                <${Kind} of=${row} />
                <span class="aside">asked <${Ago} at=${asked} /></span>
            </div>
            <div class="registration-key"><${Keys} of=${row} /></div>
            <div class="registration-says"><${Says} of=${metadata} /></div>
            ${mayChange.value && html`
                <div class="actions">
                    <${ActionButton} of=${outcome} act=${() => decide.accept([row])} label=${device === null ? "Accept" : "Accept…"}
                        busyLabel="Accepting…" aria-label=${`Accept ${address}`} />
                    ${state === "pending" && html`
                        <${ActionButton} of=${outcome} act=${() => decide.reject([row])} label="Reject" busyLabel="Rejecting…" aria-label=${`Reject ${address}`} />
                    `}
                </div>
            `}
        </li>
    `;
}
