// What is done to many devices at once: the bar that offers it, and the dialogs that ask.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form, SelectField } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { Short } from "../../parts/values.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";
import { groupOptions } from "./groups.js";

const NAMED = 5;
const NO_GROUP = "none";

/** What can be done to the `chosen` devices, by their identifiers; `done` when that was done, `clear` to choose none. */
export function ChosenBar({ chosen, groups, done, clear }) {
    const [asking, setAsking] = useState(null);
    const close = () => setAsking(null);
    const finish = () => {
        close();
        done();
    };
    const devices = [...chosen.values()];
    const dialogs = { group: GroupDialog, ungroup: UngroupDialog, remove: RemoveDialog };
    return html`
        <div class="chosen-bar" role="region" aria-label="What to do with the chosen devices">
            <span class="chosen-count" role="status">${count(devices.length, "device")} chosen</span>
            <div class="actions">
                <button type="button" onClick=${() => setAsking("group")}>Put into a group…</button>
                <button type="button" onClick=${() => setAsking("ungroup")}>Take out of the group…</button>
                <button type="button" class="danger" onClick=${() => setAsking("remove")}>Remove…</button>
                <button type="button" onClick=${clear}>Choose none</button>
            </div>
        </div>
        ${asking !== null && html`<${dialogs[asking]} ...${{ devices, groups, close, done: finish }} />`}
    `;
}

/** Asks which group devices are to be in; one that is in a group may be in none, too. */
export function GroupDialog({ devices, groups, close, done }) {
    const present = devices.length === 1 ? devices[0].group : null;
    const options = present === null ? groupOptions(groups) : [...groupOptions(groups), [NO_GROUP, "In no group"]];
    const send = async ({ group }) => {
        await api.assignDevices(ids(devices), group === NO_GROUP ? null : Number(group));
        const [, name] = options.find(([id]) => String(id) === group);
        say(group === NO_GROUP ? "The device is in no group now." : `${count(devices.length, "device")} put into ${name}.`);
        done();
    };
    if (groups.length === 0) {
        return html`
            <${Dialog} title="There is no group yet" ...${{ close }}>
                <p>A group says what its devices should run. <a href="#/groups">Make one first</a>.</p>
                <div class="actions"><${CancelButton} ...${{ close }} label="Close" /></div>
            <//>
        `;
    }
    return html`
        <${Dialog} title=${present === null ? `Put ${these(devices)} into a group` : "Change the group of a device"} ...${{ close }}>
            <${Names} of=${devices} />
            <p class="hint">A device is in one group: it leaves the one that it is in now.</p>
            <${Form} label=${present === null ? "Put into the group" : "Change the group"} busyLabel="Changing…" ...${{ send }}
                actions=${html`<${CancelButton} ...${{ close }} />`}>
                <${SelectField} name="group" label="Group" options=${options} value=${present} />
            <//>
        <//>
    `;
}

/** Asks whether devices are to be in no group. */
export function UngroupDialog({ devices, close, done }) {
    const send = async () => {
        await api.assignDevices(ids(devices), null);
        say(`${count(devices.length, "device")} taken out of the group.`);
        done();
    };
    return html`
        <${Dialog} title=${`Take ${these(devices)} out of the group`} ...${{ close }}>
            <${Names} of=${devices} />
            <p>Nothing says what they should run then: they stay as they are until they are put into a group.</p>
            <${Form} label="Take out of the group" busyLabel="Taking out…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`} />
        <//>
    `;
}

/** Asks whether devices are to be forgotten. */
export function RemoveDialog({ devices, close, done }) {
    const isOne = devices.length === 1;
    const send = async () => {
        await api.removeDevices(ids(devices));
        say(`${count(devices.length, "device")} removed.`);
        done();
    };
    return html`
        <${Dialog} title=${`Remove ${these(devices)}`} ...${{ close }}>
            <${Names} of=${devices} />
            <p>
                ${isOne ? "Its name, its group and the history of its updates are" : "Their names, groups and the history of their updates are"}
                ${" "}destroyed, and ${isOne ? "its key is" : "their keys are"} good for nothing any more. This cannot be undone.
            </p>
            <p>
                ${isOne ? "A device that still runs asks" : "Devices that still run ask"} to be let in again, and
                ${isOne ? " waits" : " wait"} among the registrations.
            </p>
            <${Form} label=${`Remove ${count(devices.length, "device")}`} busyLabel="Removing…" isDangerous ...${{ send }}
                actions=${html`<${CancelButton} ...${{ close }} />`} />
        <//>
    `;
}

function ids(devices) {
    return devices.map(({ id }) => id);
}

function these(devices) {
    return devices.length === 1 ? "a device" : count(devices.length, "device");
}

/** Which devices it is about. */
function Names({ of: devices }) {
    const others = devices.length - NAMED;
    return html`
        <ul class="named">
            ${devices.slice(0, NAMED).map(
                ({ id, name, mac_address: address }) => html`
                    <li key=${id}><strong><${Short} of=${name} /></strong> ${address !== name && html`<span class="quiet">${address}</span>`}</li>
                `,
            )}
            ${others > 0 && html`<li class="quiet">and ${count(others, "other", "others")}</li>`}
        </ul>
    `;
}
