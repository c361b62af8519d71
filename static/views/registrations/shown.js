// What is shown of a registration: what kind it is, its key, and what the device says of itself.

import { Chip, Facts, Fingerprint, Short, Text } from "../../parts/values.js";
import { to } from "../../router.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";

const TYPE = "rdfm.hardware.devtype";
const VERSION = "rdfm.software.version";

/** Whether somebody new asks, or somebody who claims to be a device that is there. */
export function Kind({ of: { device } }) {
    if (device === null) {
        return html`<div><${Chip} tone="quiet">New device<//></div>`;
    }
    return html`
        <div><${Chip} tone="bad">Change of key<//></div>
        <p class="claim">
            Claims to be <a href=${to(["devices", device.id])}><${Short} of=${device.name} /></a>: it was reinstalled, or this is somebody else.
        </p>
    `;
}

/** The key; of a change both, one below the other. */
export function Keys({ of: { key_fingerprint: fresh, device } }) {
    if (device === null) {
        return html`<${Fingerprint} of=${fresh} />`;
    }
    return html`
        <dl class="keys">
            <div><dt>Asks with</dt><dd><${Fingerprint} of=${fresh} /></dd></div>
            <div><dt>Has now</dt><dd>${device.key_fingerprint === null ? "none" : html`<${Fingerprint} of=${device.key_fingerprint} />`}</dd></div>
        </dl>
    `;
}

/** Type and version, and all the rest for those who want to see it. */
export function Says({ of: metadata }) {
    const { [TYPE]: type, [VERSION]: version, ...others } = metadata;
    const rest = Object.entries(others);
    const known = [type, version].filter((value) => typeof value === "string" && value !== "");
    return html`
        <div>
            ${known.length === 0 && html`<span class="quiet">no type, no version</span>`}
            ${known.map((value, position) => html`${position > 0 && ", "}<${Short} of=${value} />`)}
        </div>
        ${rest.length > 0 && html`<${Rest} of=${rest} />`}
    `;
}

function Rest({ of: rest }) {
    // Of a hundred registrations few are looked at: what is not, is not drawn.
    const [isOpen, setIsOpen] = useState(false);
    const facts = () => rest.map(([key, value]) => [html`<${Text} of=${key} limit=${60} />`, html`<${Text} of=${value} limit=${200} />`]);
    return html`
        <details onToggle=${({ currentTarget }) => setIsOpen(currentTarget.open)}>
            <summary>${count(rest.length, "more value")}</summary>
            ${isOpen && html`<${Facts} of=${facts()} />`}
        </details>
    `;
}
