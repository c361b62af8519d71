// Registrations.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Registrations() {
    return html`<${Page} title="Registrations"><${Card}><p>Nothing here yet.</p><//><//>`;
}
