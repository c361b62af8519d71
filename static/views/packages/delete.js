// Deleting a package.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { ActionButton, Outcome, say, useOutcome } from "../../parts/outcome.js";
import { go } from "../../router.js";
import { bytes } from "../../text.js";
import { html } from "../../ui.js";
import { Groups } from "./groups.js";
import { packageName } from "./texts.js";

const CONFLICT = 409;

/** Asks before a package is deleted. Should a group get it meanwhile, that is said. */
export function DeleteDialog({ one, names, reload, close }) {
    const outcome = useOutcome();
    const isUsed = one.groups.length > 0;
    const remove = async () => {
        try {
            await api.deletePackage(one.id);
        } catch (error) {
            if (error.status === CONFLICT) {
                // Which groups these are is known then.
                await reload();
            }
            throw error;
        }
        say(`${packageName(one)} is deleted.`);
        go(["packages"]);
    };
    return html`
        <${Dialog} title="Delete this package?" ...${{ close }}>
            <p>Package ${one.id}, <strong><bdi>${packageName(one)}</bdi></strong>, and its file of ${bytes(one.length)} are gone then. To have it again, upload the file again.</p>
            ${isUsed && html`<p class="alert">It is assigned to groups now, and stays as long as they have it: <${Groups} ids=${one.groups} ...${{ names }} /></p>`}
            <div class="actions">
                ${!isUsed && html`<${ActionButton} of=${outcome} act=${remove} label="Delete package" busyLabel="Deleting…" class="danger" />`}
                <${CancelButton} label="Keep it" ...${{ close }} />
            </div>
            <${Outcome} of=${outcome} />
        <//>
    `;
}
