// Account: who is logged in, their password, and the way out.

import * as api from "../api.js";
import * as live from "../live.js";
import { Form, KnownName, NewPasswordField, PasswordField } from "../parts/form.js";
import { ActionButton, Outcome, useOutcome } from "../parts/outcome.js";
import { Card, Page } from "../parts/page.js";
import { entered, left, session } from "../session.js";
import { html } from "../ui.js";

const ROLES = {
    admin: "Administrator: may see and change everything.",
    viewer: "Viewer: may see everything, and change nothing but the own password.",
};

export function Account() {
    const { user } = session.value;
    return html`<${Page} title="Account" isNarrow>
        ${user === null ? html`<${Nobody} />` : html`<${Who} ...${{ user }} /><${Password} ...${{ user }} />`}
    <//>`;
}

function Nobody() {
    return html`
        <${Card} title="Authentication is off">
            <p>Everybody who reaches this server may do everything. That is for trying things out, alone.</p>
            <p class="hint">To have people log in, start the server without <code>--no-api-auth</code>.</p>
        <//>
    `;
}

function Who({ user }) {
    const outcome = useOutcome();
    const leave = (end, goodbye) => async () => {
        // The stream ends with the session: it would begin again without one.
        live.stop();
        try {
            await end();
        } catch (error) {
            live.start();
            throw error;
        }
        left(goodbye);
    };
    const here = leave(api.logOut, "You are logged out.");
    const everywhere = leave(api.logOutEverywhere, "You are logged out in every browser.");
    return html`
        <${Card} title=${html`Logged in as <strong>${user.name}</strong>`}>
            <p>${ROLES[user.role] ?? `Role: ${user.role}`}</p>
            <div class="actions wide">
                <${ActionButton} of=${outcome} act=${here} label="Log out" busyLabel="Logging out…" />
                <${ActionButton} of=${outcome} act=${everywhere} label="Log out everywhere" busyLabel="Logging out…" />
            </div>
            <${Outcome} of=${outcome} />
        <//>
    `;
}

function Password({ user }) {
    const send = async ({ current, new: fresh }) => {
        entered(await api.changePassword(current, fresh));
        return "The password is changed. Your sessions in other browsers have ended.";
    };
    return html`
        <${Card} title="Change password">
            <${Form} label="Change password" busyLabel="Changing…" ...${{ send }} clears>
                <${KnownName} name=${user.name} />
                <${PasswordField} name="current" label="Current password" />
                <${NewPasswordField} name="new" label="New password" />
            <//>
        <//>
    `;
}
