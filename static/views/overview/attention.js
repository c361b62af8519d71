// What needs somebody, each with the way to where something can be done about it. Concerns of the server stand above every view.

import { to } from "../../router.js";
import { beginning, bytes, groupName, number } from "../../text.js";
import { html } from "../../ui.js";
import { isLow } from "./room.js";

/** Of more halted groups, their number is enough. */
const NAMED_GROUPS = 3;
const LONG_NAME = 40;

export function Attention({ fleet, server, groups }) {
    const tasks = [...waiting(server), ...devices(fleet), ...halted(groups), ...packages(server), ...room(server)];
    if (tasks.length === 0) {
        return fleet.devices === 0 ? null : html`<p class="all-well">Nothing needs your attention.</p>`;
    }
    return html`
        <section aria-label="What needs attention">
            <ul class="tasks">${tasks.map(({ key, tone, value, label, href }) => html`
                <li key=${key}><a class=${`task ${tone}`} href=${href}><span class="task-value">${value}</span><span>${label}</span></a></li>
            `)}</ul>
        </section>
    `;
}

function waiting({ pending_registrations: pending }) {
    const label = pending === 1 ? "device waits to be let in" : "devices wait to be let in";
    return pending === 0 ? [] : [{ key: "waiting", tone: "notable", value: number(pending), label, href: "#/registrations" }];
}

function devices({ states }) {
    const task = (state, one, many) => {
        const value = states[state];
        return value === 0 ? [] : [{ key: state, tone: "bad", value: number(value), label: value === 1 ? one : many, href: to(["devices"], { state }) }];
    };
    return [
        ...task("failing", "device fails to update", "devices fail to update"),
        ...task("blocked", "device has no way to its version", "devices have no way to their version"),
    ];
}

function halted(groups) {
    const found = groups.filter((group) => group.halted !== null);
    if (found.length > NAMED_GROUPS) {
        return [{ key: "halted", tone: "bad", value: number(found.length), label: "groups are halted", href: "#/groups" }];
    }
    return found.map((group) => ({
        key: `halted ${group.id}`,
        tone: "bad",
        value: "Halted",
        label: `${beginning(groupName(group), LONG_NAME)}: too many devices failed`,
        href: to(["groups", group.id]),
    }));
}

function packages({ packages: { corrupt, missing } }) {
    const damaged = corrupt + missing;
    const label = damaged === 1 ? "package is damaged" : "packages are damaged";
    return damaged === 0 ? [] : [{ key: "damaged", tone: "bad", value: number(damaged), label, href: "#/packages" }];
}

function room({ storage }) {
    const label = "are free: delete packages that nobody needs";
    return isLow(storage) ? [{ key: "room", tone: "notable", value: bytes(storage.free), label, href: "#/packages" }] : [];
}
