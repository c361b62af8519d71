// The audit log: who did what, to what, from where, and what came of it.

import * as api from "../../api.js";
import { useData } from "../../data.js";
import { Card, Empty, Loaded } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Chip, Moment, Short, Text } from "../../parts/values.js";
import { refine, route, to } from "../../router.js";
import { html, useId } from "../../ui.js";
import { CHOICES, OUTCOMES, actorOf, deedOf, objectOf } from "./deeds.js";
import { ChoiceFilter, ClearFilters, Older, TextFilter, filtersOf, isFiltered } from "./filters.js";

const SHOWN_ENTRIES = 50;
const SHOWN_DETAIL = 160;
const FILTERS = ["actor", "action", "target", "outcome", "since", "until"];

/** What people do is told by events, but for what they do with accounts; what devices do is not in the log. */
function concernsLog({ type }) {
    return type !== "devices" && !type.startsWith("attempt.");
}

export function Log() {
    const { since, until, ...others } = filtersOf(FILTERS);
    const parameters = { ...others, since: dayStart(since, 0), until: dayStart(until, 1), limit: SHOWN_ENTRIES };
    const entries = useData(`audit/${JSON.stringify(parameters)}`, () => api.audit(parameters), concernsLog);
    return html`
        <${Card}>
            <div class="tools even">
                <${TextFilter} name="actor" label="Who" hint="Name" />
                <${ChoiceFilter} name="action" label="What" options=${CHOICES} />
                <${TextFilter} name="target" label="On what" hint="group/3" />
                <${ChoiceFilter} name="outcome" label="Outcome" options=${Object.entries(OUTCOMES).map(([name, [label]]) => [name, label])} />
                <${DayFilter} name="since" label="From" />
                <${DayFilter} name="until" label="Until" />
                <${ClearFilters} names=${FILTERS} />
            </div>
            <${Loaded} of=${entries} show=${(page) => html`<${List} ...${page} />`} />
        <//>
    `;
}

function DayFilter({ name, label }) {
    const id = useId();
    const choose = ({ target: { value } }) => refine({ [name]: value, before: undefined });
    return html`
        <div class="field">
            <label for=${id}>${label}</label>
            <input id=${id} type="date" value=${route.value.parameters[name] ?? ""} onChange=${choose} />
        </div>
    `;
}

/** The moment at which a day begins here, or the one so many days after it. */
function dayStart(day, later) {
    const [year, month, date] = (day ?? "").split("-").map(Number);
    const start = new Date(year, month - 1, date + later);
    return Number.isNaN(start.getTime()) ? undefined : start.toISOString();
}

function List({ entries, next }) {
    if (entries.length === 0) {
        return html`<${Empty} title=${isFiltered(FILTERS) ? "No entry is like that" : "Nobody has done anything yet"}>
            <p>${isFiltered(FILTERS) ? "Take a filter away to see more. Names are looked for as they are written." : "What people and programs do is written down here."}</p>
        <//><${Older} ...${{ next }} />`;
    }
    const columns = [
        { name: "at", label: "When", isMinor: true, show: ({ at }) => html`<span class="log-moment nowrap"><${Moment} ...${{ at }} /></span>` },
        { name: "deed", label: "Who did what", show: (entry) => html`<${Deed} ...${{ entry }} />` },
        { name: "address", label: "From", isMinor: true, show: ({ address }) => html`<span class="nowrap">${address ?? "this machine"}</span>` },
        { name: "outcome", label: "Outcome", show: ({ outcome }) => html`<${Standing} of=${outcome} />` },
    ];
    return html`<${Table} label="Audit log, the latest first" rows=${entries} ...${{ columns }} /><${Older} ...${{ next }} />`;
}

function Deed({ entry: { at, actor, action, target, outcome, detail } }) {
    const { words, path } = objectOf(target);
    const object = html`<${Short} of=${words} limit=${80} />`;
    return html`
        <div class="deed">
            <strong><${Short} of=${actorOf(actor)} /></strong> ${deedOf(action, outcome)}${" "}
            ${words !== "" && (path === null ? object : html`<a href=${to(path)}>${object}</a>`)}
            ${detail !== "" && html`<div class="hint"><${Text} of=${detail} limit=${SHOWN_DETAIL} /></div>`}
            <div class="hint phone-only"><${Moment} ...${{ at }} /></div>
        </div>
    `;
}

function Standing({ of }) {
    const [label, tone, title] = OUTCOMES[of] ?? [of, "quiet"];
    return html`<${Chip} ...${{ tone, title }}>${label}<//>`;
}
