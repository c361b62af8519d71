// What an artifact says about itself.

import { Card } from "../../parts/page.js";
import { Facts, Text } from "../../parts/values.js";
import { asSentence, count } from "../../text.js";
import { html } from "../../ui.js";
import { Pairs, Values } from "./texts.js";

export function ArtifactCard({ of: artifact }) {
    const { format, version, signed, name, device_types: types, payloads, checksums, unverified, left_out: leftOut } = artifact;
    const files = Object.entries(checksums);
    return html`
        <${Card} title="What the artifact says">
            <${Facts} of=${[
                ["Format", html`<${Text} of=${format} />${version === null ? "" : `, version ${version}`}`],
                ["Name", name === null ? html`<span class="quiet">none</span>` : html`<${Text} of=${name} />`],
                ["Device types", html`<${Values} of=${types} />`],
                pairs("Provides", artifact.provides),
                pairs("Depends on", artifact.depends),
                ["Signature", signed ? "There is one. Only devices know whether to trust it." : "none"],
                ["Checksums", unverified === null ? "All were compared with the files, and are right." : html`Not all were compared: <${Text} of=${asSentence(unverified)} />`],
                Object.keys(leftOut).length === 0 ? null : ["Not shown", html`<${LeftOut} of=${leftOut} />`],
            ]} />
            ${payloads.map((payload, index) => html`<${Payload} key=${index} ...${{ payload, index, isOnly: payloads.length === 1 }} />`)}
            ${files.length > 0 && html`<${Files} ...${{ files }} />`}
        <//>
    `;
}

function pairs(label, of) {
    const all = Object.entries(of);
    return all.length === 0 ? null : [label, html`<${Pairs} of=${all} />`];
}

function LeftOut({ of }) {
    const said = Object.entries(of).map(([field, values]) => `${count(values, "value")} of ${field}`);
    return `${said.join(", ")}: too long, too many, or no text.`;
}

function Payload({ payload: { type, provides, depends }, index, isOnly }) {
    return html`
        <h3>${isOnly ? "Payload" : `Payload ${index + 1}`}</h3>
        <${Facts} of=${[["Type", type === null ? html`<span class="quiet">none</span>` : html`<${Text} of=${type} />`], pairs("Provides", provides), pairs("Depends on", depends)]} />
    `;
}

function Files({ files }) {
    return html`
        <details class="files">
            <summary>${count(files.length, "file")} with SHA-256</summary>
            <ul class="pairs">${files.map(([name, sha256]) => html`<li key=${name}><bdi>${name}</bdi> <code class="hash">${sha256}</code></li>`)}</ul>
        </details>
    `;
}
