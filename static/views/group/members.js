// The devices of a group: how they are, the first of them, and who comes and goes.

import * as api from "../../api.js";
import { isOf, useData } from "../../data.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { SearchField } from "../../parts/filters.js";
import { ActionButton, Outcome, say, useOutcome } from "../../parts/outcome.js";
import { Card, Empty, Loaded } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Ago, Short, State } from "../../parts/values.js";
import { to } from "../../router.js";
import { mayChange } from "../../session.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";
import { groupTitle } from "./names.js";
import { StateBar } from "./state_bar.js";

const SHOWN_DEVICES = 20;
const NAMED_DEVICES = 5;

function concernsDevices(message) {
    return isOf(message, "device", "devices", "group", "attempt");
}

const NAME = { name: "name", label: "Name", show: ({ id, name }) => html`<a class="member-name" href=${to(["devices", id])}><${Short} of=${name} /></a>` };
const MAC = { name: "mac", label: "MAC address", isMinor: true, show: ({ mac_address: mac }) => html`<${Short} of=${mac} />` };
const TYPE = { name: "type", label: "Type", isMinor: true, show: ({ type }) => html`<${Short} of=${type ?? ""} />` };
const VERSION = { name: "version", label: "Version", show: ({ version }) => html`<${Short} of=${version ?? "not reported"} />` };
const STATE = { name: "state", label: "State", show: ({ state }) => html`<${State} of=${state} />` };
const HEARD = { name: "heard", label: "Last heard", isMinor: true, show: ({ last_access: at }) => html`<${Ago} ...${{ at }} />` };

export function Members({ group }) {
    const parameters = { group: group.id, limit: SHOWN_DEVICES };
    const devices = useData(`members/${group.id}`, () => api.devices(parameters), concernsDevices);
    const overview = useData("overview", api.overview, concernsDevices);
    const [chosen, setChosen] = useState(new Set());
    const [dialog, setDialog] = useState(null);
    const close = () => setDialog(null);
    const states = overview.data?.groups.find((entry) => entry.group === group.id)?.states;
    const here = devices.data?.devices.filter(({ id }) => chosen.has(id)) ?? [];
    const add = html`<button type="button" onClick=${() => setDialog("add")}>Add devices</button>`;
    const out = here.length > 0 && html`<button type="button" onClick=${() => setDialog("out")}>Take out ${count(here.length, "device")}…</button>`;
    const list = ({ devices, total }) =>
        total === 0 ? html`<${Nobody} />` : html`<${List} ...${{ group, devices, total, states, chosen, setChosen }} />`;
    return html`
        <${Card} title="Devices" actions=${mayChange.value && html`${out}${add}`}>
            <${Loaded} of=${devices} show=${list} />
        <//>
        ${dialog === "add" && html`<${AddDevices} ...${{ group, close }} />`}
        ${dialog === "out" && html`<${TakeOut} devices=${here} ...${{ group, close }} done=${() => setChosen(new Set())} />`}
    `;
}

function Nobody() {
    return html`<${Empty} title="The group has no devices">
        <p>${mayChange.value ? "Add devices that are in no group yet: they are listed in the dialog." : "Whoever may change the group can add some."}</p>
    <//>`;
}

function List({ group, devices, total, states, chosen, setChosen }) {
    const columns = [NAME, MAC, TYPE, VERSION, STATE, HEARD];
    const choosing = mayChange.value ? { chosen, onChoose: setChosen, describe: ({ name }) => name.slice(0, 80) } : {};
    return html`
        ${states !== undefined && html`<div class="member-states"><${StateBar} group=${group.id} ...${{ states }} /></div>`}
        <${Table} label="Devices of the group" rows=${devices} ...${{ columns }} ...${choosing} />
        ${total > devices.length && html`<p class="more"><a href=${to(["devices"], { group: group.id })}>All ${count(total, "device")}</a></p>`}
    `;
}

function AddDevices({ group, close }) {
    const [search, setSearch] = useState("");
    const [chosen, setChosen] = useState(new Set());
    const outcome = useOutcome();
    const parameters = { group: "none", search, limit: SHOWN_DEVICES };
    const devices = useData(`candidates/${search}`, () => api.devices(parameters), (message) => isOf(message, "device"));
    const add = async () => {
        await api.assignDevices([...chosen], group.id);
        say(`${count(chosen.size, "device")} added to “${groupTitle(group)}”.`);
        close();
    };
    const choosing = { chosen, onChoose: setChosen, describe: ({ name }) => name.slice(0, 80) };
    const list = ({ devices, total }) => html`
        ${devices.length > 0
            ? html`<${Table} label="Devices without a group" rows=${devices} columns=${[NAME, MAC, TYPE, VERSION]} ...${choosing} />`
            : html`<p class="quiet">${search === "" ? "Every device is in a group. The list of devices can move them." : "No device without a group has these words."}</p>`}
        ${total > devices.length && html`<p class="hint">${count(total - devices.length, "more device")}: search to find them.</p>`}
    `;
    return html`
        <${Dialog} title="Add devices without a group" class="wide" ...${{ close }}>
            <${SearchField} label="Search" value=${search} change=${setSearch} />
            <div class="dialog-list"><${Loaded} of=${devices} show=${list} /></div>
            <div class="actions">
                ${chosen.size === 0
                    ? html`<button type="button" class="primary" disabled>Add</button>`
                    : html`<${ActionButton} of=${outcome} act=${add} label=${`Add ${count(chosen.size, "device")}`} busyLabel="Adding…" class="primary" />`}
                <${CancelButton} ...${{ close }} />
            </div>
            <${Outcome} of=${outcome} />
        <//>
    `;
}

function TakeOut({ group, devices: found, close, done }) {
    // Those that were chosen, whatever the list shows meanwhile.
    const [devices] = useState(found);
    const outcome = useOutcome();
    const take = async () => {
        await api.assignDevices(devices.map(({ id }) => id), null);
        say(`${count(devices.length, "device")} taken out of “${groupTitle(group)}”.`);
        done();
        close();
    };
    return html`
        <${Dialog} title=${`Take ${count(devices.length, "device")} out of the group`} ...${{ close }}>
            <ul>
                ${devices.slice(0, NAMED_DEVICES).map(({ id, name }) => html`<li key=${id}><${Short} of=${name} /></li>`)}
                ${devices.length > NAMED_DEVICES && html`<li>and ${devices.length - NAMED_DEVICES} more</li>`}
            </ul>
            <p>They are offered nothing any more until they are in a group again. What they run stays.</p>
            <div class="actions">
                <${ActionButton} of=${outcome} act=${take} label="Take out" busyLabel="Taking out…" class="danger" />
                <${CancelButton} ...${{ close }} />
            </div>
            <${Outcome} of=${outcome} />
        <//>
    `;
}
