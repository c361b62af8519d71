// Asks what a device is to be called.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form, TextField } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { html } from "../../ui.js";

export function NameDialog({ device, close, done }) {
    const send = async ({ name }) => {
        await api.nameDevice(device.id, name.trim());
        say("The device has its new name.");
        done();
    };
    return html`
        <${Dialog} title="Rename the device" ...${{ close }}>
            <${Form} label="Rename" busyLabel="Renaming…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`}>
                <${TextField} name="name" label="Name" missing="Type a name." value=${device.name} autocomplete="off" />
            <//>
        <//>
    `;
}
