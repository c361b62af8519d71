// Updates: what devices were offered, how far they are with it, and what came of it.

import * as api from "../../api.js";
import { isOf, useData } from "../../data.js";
import { Card, Empty, Loaded } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Ago, Chip, Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { bytes } from "../../text.js";
import { html } from "../../ui.js";
import { ChoiceFilter, ClearFilters, Older, TextFilter, filtersOf, isFiltered } from "./filters.js";

const SHOWN_ATTEMPTS = 50;
const SHOWN_VERSION = 20;
const SHOWN_NAME = 30;
const FILTERS = ["outcome", "group", "device", "package"];

/** What came of attempts: what that is called, its tone as a chip, and what it means. */
const OUTCOMES = {
    succeeded: ["Succeeded", "good", "The device runs what the package brings."],
    reverted: ["Reverted", "bad", "The device fetched all of it, and came back with what it ran before."],
    failed: ["Failed", "bad", "The device fetches it again and again, or runs something else after it."],
    superseded: ["Superseded", "quiet", "The device is to install something else, or nothing."],
    expired: ["Expired", "notable", "The device was not heard, or did not go on fetching."],
};

/** How far attempts are that go on. */
const STAGES = {
    offered: ["Offered", "busy", "The device has not begun to fetch it."],
    not_fetched: ["Not fetched", "notable", "It was offered again and again, and the device does not fetch it."],
    fetching: ["Fetching", "busy", "The device fetches it."],
    installing: ["Installing", "busy", "The device has all of it, and installs it as far as anybody knows."],
};

export function Updates({ groups }) {
    const parameters = { ...filtersOf(FILTERS), limit: SHOWN_ATTEMPTS };
    const attempts = useData(`attempts/${JSON.stringify(parameters)}`, () => api.attempts(parameters), (message) => isOf(message, "attempt"));
    return html`
        <${Card}>
            <div class="tools even">
                <${ChoiceFilter} name="outcome" label="Outcome" options=${Object.entries(OUTCOMES).map(([name, [label]]) => [name, label])} />
                <${ChoiceFilter} name="group" label="Group" options=${[...groups].map(([id, name]) => [id, name.slice(0, 80)])} />
                <${TextFilter} name="device" label="Device" hint="Number" />
                <${TextFilter} name="package" label="Package" hint="Number" />
                <${ClearFilters} names=${FILTERS} />
            </div>
            <${Loaded} of=${attempts} show=${({ attempts, next }) => html`<${List} ...${{ attempts, next, groups }} />`} />
        <//>
    `;
}

function List({ attempts, next, groups }) {
    if (attempts.length === 0) {
        return html`<${Empty} title=${isFiltered(FILTERS) ? "No update is like that" : "No device was offered anything yet"}>
            <p>${isFiltered(FILTERS) ? "Take a filter away to see more." : "Give a group packages, devices and a version to reach."}</p>
        <//><${Older} ...${{ next }} />`;
    }
    const columns = [
        { name: "outcome", label: "Outcome", show: (attempt) => html`<${Standing} ...${{ attempt }} />` },
        { name: "device", label: "Device", show: ({ device }) => html`<a class="nowrap" href=${to(["devices", device])}>Device ${device}</a>` },
        { name: "step", label: "Step", show: (attempt) => html`<${Step} ...${{ attempt }} />` },
        { name: "fetched", label: "Fetched", isNumber: true, isMinor: true, show: fetched },
        { name: "group", label: "Group", isMinor: true, show: ({ group }) => html`<${GroupLink} id=${group} ...${{ groups }} />` },
        { name: "offered", label: "Offered", isMinor: true, show: ({ offered_at: at }) => html`<span class="nowrap"><${Ago} ...${{ at }} /></span>` },
        { name: "ended", label: "Ended", isMinor: true, show: ({ ended_at: at }) => at !== null && html`<span class="nowrap"><${Ago} ...${{ at }} /></span>` },
    ];
    return html`<${Table} label="Updates, the latest first" rows=${attempts} ...${{ columns }} /><${Older} ...${{ next }} />`;
}

function Standing({ attempt: { outcome, stage, offered_at: offered, ended_at: ended } }) {
    const [label, tone, title] = OUTCOMES[outcome] ?? STAGES[stage] ?? [outcome ?? stage, "quiet"];
    return html`<${Chip} ...${{ tone, title }}>${label}<//><div class="hint phone-only"><${Ago} at=${ended ?? offered} /></div>`;
}

function GroupLink({ id, groups }) {
    return html`<a href=${to(["groups", id])}><${Short} of=${groups.get(id) ?? `Group ${id}`} limit=${SHOWN_NAME} /></a>`;
}

function Step({ attempt: { from, to: brought, target, package: id } }) {
    return html`
        <div class="attempt-step">
            <${Short} of=${from} limit=${SHOWN_VERSION} />${" → "}
            <a href=${to(["packages", id])} title=${`Package ${id}`}><${Short} of=${brought} limit=${SHOWN_VERSION} /></a>
            ${brought !== target && html`<div class="hint">on the way to <${Short} of=${target} limit=${SHOWN_VERSION} /></div>`}
        </div>
    `;
}

function fetched({ fetched, length, sent }) {
    const again = sent > fetched ? `${bytes(sent)} were sent in all.` : undefined;
    const words = fetched === length ? bytes(length) : `${bytes(fetched)} of ${bytes(length)}`;
    return html`<span class="nowrap" title=${again}>${words}</span>`;
}
