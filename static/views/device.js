// Device: who it is, why it is offered what it is offered, and what came of it so far.

import * as api from "../api.js";
import { useData } from "../data.js";
import { Card, Empty, Loaded, Page } from "../parts/page.js";
import { State } from "../parts/values.js";
import { go } from "../router.js";
import { mayChange } from "../session.js";
import { beginning, count } from "../text.js";
import { html, useState } from "../ui.js";
import { Capabilities, Metadata } from "./device/metadata.js";
import { Decision } from "./device/decision.js";
import { History } from "./device/history.js";
import { Identity } from "./device/identity.js";
import { mayConcern } from "./device/messages.js";
import { NameDialog } from "./device/name.js";
import { GroupDialog, RemoveDialog } from "./devices/change.js";
import { useGroups } from "./devices/groups.js";
import { useHeard } from "./devices/heard.js";

/** A heading needs no more of a name; the rest stands below. */
const LONG_NAME = 80;
const BACK = html`<a class="back" href="#/devices">All devices</a>`;

export function Device({ id }) {
    const found = useData(id, () => api.device(id), (message) => mayConcern(message, id));
    const { groups, names } = useGroups();
    const heard = useHeard(found.data === undefined ? [] : [found.data]);
    if (found.status === 404 && found.complaint !== null) {
        return html`
            <${Page} title="There is no such device" above=${BACK}>
                <${Card}>
                    <${Empty} title=${`Device ${id} was removed, or has never been.`}>
                        <p>A removed device that asks again is among the <a href="#/registrations">registrations</a>.</p>
                    <//>
                <//>
            <//>
        `;
    }
    const device = found.data && heard(found.data);
    const title = device ? beginning(device.name, LONG_NAME) : `Device ${id}`;
    const actions = device && html`<${Actions} ...${{ device, groups }} reload=${found.reload} />`;
    return html`
        <${Page} ...${{ title, actions }} above=${BACK}>
            <${Loaded} of=${found} show=${() => html`<${Parts} ...${{ device, names }} />`} />
        <//>
    `;
}

function Parts({ device, names }) {
    return html`
        <${WaitingKeys} of=${device} />
        <${Decision} ...${{ device }} />
        <div class="columns">
            <${Identity} ...${{ device, names }} />
            <div class="column">
                <${Metadata} of=${device.metadata} />
                <${Capabilities} of=${device.capabilities} />
            </div>
        </div>
        <${History} ...${{ device }} />
    `;
}

/** The state, and what can be done to the device. */
function Actions({ device, groups, reload }) {
    const [asking, setAsking] = useState(null);
    const close = () => setAsking(null);
    const done = () => {
        close();
        reload();
    };
    const dialogs = {
        name: html`<${NameDialog} ...${{ device, close, done }} />`,
        group: html`<${GroupDialog} devices=${[device]} ...${{ groups, close, done }} />`,
        remove: html`<${RemoveDialog} devices=${[device]} ...${{ close }} done=${() => go(["devices"])} />`,
    };
    const ask = (what, label, kind) => html`<button type="button" class=${kind} onClick=${() => setAsking(what)}>${label}</button>`;
    return html`
        <${State} of=${device.state} />
        ${mayChange.value && html`
            ${ask("name", "Rename…")}
            ${ask("group", device.group === null ? "Put into a group…" : "Change group…")}
            ${ask("remove", "Remove…", "danger")}
        `}
        ${dialogs[asking]}
    `;
}

function WaitingKeys({ of: { waiting_keys: keys, mac_address } }) {
    if (keys.length === 0) {
        return null;
    }
    return html`
        <p class="warning" role="status">
            Somebody asks to be this device with ${keys.length === 1 ? "another key" : count(keys.length, "other key")}: it was reinstalled, or
            somebody else claims to be it.${" "}
            <a href=${`#/registrations?${new URLSearchParams({ search: mac_address })}`}>Compare the keys</a>
        </p>
    `;
}
