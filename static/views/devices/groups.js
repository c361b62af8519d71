// What groups are called, where devices are shown.

import * as api from "../../api.js";
import { isOf, useData } from "../../data.js";
import { Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { beginning, groupName } from "../../text.js";
import { html } from "../../ui.js";

/** Longer texts make a list to choose from too wide. */
export const LONG_OPTION = 60;

/** All groups, and what they are called by their identifiers. */
export function useGroups() {
    const { data } = useData("groups", async () => (await api.groups()).groups, (message) => isOf(message, "group"));
    const groups = data ?? [];
    return { groups, names: new Map(groups.map((group) => [group.id, groupName(group)])), areThere: data !== undefined };
}

/** A way to a group; a word for none. */
export function GroupLink({ id, names }) {
    if (id === null) {
        return html`<span class="quiet">none</span>`;
    }
    return html`<a href=${to(["groups", id])}><${Short} of=${names.get(id) ?? `Group ${id}`} /></a>`;
}

/** Groups to choose from: `[value, label]` each. */
export function groupOptions(groups) {
    return groups.map((group) => [group.id, beginning(groupName(group), LONG_OPTION)]);
}
