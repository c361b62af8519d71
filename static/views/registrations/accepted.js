// What comes after letting devices in: as long as they are in no group, nothing says what they should run.

import { Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";
import { GroupDialog } from "../devices/change.js";
import { useGroups } from "../devices/groups.js";

/** The `devices` that were let in here just now; at least one. */
export function Accepted({ devices, clear }) {
    const [isAsking, setIsAsking] = useState(false);
    const { groups } = useGroups();
    const close = () => setIsAsking(false);
    const done = () => {
        close();
        clear();
    };
    const [{ id, name }] = devices;
    return html`
        <div class="notice next">
            <span>
                ${devices.length === 1 ? html`<a href=${to(["devices", id])}><${Short} of=${name} /></a> is` : `${count(devices.length, "device")} are`}
                ${" "}let in, and in no group yet.
            </span>
            <div class="actions">
                <button type="button" class="primary" onClick=${() => setIsAsking(true)}>Put into a group…</button>
                <button type="button" onClick=${clear}>Later</button>
            </div>
        </div>
        ${isAsking && html`<${GroupDialog} ...${{ devices, groups, close, done }} />`}
    `;
}
