// Log in.

import * as api from "../api.js";
import { Form, NameField, PasswordField } from "../parts/form.js";
import { Card, Page } from "../parts/page.js";
import { entered } from "../session.js";
import { html } from "../ui.js";

export function LogIn() {
    const send = async ({ name, password }) => entered(await api.logIn(name, password));
    return html`
        <${Page} title="Log in" startsInField isNarrow>
            <${Card}>
                <${Form} label="Log in" busyLabel="Logging in…" ...${{ send }}>
                    <${NameField} />
                    <${PasswordField} name="password" label="Password" />
                <//>
            <//>
        <//>
    `;
}
