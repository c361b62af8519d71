// Deleting a group.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { go, to } from "../../router.js";
import { count } from "../../text.js";
import { html } from "../../ui.js";
import { discard } from "./draft.js";
import { groupTitle } from "./names.js";

export function DeleteGroup({ group, close }) {
    const title = html`Delete “<bdi>${groupTitle(group)}</bdi>”`;
    if (group.devices > 0) {
        return html`
            <${Dialog} ...${{ title, close }}>
                <p>
                    This group has <a href=${to(["devices"], { group: group.id })}>${count(group.devices, "device")}</a>. Take them out, or put
                    them into another group, before you delete it.
                </p>
                <div class="actions"><${CancelButton} label="Close" ...${{ close }} /></div>
            <//>
        `;
    }
    const send = async () => {
        await api.deleteGroup(group.id);
        discard(group.id);
        say(`“${groupTitle(group)}” is deleted.`);
        go(["groups"]);
    };
    return html`
        <${Dialog} ...${{ title, close }}>
            <p>Its name, its policy and its rollout are lost.${group.packages.length > 0 && " Its packages stay."}</p>
            <${Form} label="Delete the group" busyLabel="Deleting…" isDangerous ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`} />
        <//>
    `;
}
