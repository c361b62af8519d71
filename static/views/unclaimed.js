// The server waits for its first administrator, and this browser does not have the code, or has it too late.

import { Card, Page } from "../parts/page.js";
import { session } from "../session.js";
import { html } from "../ui.js";

export function Unclaimed() {
    const isExpired = session.value.setup === "expired";
    return html`<${Page} title="This server is not set up yet" isNarrow>
        <${Card}>${isExpired ? html`<${TooLate} />` : html`<${WhereTheCodeIs} />`}<//>
    <//>`;
}

function TooLate() {
    return html`
        <p>The address that the server printed at its start was good for half an hour, and that is over.</p>
        <p>Restart the server: it prints a new one.</p>
    `;
}

function WhereTheCodeIs() {
    return html`
        <p>
            When the server started, it printed an address that ends in <code>/#claim=…</code>, in its terminal or the journal of its
            service.
        </p>
        <p>Open that address to choose a name and a password, and become the first administrator.</p>
        <p class="hint">That address is good for half an hour. If it is lost or too old, restart the server: it prints a new one.</p>
    `;
}
