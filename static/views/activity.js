// Activity: what devices were offered, what happened just now, and who did what.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { recentEvents } from "../live.js";
import { Card, Empty, Page } from "../parts/page.js";
import { route, to } from "../router.js";
import { groupName } from "../text.js";
import { html } from "../ui.js";
import { Log } from "./activity/log.js";
import { Updates } from "./activity/updates.js";
import { EventLine } from "./events/event_line.js";

const TABS = [
    { name: "updates", label: "Updates", show: Updates },
    { name: "events", label: "Events", show: Events },
    { name: "log", label: "Audit log", show: Log },
];

export function Activity() {
    const groups = useData("groups", api.groups, (message) => isOf(message, "group"));
    const names = new Map(groups.data?.groups.map((group) => [group.id, groupName(group)]));
    const tab = TABS.find(({ name }) => name === route.value.parameters.tab) ?? TABS[0];
    return html`<${Page} title="Activity">
        <nav class="tabs" aria-label="Kinds of activity">
            ${TABS.map(({ name, label }) => html`<a key=${name} href=${to(["activity"], { tab: name })} aria-current=${name === tab.name ? "page" : null}>${label}</a>`)}
        </nav>
        <${tab.show} key=${tab.name} groups=${names} />
    <//>`;
}

function Events({ groups }) {
    const events = recentEvents.value;
    return html`
        <${Card}>
            ${events.length === 0
                ? html`<${Empty} title="Nothing has happened since the server started"><p>What happens is shown here at once.</p><//>`
                : html`<ul class="events">${events.map((event) => html`<${EventLine} key=${event.id} of=${event} ...${{ groups }} />`)}</ul>`}
        <//>
    `;
}
