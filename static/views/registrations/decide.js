// Letting devices in, or not: the calls, and the dialogs for what should be thought about first.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { Fingerprint, Short } from "../../parts/values.js";
import { count } from "../../text.js";
import { html } from "../../ui.js";
import { keyOf, named } from "./key.js";
import { Keys } from "./shown.js";

const NAMED = 5;

/** Accepts registrations; returns the new devices among them, which are in no group yet. */
export async function accept(some) {
    const { devices } = await api.acceptRegistrations(named(some));
    say(`${count(some.length, "registration")} accepted.`);
    return some
        .map(({ mac_address, device }, position) => ({ id: devices[position], name: mac_address, mac_address, group: null, device }))
        .filter(({ device }) => device === null);
}

/** Rejects registrations. */
export async function reject(some) {
    await api.rejectRegistrations(named(some));
    say(`${count(some.length, "registration")} rejected.`);
    return [];
}

export function AcceptDialog({ some, close, decided }) {
    const changes = some.filter(({ device }) => device !== null);
    const fresh = some.filter(({ device }) => device === null);
    const send = async () => decided(some, await accept(some));
    const isOnlyKeys = fresh.length === 0;
    const title = isOnlyKeys && some.length === 1 ? "Accept a new key" : `Accept ${count(some.length, isOnlyKeys ? "new key" : "registration")}`;
    return html`
        <${Dialog} ...${{ title, close }}>
            ${fresh.length > 0 && html`<p>${count(fresh.length, "new device")} ${fresh.length === 1 ? "is" : "are"} let in:</p><${Names} of=${fresh} />`}
            ${changes.length > 0 && html`<${Changes} of=${changes} />`}
            <${Form} label=${`Accept ${some.length === 1 ? "the new key" : `all ${some.length}`}`} busyLabel="Accepting…" isDangerous=${changes.length > 0}
                ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`} />
        <//>
    `;
}

export function RejectDialog({ some, close, decided }) {
    const send = async () => decided(some, await reject(some));
    return html`
        <${Dialog} title=${`Reject ${count(some.length, "registration")}`} ...${{ close }}>
            <${Names} of=${some} />
            <p>They are told no when they ask again, and are kept among the rejected ones, where they can be accepted after all.</p>
            <${Form} label=${`Reject all ${some.length}`} busyLabel="Rejecting…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`} />
        <//>
    `;
}

/** What a change of key means, and both keys of each. */
function Changes({ of: changes }) {
    const isOne = changes.length === 1;
    return html`
        <p class="warning">
            ${isOne ? "This is no new device: it claims" : `${count(changes.length, "registration is", "registrations are")} of no new devices: they claim`}
            ${" "}to be ${isOne ? "one" : "some"} that you have. A device that was reinstalled has a new key. If nobody did that, somebody else claims
            to be it. Compare the fingerprints with what the device shows.
        </p>
        <ul class="named">
            ${changes.slice(0, NAMED).map(
                ({ mac_address, key_fingerprint, device }) => html`
                    <li key=${key_fingerprint}>
                        <strong><${Short} of=${device.name} /></strong> <span class="quiet">${mac_address}</span>
                        <${Keys} of=${{ key_fingerprint, device }} />
                    </li>
                `,
            )}
            <${Others} than=${changes} />
        </ul>
        <p>${isOne ? "The key that it has now is" : "The keys that they have now are"} good for nothing once the new one is accepted.</p>
    `;
}

function Names({ of: some }) {
    return html`
        <ul class="named">
            ${some.slice(0, NAMED).map(
                (one) => html`<li key=${keyOf(one)}><strong><${Short} of=${one.mac_address} /></strong> <${Fingerprint} of=${one.key_fingerprint} /></li>`,
            )}
            <${Others} than=${some} />
        </ul>
    `;
}

function Others({ than }) {
    return than.length > NAMED && html`<li class="quiet">and ${count(than.length - NAMED, "other")}</li>`;
}
