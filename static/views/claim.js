// Claim: whoever has the code becomes the first administrator.

import * as api from "../api.js";
import { Form, NameField, NewPasswordField } from "../parts/form.js";
import { Card, Page } from "../parts/page.js";
import { code, entered, left } from "../session.js";
import { html } from "../ui.js";

export function Claim() {
    const send = async ({ name, password }) => {
        try {
            entered(await api.claim(code.value, name, password));
        } catch (error) {
            // Too late: the code will be good for nothing again, so the form has no purpose any more.
            if (error.status !== 410) {
                throw error;
            }
            left(error.message);
        }
    };
    return html`
        <${Page} title="Claim this server" startsInField isNarrow>
            <${Card}>
                <p>Nobody has set this server up yet. Choose a name and a password: you will be its first administrator.</p>
                <${Form} label="Claim this server" busyLabel="Claiming…" ...${{ send }}>
                    <${NameField} hint="Letters, digits and . _ - @ +" />
                    <${NewPasswordField} name="password" label="Password" />
                <//>
            <//>
        <//>
    `;
}
