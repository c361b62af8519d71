// Group.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Group() {
    return html`<${Page} title="Group"><${Card}><p>Nothing here yet.</p><//><//>`;
}
