// Overview: what needs somebody first, then how the fleet and the server are, and what happened last.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { recentEvents } from "../live.js";
import { Card, Empty, Loaded, Page } from "../parts/page.js";
import { mayChange } from "../session.js";
import { html } from "../ui.js";
import { useGroups } from "./devices/groups.js";
import { EventLine } from "./events/event_line.js";
import { Attention } from "./overview/attention.js";
import { FirstSteps, areDone } from "./overview/first_steps.js";
import { ByGroup, ByState, ByType, ByVersion } from "./overview/fleet.js";
import { Server } from "./overview/server.js";

const SHOWN_EVENTS = 12;

export function Overview() {
    // Who is heard may be silent no more; the numbers are cheap, as the server keeps them for a while.
    const overview = useData("overview", api.overview, (message) => isOf(message, "attempt", "device", "devices", "group", "package"));
    const status = useData("status", api.status, (message) => isOf(message, "registration", "concern", "device", "package"));
    const groups = useGroups();
    return html`
        <${Page} title="Overview">
            <${Loaded} of=${overview} show=${(fleet) => html`
                <${Loaded} of=${status} show=${(server) => html`<${Told} ...${{ fleet, server, groups }} />`} />
            `} />
        <//>
    `;
}

function Told({ fleet, server, groups: { groups, names, areThere } }) {
    const isBeginning = areThere && !areDone({ fleet, server, groups });
    const hasDevices = fleet.devices > 0;
    return html`
        ${isBeginning && mayChange.value && html`<${FirstSteps} ...${{ fleet, server, groups }} />`}
        <${Attention} ...${{ fleet, server, groups }} />
        <div class="columns">
            <div class="column">
                ${hasDevices && html`<${ByState} ...${{ fleet }} /><${ByVersion} ...${{ fleet }} />`}
                <${Server} of=${server} />
            </div>
            <div class="column">
                ${hasDevices && html`<${ByGroup} ...${{ fleet, names }} /><${ByType} ...${{ fleet }} />`}
                <${Recent} ...${{ names }} />
            </div>
        </div>
    `;
}

function Recent({ names }) {
    const shown = recentEvents.value.slice(0, SHOWN_EVENTS);
    return html`
        <${Card} title="What happened last" actions=${html`<a href="#/activity">All activity</a>`}>
            ${shown.length === 0
                ? html`<${Empty} title="Nothing happened since the server started." />`
                : html`<ul class="events">${shown.map((event) => html`<${EventLine} key=${event.id} of=${event} groups=${names} />`)}</ul>`}
        <//>
    `;
}
