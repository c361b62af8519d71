// Who a device is.

import { Card } from "../../parts/page.js";
import { Ago, Facts, Fingerprint, Moment, Text } from "../../parts/values.js";
import { span } from "../../text.js";
import { html } from "../../ui.js";
import { GroupLink } from "../devices/groups.js";

/** Less than this is what a request takes, and no fault of a clock. */
const EXACT_SECONDS = 5;

export function Identity({ device, names }) {
    const reported = (value) => (value === null ? html`<span class="quiet">not reported</span>` : html`<${Text} of=${value} limit=${120} />`);
    return html`
        <${Card} title="Identity">
            <${Facts}
                of=${[
                    ["Name", html`<${Text} of=${device.name} limit=${200} />`],
                    ["Number", device.id],
                    ["MAC address", html`<${Text} of=${device.mac_address} />`],
                    ["Type", reported(device.type)],
                    ["Version", reported(device.version)],
                    ["Group", html`<${GroupLink} id=${device.group} ...${{ names }} />`],
                    ["Last heard", html`<${Ago} at=${device.last_access} />`],
                    ["Accepted", html`<${Moment} at=${device.accepted_at} />`],
                    ["Clock", clock(device.clock_skew_seconds)],
                    ["Key", device.key_fingerprint === null ? "none" : html`<${Fingerprint} of=${device.key_fingerprint} />`],
                ]}
            />
        <//>
    `;
}

function clock(skew) {
    if (skew === null) {
        return html`<span class="quiet">not known: it has not logged in since the server started</span>`;
    }
    if (Math.abs(skew) < EXACT_SECONDS) {
        return "right";
    }
    return `${span(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} the server`;
}
