// How the server is.

import { Card } from "../../parts/page.js";
import { Facts } from "../../parts/values.js";
import { bytes, count } from "../../text.js";
import { html } from "../../ui.js";
import { isLow } from "./room.js";

export function Server({ of: { version, storage, packages, database, unfinished_uploads: uploads } }) {
    const { whole, corrupt, missing } = packages;
    return html`
        <${Card} title="Server">
            <${Facts}
                of=${[
                    ["Disk", html`<${Disk} of=${storage} />`],
                    ["Packages", html`<a href="#/packages">${count(whole + corrupt + missing, "package")}</a>, ${bytes(packages.bytes)}`],
                    ["Database", bytes(database.bytes)],
                    ["Uploads", uploads === 0 ? "none under way" : `${count(uploads, "upload")} not finished`],
                    ["Version", `tender ${version}`],
                ]}
            />
        <//>
    `;
}

function Disk({ of: storage }) {
    const { free, total, reserve } = storage;
    if (free === null || total === null) {
        return "The file system of the packages is not there.";
    }
    const tone = isLow(storage) ? "notable" : "plain";
    return html`
        <span class="bar-track disk" aria-hidden="true"><span class=${`bar-fill ${tone}`} style=${{ width: `${(1 - free / total) * 100}%` }}></span></span>
        <div>${bytes(free)} free of ${bytes(total)}</div>
        <div class="quiet">${bytes(reserve)} are kept back from uploads</div>
    `;
}
