// Registrations: devices that ask to be let in, and those that were told no.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { listen } from "../live.js";
import { SearchField } from "../parts/filters.js";
import { ActionButton, Outcome, useOutcome } from "../parts/outcome.js";
import { Card, Empty, focusHeading, Loaded, Page } from "../parts/page.js";
import { CursorPages, FIRST_PAGE } from "../parts/paging.js";
import { refine, route, to } from "../router.js";
import { count } from "../text.js";
import { html, useEffect, useState } from "../ui.js";
import { Accepted } from "./registrations/accepted.js";
import { AcceptDialog, RejectDialog, accept, reject } from "./registrations/decide.js";
import { keyOf } from "./registrations/key.js";
import { List } from "./registrations/list.js";

const PAGE_LENGTH = 100;

export function Registrations() {
    const { parameters } = route.value;
    const state = parameters.state === "rejected" ? "rejected" : "pending";
    const { search, after } = parameters;
    const asked = { state, search, after, limit: PAGE_LENGTH };
    const found = useData(JSON.stringify(asked), () => api.registrations(asked), (message) => isOf(message, "registration", "device"));
    const [chosen, setChosen] = useChosen(state);
    const [accepted, setAccepted] = useState([]);
    const [asking, setAsking] = useState(null);
    const outcome = useOutcome();
    const close = () => setAsking(null);
    /** What was decided is not there any more. */
    const decided = (some, letIn = []) => {
        close();
        const gone = new Set(some.map(keyOf));
        setChosen((before) => new Map([...before].filter(([key]) => !gone.has(key))));
        setAccepted((before) => [...before, ...letIn]);
        found.reload();
        // The button that was pressed goes with its row.
        focusHeading();
    };
    const decide = {
        // A new device is let in at once; a new key of one that is there is worth a question.
        accept: async (some) => {
            const isPlain = some.length === 1 && some[0].device === null;
            return isPlain ? decided(some, await accept(some)) : setAsking({ what: "accept", some });
        },
        reject: async (some) => (some.length === 1 ? decided(some, await reject(some)) : setAsking({ what: "reject", some })),
    };
    const shared = { outcome, decide, state };
    return html`
        <${Page} title="Registrations">
            ${accepted.length > 0 && html`<${Accepted} devices=${accepted} clear=${() => setAccepted([])} />`}
            <${Card}>
                <nav class="tabs" aria-label="Which registrations">
                    <${Tab} name="pending" label="Waiting" ...${{ state, search }} />
                    <${Tab} name="rejected" label="Rejected" ...${{ state, search }} />
                </nav>
                <div class="tools registrations-tools">
                    <${SearchField} label="Search" hint="MAC address, metadata" value=${search} change=${(text) => refine({ search: text, ...FIRST_PAGE })} />
                </div>
                <${Outcome} of=${outcome} />
                <${Loaded} of=${found} show=${(page) => html`<${Found} ...${{ page, chosen, setChosen, ...shared }} />`} />
                ${chosen.size > 0 && html`<${ChosenBar} some=${[...chosen.values()]} clear=${() => setChosen(new Map())} ...${shared} />`}
            <//>
            ${asking?.what === "accept" && html`<${AcceptDialog} some=${asking.some} ...${{ close, decided }} />`}
            ${asking?.what === "reject" && html`<${RejectDialog} some=${asking.some} ...${{ close, decided }} />`}
        <//>
    `;
}

/** The chosen registrations by their keys, without those that somebody decides meanwhile. */
function useChosen(state) {
    const [chosen, setChosen] = useState(() => new Map());
    useEffect(() => setChosen(new Map()), [state]);
    useEffect(() => listen(({ type, data }) => {
        if (type === "device.accepted" || type === "registration.rejected") {
            setChosen((before) => new Map([...before].filter(([key]) => key !== keyOf(data))));
        }
    }), []);
    return [chosen, setChosen];
}

function Tab({ name, label, state, search }) {
    const address = to(["registrations"], { state: name === "pending" ? undefined : name, search });
    return html`<a href=${address} aria-current=${name === state ? "page" : null}>${label}</a>`;
}

function Found({ page: { registrations: rows, next, total }, chosen, setChosen, outcome, decide, state }) {
    const { search, after } = route.value.parameters;
    if (rows.length === 0) {
        return search || after ? html`<${NoMatch} />` : state === "pending" ? html`<${NobodyWaits} />` : html`<${NobodyRejected} />`;
    }
    const label = state === "pending" ? "Devices that wait" : "Devices that were rejected";
    return html`
        <${List} ...${{ label, rows, chosen, outcome, decide }} choose=${setChosen} />
        <${CursorPages} shown=${rows.length} ...${{ next, total }} />
    `;
}

function ChosenBar({ some, clear, outcome, decide, state }) {
    return html`
        <div class="chosen-bar" role="region" aria-label="What to do with the chosen registrations">
            <span class="chosen-count" role="status">${count(some.length, "registration")} chosen</span>
            <div class="actions">
                <${ActionButton} of=${outcome} class="primary" act=${() => decide.accept(some)} label="Accept…" />
                ${state === "pending" && html`<${ActionButton} of=${outcome} act=${() => decide.reject(some)} label="Reject…" />`}
                <button type="button" onClick=${clear}>Choose none</button>
            </div>
        </div>
    `;
}

function NoMatch() {
    return html`
        <${Empty} title="No registration is like that.">
            <button type="button" onClick=${() => refine({ search: undefined, ...FIRST_PAGE })}>Show all</button>
        <//>
    `;
}

function NobodyWaits() {
    return html`
        <${Empty} title="No device waits to be let in.">
            <p>A device that is pointed at <code>${location.origin}</code> asks with its own key, and appears here within seconds.</p>
            <p>To try things out without one: <code>tender simulate --server ${location.origin} --devices 1</code></p>
        <//>
    `;
}

function NobodyRejected() {
    return html`<${Empty} title="No registration was rejected."><p>Those that you reject are kept here, and can be accepted after all.</p><//>`;
}
