// Groups.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Groups() {
    return html`<${Page} title="Groups"><${Card}><p>Nothing here yet.</p><//><//>`;
}
