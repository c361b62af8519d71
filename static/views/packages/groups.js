// Groups that use a package.

import * as api from "../../api.js";
import { isOf, useData } from "../../data.js";
import { to } from "../../router.js";
import { groupName } from "../../text.js";
import { html } from "../../ui.js";
import { brief } from "./texts.js";

/** What groups are called, by identifier, as far as is known. */
export function useGroupNames() {
    const { data } = useData("groups", api.groups, (message) => isOf(message, "group"));
    return new Map((data?.groups ?? []).map((group) => [group.id, groupName(group)]));
}

/** Links to groups; of many the first ones, if `most` says how many. */
export function Groups({ ids, names, most = Infinity }) {
    const shown = ids.slice(0, most);
    const left = ids.length - shown.length;
    return html`
        ${ids.length === 0 && html`<span class="quiet">none</span>`}
        <span class="group-links">
            ${shown.map((id) => html`<a key=${id} href=${to(["groups", String(id)])}><bdi>${brief(names.get(id) ?? `Group ${id}`)}</bdi></a>`)}
            ${left > 0 && html`<span class="quiet">and ${left} more</span>`}
        </span>
    `;
}
